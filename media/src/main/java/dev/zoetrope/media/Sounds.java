package dev.zoetrope.media;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/** Reads sound from files of any usual format, also from videos, and writes WAV. */
public final class Sounds {

    private Sounds() {}

    /**
     * Reads the sound of a file.
     *
     * @throws UserError if there is no such file, or no sound in it that can be read
     */
    public static Audio read(Path file) {
        return VideoReader.readAudio(file);
    }

    /**
     * Reads the sound of a file of any length, piece by piece.
     *
     * @param seconds of each piece but the last, which may be shorter
     * @throws UserError if there is no such file, or no sound in it that can be read
     */
    public static void read(Path file, double seconds, Consumer<Audio> receiver) {
        // On a thread of its own: native memory that a thread asks for while its reader is open is freed with the
        // reader.
        ExecutorService thread = Executors.newSingleThreadExecutor();
        BlockingQueue<Optional<Audio>> pieces = new ArrayBlockingQueue<>(1);
        try {
            Future<?> reading = thread.submit(() -> {
                try {
                    VideoReader.readAudio(file, seconds, piece -> put(pieces, Optional.of(piece)));
                } finally {
                    put(pieces, Optional.empty());
                }
            });
            for (Optional<Audio> p = pieces.take(); p.isPresent(); p = pieces.take()) {
                receiver.accept(p.get());
            }
            reading.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UserError(file + ": reading was interrupted", e);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException r ? r : new IllegalStateException(e.getCause());
        } finally {
            thread.shutdownNow();
        }
    }

    private static void put(BlockingQueue<Optional<Audio>> pieces, Optional<Audio> piece) {
        try {
            pieces.put(piece);
        } catch (InterruptedException e) { // nobody listens any more
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Writes sound as WAV of 16 bits a sample; what is louder than 1 is clipped. */
    public static void write(Audio audio, Path file) {
        if (!Outputs.extension(file).equals("wav")) {
            throw new UserError(file + ": sound is written as .wav");
        }
        int frameBytes = 2 * audio.channels();
        long size = (long) frameBytes * audio.length();
        if (size > Integer.MAX_VALUE - 44) {
            throw new UserError(file + ": " + audio + " is too long for a WAV file, which ends at 2 GiB");
        }
        ByteBuffer wav = ByteBuffer.allocate(44 + (int) size).order(ByteOrder.LITTLE_ENDIAN);
        wav.put("RIFF".getBytes(US_ASCII)).putInt(36 + (int) size);
        wav.put("WAVEfmt ".getBytes(US_ASCII)).putInt(16);
        wav.putShort((short) 1).putShort((short) audio.channels()); // 1 is plain PCM
        wav.putInt(audio.rate()).putInt(audio.rate() * frameBytes);
        wav.putShort((short) frameBytes).putShort((short) 16);
        wav.put("data".getBytes(US_ASCII)).putInt((int) size);
        for (int i = 0; i < audio.length(); i++) {
            for (float[] channel : audio.samples()) {
                long level = Math.round(channel[i] * 32768.0);
                wav.putShort((short) Math.max(-32768, Math.min(32767, level)));
            }
        }
        AtomicFile.write(file, out -> out.write(wav.array()));
    }
}
