package dev.zoetrope.media;

import static org.bytedeco.ffmpeg.global.avcodec.AV_PKT_DATA_DISPLAYMATRIX;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_alloc;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_free;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_side_data_get;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_unref;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_alloc_context3;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_find_decoder;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_free_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_open2;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_parameters_to_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_receive_frame;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_send_packet;
import static org.bytedeco.ffmpeg.global.avformat.av_find_best_stream;
import static org.bytedeco.ffmpeg.global.avformat.av_guess_frame_rate;
import static org.bytedeco.ffmpeg.global.avformat.av_read_frame;
import static org.bytedeco.ffmpeg.global.avformat.avformat_close_input;
import static org.bytedeco.ffmpeg.global.avformat.avformat_find_stream_info;
import static org.bytedeco.ffmpeg.global.avformat.avformat_open_input;
import static org.bytedeco.ffmpeg.global.avutil.AVMEDIA_TYPE_AUDIO;
import static org.bytedeco.ffmpeg.global.avutil.AVMEDIA_TYPE_VIDEO;
import static org.bytedeco.ffmpeg.global.avutil.AV_CHANNEL_ORDER_UNSPEC;
import static org.bytedeco.ffmpeg.global.avutil.AV_NOPTS_VALUE;
import static org.bytedeco.ffmpeg.global.avutil.AV_SAMPLE_FMT_FLTP;
import static org.bytedeco.ffmpeg.global.avutil.av_channel_layout_copy;
import static org.bytedeco.ffmpeg.global.avutil.av_channel_layout_default;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_free;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_iterate;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_set;
import static org.bytedeco.ffmpeg.global.avutil.av_display_rotation_get;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_alloc;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_free;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_unref;
import static org.bytedeco.ffmpeg.global.swresample.swr_alloc;
import static org.bytedeco.ffmpeg.global.swresample.swr_convert_frame;
import static org.bytedeco.ffmpeg.global.swresample.swr_free;

import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.bytedeco.ffmpeg.avcodec.AVCodec;
import org.bytedeco.ffmpeg.avcodec.AVCodecContext;
import org.bytedeco.ffmpeg.avcodec.AVPacket;
import org.bytedeco.ffmpeg.avcodec.AVPacketSideData;
import org.bytedeco.ffmpeg.avformat.AVFormatContext;
import org.bytedeco.ffmpeg.avformat.AVStream;
import org.bytedeco.ffmpeg.avutil.AVDictionary;
import org.bytedeco.ffmpeg.avutil.AVDictionaryEntry;
import org.bytedeco.ffmpeg.avutil.AVFrame;
import org.bytedeco.ffmpeg.avutil.AVRational;
import org.bytedeco.ffmpeg.swresample.SwrContext;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.PointerScope;

/** Reads clips and sounds by FFmpeg. */
final class VideoReader implements AutoCloseable {

    /** Containers of moving pictures and sounds; none of those that point to other files or hosts. */
    private static final String FORMATS =
            "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,avi,mpegts,mpeg,ogg,flv,asf,wav,w64,mp3,flac,aac,apng";

    /** Sound is cut where it would need more memory than this. */
    private static final int MAX_SAMPLES = 1 << 28;

    /** How far from its place, in frames, one of an even rate may be shown. */
    private static final double UNEVEN = 1;

    private final String name;
    private final PointerScope scope = new PointerScope();
    private final AVFormatContext format = new AVFormatContext(null);
    private final AVPacket packet = av_packet_alloc();

    /** How many frames were decoded, and for how long they are shown in the stream's unit of time. */
    private long shown;

    private long ticks;

    /** When each of the frames that were taken is shown, in the stream's unit of time. */
    private final List<Long> starts = new ArrayList<>();

    private VideoReader(Path file) {
        name = file.toString();
        if (!Files.isRegularFile(file)) {
            throw new UserError(name + ": no such file");
        }
        AVDictionary options = new AVDictionary(null);
        av_dict_set(options, "format_whitelist", FORMATS, 0);
        av_dict_set(options, "protocol_whitelist", "file", 0);
        try {
            Ffmpeg.check(
                    avformat_open_input(format, "file:" + file.toAbsolutePath(), null, options),
                    name,
                    "not a video or sound that can be read");
            Ffmpeg.check(
                    avformat_find_stream_info(format, (AVDictionary) null), name, "its streams cannot be understood");
        } catch (UserError e) {
            close();
            throw e;
        } finally {
            av_dict_free(options);
        }
    }

    /** Reads frames within limits, and the sound that goes with them. */
    static Clip read(Path file, Clips.Limits limits) {
        int available = limits.spread() ? count(file) : Integer.MAX_VALUE;
        List<Image> frames;
        double fps;
        boolean hasSound;
        try (VideoReader reader = new VideoReader(file)) {
            int stream = reader.best(AVMEDIA_TYPE_VIDEO, "there is no video in it");
            AVRational average = reader.format.streams(stream).avg_frame_rate();
            AVRational rate = average.num() > 0 && average.den() > 0
                    ? average
                    : av_guess_frame_rate(reader.format, reader.format.streams(stream), null);
            fps = rate.num() > 0 && rate.den() > 0 ? (double) rate.num() / rate.den() : 25;
            frames = reader.frames(stream, limits, available);
            if (reader.format.iformat().name().getString().equals("gif")) {
                fps = reader.shown / (reader.ticks * seconds(reader.format.streams(stream)));
            }
            if (!limits.spread()) {
                frames = reader.even(frames, fps, seconds(reader.format.streams(stream)));
            }
            hasSound = reader.find(AVMEDIA_TYPE_AUDIO) >= 0;
        }
        if (limits.spread()) {
            return new Clip(frames, fps * frames.size() / Math.max(frames.size(), available));
        }
        return new Clip(frames, fps, hasSound ? readAudio(file).first(frames.size() / fps) : null);
    }

    /**
     * Frames as they are seen at even distances in time: where a camera slowed down, or a recorder skipped what did not
     * change, the same frame stands several times, and where it hurried some are left out.
     */
    private List<Image> even(List<Image> frames, double fps, double tick) {
        double frame = 1 / fps / tick; // in ticks
        long start = starts.get(0);
        boolean uneven = false;
        for (int i = 0; i < starts.size(); i++) {
            uneven |= Math.abs(starts.get(i) - start - i * frame) > frame * UNEVEN + 1;
        }
        if (!uneven) {
            return frames;
        }
        List<Image> r = new ArrayList<>();
        int at = 0;
        for (int i = 0; i < frames.size(); i++) {
            while (at + 1 < starts.size() && starts.get(at + 1) - start <= i * frame + .5) {
                at++;
            }
            r.add(frames.get(at));
        }
        return r;
    }

    /** How many frames there are, found without decoding them. */
    private static int count(Path file) {
        try (VideoReader reader = new VideoReader(file)) {
            int stream = reader.best(AVMEDIA_TYPE_VIDEO, "there is no video in it");
            int count = 0;
            while (av_read_frame(reader.format, reader.packet) >= 0) {
                count += reader.packet.stream_index() == stream ? 1 : 0;
                av_packet_unref(reader.packet);
            }
            return count;
        }
    }

    private static double seconds(AVStream stream) {
        return (double) stream.time_base().num() / stream.time_base().den();
    }

    private int find(int type) {
        return av_find_best_stream(format, type, -1, -1, (AVCodec) null, 0);
    }

    private int best(int type, String otherwise) {
        return Ffmpeg.check(find(type), name, otherwise);
    }

    /** Reads the sound of a file. */
    static Audio readAudio(Path file) {
        try (VideoReader reader = new VideoReader(file)) {
            return reader.sound(reader.best(AVMEDIA_TYPE_AUDIO, "there is no sound in it"));
        }
    }

    /** Reads it piece by piece: memory does not grow with its length. */
    static void readAudio(Path file, double seconds, Consumer<Audio> receiver) {
        try (VideoReader reader = new VideoReader(file)) {
            reader.sound(reader.best(AVMEDIA_TYPE_AUDIO, "there is no sound in it"), seconds, receiver);
        }
    }

    /** What a file says of itself: title, comment and the like. */
    static Map<String, String> metadata(Path file) {
        try (VideoReader reader = new VideoReader(file)) {
            Map<String, String> metadata = new LinkedHashMap<>();
            AVDictionary tags = reader.format.metadata();
            AVDictionaryEntry entry = av_dict_iterate(tags, null);
            while (entry != null) {
                metadata.put(entry.key().getString(), entry.value().getString());
                entry = av_dict_iterate(tags, entry);
            }
            return metadata;
        }
    }

    private List<Image> frames(int stream, Clips.Limits limits, int available) {
        List<Image> frames = new ArrayList<>();
        AVFrame[] rgb = {null};
        int orientation = orientation(format.streams(stream));
        try (Ffmpeg.Converter converter = new Ffmpeg.Converter()) {
            decode(stream, frame -> {
                Images.checkSize(name, frame.width(), frame.height());
                ticks += Math.max(1, frame.duration());
                if (!limits.takes(shown++, frames.size(), available)) {
                    return frames.size() < limits.frames();
                }
                if (rgb[0] == null) {
                    rgb[0] = Ffmpeg.rgbFrame(frame.width(), frame.height());
                }
                limits.check(name, frames.size() + 1, rgb[0].width(), rgb[0].height());
                converter.convert(frame, rgb[0], name);
                long shownAt = frame.best_effort_timestamp();
                starts.add(shownAt == AV_NOPTS_VALUE ? ticks - Math.max(1, frame.duration()) : shownAt);
                frames.add(Images.turned(Ffmpeg.image(rgb[0]), orientation));
                return frames.size() < limits.frames();
            });
        } finally {
            if (rgb[0] != null) {
                av_frame_free(rgb[0]);
            }
        }
        if (frames.isEmpty()) {
            throw new UserError(name + ": no frame of it can be decoded");
        }
        return frames;
    }

    /** The turn that the camera noted, as an Exif orientation. */
    private static int orientation(AVStream stream) {
        AVPacketSideData matrix = av_packet_side_data_get(
                stream.codecpar().coded_side_data(), stream.codecpar().nb_coded_side_data(), AV_PKT_DATA_DISPLAYMATRIX);
        if (matrix == null || matrix.isNull()) {
            return 1;
        }
        double counterclockwise = av_display_rotation_get(new IntPointer(matrix.data()));
        return switch ((int) Math.round(counterclockwise / 90)) {
            case -1 -> 6;
            case 1 -> 8;
            case 2, -2 -> 3;
            default -> 1;
        };
    }

    private Audio sound(int stream) {
        List<float[][]> pieces = new ArrayList<>();
        int[] total = {0};
        int rate = samples(stream, piece -> {
            pieces.add(piece);
            total[0] += piece[0].length;
            return (long) total[0] * piece.length < MAX_SAMPLES;
        });
        float[][] samples = new float[pieces.get(0).length][total[0]];
        int at = 0;
        for (float[][] piece : pieces) {
            for (int c = 0; c < samples.length; c++) {
                System.arraycopy(piece[c], 0, samples[c], at, piece[c].length);
            }
            at += piece[0].length;
        }
        return new Audio(samples, rate);
    }

    /** Hands pieces of so many seconds on as soon as they are full, and what is left at the end. */
    private void sound(int stream, double seconds, Consumer<Audio> receiver) {
        int rate = format.streams(stream).codecpar().sample_rate();
        int length = (int) Math.max(1, Math.round(seconds * rate));
        List<float[]> piece = new ArrayList<>(); // one array a channel
        int[] filled = {0};
        samples(stream, more -> {
            int used = 0;
            while (used < more[0].length) {
                if (piece.isEmpty()) {
                    for (int c = 0; c < more.length; c++) {
                        piece.add(new float[length]);
                    }
                }
                int n = Math.min(length - filled[0], more[0].length - used);
                for (int c = 0; c < more.length; c++) {
                    System.arraycopy(more[c], used, piece.get(c), filled[0], n);
                }
                used += n;
                filled[0] += n;
                if (filled[0] == length) {
                    receiver.accept(new Audio(piece.toArray(float[][]::new), rate));
                    piece.clear();
                    filled[0] = 0;
                }
            }
            return true;
        });
        if (filled[0] > 0) {
            float[][] rest =
                    piece.stream().map(c -> Arrays.copyOf(c, filled[0])).toArray(float[][]::new);
            receiver.accept(new Audio(rest, rate));
        }
    }

    /**
     * Decodes sound.
     *
     * @param receiver gets samples [channel, time] piece by piece until it says false
     * @return samples a second
     */
    private int samples(int stream, Predicate<float[][]> receiver) {
        AVFrame planar = av_frame_alloc();
        SwrContext converter = swr_alloc();
        int[] rate = {0};
        try {
            decode(stream, frame -> {
                // A plain WAV file has a number of channels without names; the converter names them at the first frame,
                // and would take the second for a change.
                if (frame.ch_layout().order() == AV_CHANNEL_ORDER_UNSPEC) {
                    av_channel_layout_default(
                            frame.ch_layout(), frame.ch_layout().nb_channels());
                }
                planar.format(AV_SAMPLE_FMT_FLTP).sample_rate(frame.sample_rate());
                Ffmpeg.check(
                        av_channel_layout_copy(planar.ch_layout(), frame.ch_layout()),
                        name,
                        "its sound cannot be read");
                Ffmpeg.check(
                        swr_convert_frame(converter, planar, frame), name, "its sound changes form within the file");
                float[][] piece = new float[planar.ch_layout().nb_channels()][planar.nb_samples()];
                for (int c = 0; c < piece.length; c++) {
                    new FloatPointer(planar.extended_data(c)).get(piece[c]);
                }
                rate[0] = frame.sample_rate();
                av_frame_unref(planar);
                return receiver.test(piece);
            });
        } finally {
            swr_free(converter);
            av_frame_free(planar);
        }
        if (rate[0] == 0) {
            throw new UserError(name + ": no sound of it can be decoded");
        }
        return rate[0];
    }

    /** Decodes a stream frame by frame until its end, or until the receiver has enough and says false. */
    private void decode(int stream, Predicate<AVFrame> receiver) {
        AVCodec codec = avcodec_find_decoder(format.streams(stream).codecpar().codec_id());
        if (codec == null || codec.isNull()) {
            throw new UserError(name + ": this build of FFmpeg has no decoder for it");
        }
        AVCodecContext decoder = avcodec_alloc_context3(codec);
        AVFrame frame = av_frame_alloc();
        try {
            Ffmpeg.check(
                    avcodec_parameters_to_context(
                            decoder, format.streams(stream).codecpar()),
                    name,
                    "its streams cannot be understood");
            Images.checkSize(name, Math.max(1, decoder.width()), Math.max(1, decoder.height()));
            Ffmpeg.check(avcodec_open2(decoder, codec, (AVDictionary) null), name, "its decoder cannot be opened");
            boolean more = true;
            while (more) {
                int read = av_read_frame(format, packet);
                boolean other = read >= 0 && packet.stream_index() != stream;
                if (!other) {
                    // A damaged packet is skipped, as every player does; a file of nothing else is noticed by the
                    // caller.
                    avcodec_send_packet(decoder, read >= 0 ? packet : null);
                    while (more && avcodec_receive_frame(decoder, frame) >= 0) {
                        more = receiver.test(frame);
                        av_frame_unref(frame);
                    }
                }
                av_packet_unref(packet);
                more &= read >= 0;
            }
        } finally {
            av_frame_free(frame);
            avcodec_free_context(decoder);
        }
    }

    @Override
    public void close() {
        av_packet_free(packet);
        avformat_close_input(format);
        scope.close();
    }
}
