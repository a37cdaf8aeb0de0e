package dev.zoetrope.training;

import dev.zoetrope.tensor.UserError;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The numbers in TensorBoard's event files, of which the last may still be written. */
public final class Curves {
    private static final int LONGEST_RECORD = 64 << 20; // those with pictures are the long ones
    private static final int CRC_BYTES = 4;

    /** A number of a step. */
    public record Point(long step, double value) {}

    private Curves() {}

    /** The curves of a folder of event files, by name; where a step was taken again, the later number counts. */
    public static Map<String, List<Point>> read(Path folder) {
        Map<String, TreeMap<Long, Double>> found = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(f -> f.getFileName().toString().contains("tfevents"))
                    .sorted(Comparator.comparing(f -> f.getFileName().toString()))
                    .toList()) {
                read(file, found);
            }
        } catch (IOException e) {
            throw new UserError(folder + ": the event files cannot be read: " + e.getMessage(), e);
        }
        Map<String, List<Point>> r = new TreeMap<>();
        found.forEach((tag, points) -> {
            List<Point> all = new ArrayList<>();
            points.forEach((step, value) -> all.add(new Point(step, value)));
            r.put(tag, all);
        });
        return r;
    }

    private static void read(Path file, Map<String, TreeMap<Long, Double>> found) throws IOException {
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            while (true) {
                long length = Long.reverseBytes(in.readLong());
                if (length < 0 || length > LONGEST_RECORD) {
                    return; // not an event file, or a damaged one
                }
                in.skipNBytes(CRC_BYTES);
                byte[] record = in.readNBytes((int) length);
                if (record.length < length) {
                    return;
                }
                in.skipNBytes(CRC_BYTES);
                event(record, found);
            }
        } catch (EOFException | BufferUnderflowException | IllegalArgumentException e) {
            return; // the rest is still to be written
        }
    }

    private static void event(byte[] record, Map<String, TreeMap<Long, Double>> found) {
        ByteBuffer in = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
        long step = 0;
        ByteBuffer summary = null;
        while (in.hasRemaining()) {
            int key = (int) varint(in);
            switch (key) {
                case 2 << 3 -> step = varint(in);
                case 5 << 3 | 2 -> summary = part(in);
                default -> skip(in, key);
            }
        }
        while (summary != null && summary.hasRemaining()) {
            int key = (int) varint(summary);
            if (key == (1 << 3 | 2)) {
                value(part(summary), step, found);
            } else {
                skip(summary, key);
            }
        }
    }

    private static void value(ByteBuffer in, long step, Map<String, TreeMap<Long, Double>> found) {
        String tag = "";
        while (in.hasRemaining()) {
            int key = (int) varint(in);
            switch (key) {
                case 1 << 3 | 2 -> tag = StandardCharsets.UTF_8.decode(part(in)).toString();
                case 2 << 3 | 5 -> {
                    double value = in.getFloat();
                    found.computeIfAbsent(tag, t -> new TreeMap<>()).put(step, value);
                }
                default -> skip(in, key);
            }
        }
    }

    private static ByteBuffer part(ByteBuffer in) {
        int length = (int) varint(in);
        ByteBuffer r = in.slice().order(ByteOrder.LITTLE_ENDIAN);
        r.limit(length);
        in.position(in.position() + length);
        return r;
    }

    private static void skip(ByteBuffer in, int key) {
        switch (key & 7) {
            case 0 -> varint(in);
            case 1 -> in.position(in.position() + Long.BYTES);
            case 2 -> part(in);
            case 5 -> in.position(in.position() + Integer.BYTES);
            default -> throw new IllegalArgumentException("wire type " + (key & 7));
        }
    }

    private static long varint(ByteBuffer in) {
        long r = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            byte b = in.get();
            r |= (long) (b & 0x7f) << shift;
            if (b >= 0) {
                return r;
            }
        }
        throw new IllegalArgumentException("a number without an end");
    }
}
