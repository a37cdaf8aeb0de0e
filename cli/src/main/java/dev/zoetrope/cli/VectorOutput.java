package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where vectors go: lines of JSON on standard output or in a file, or a NumPy array of float32 with the names of its rows
 * beside it. Files appear when all is written.
 */
final class VectorOutput implements AutoCloseable {
    private static final int HEADER = 128;

    private final @Nullable Path target;
    private final PrintWriter out;
    private final @Nullable Path rows;
    private final @Nullable Path names;
    private final @Nullable OutputStream rowStream;
    private final @Nullable OutputStream nameStream;
    private final boolean numpy;
    private long count;
    private int width;

    private VectorOutput(@Nullable Path target, PrintWriter out) throws IOException {
        this.target = target;
        this.out = out;
        numpy = target != null && target.toString().endsWith(".npy");
        rows = target == null ? null : Files.createTempFile("zoetrope", ".rows");
        names = numpy ? Files.createTempFile("zoetrope", ".names") : null;
        rowStream = rows == null ? null : new BufferedOutputStream(Files.newOutputStream(rows));
        nameStream = names == null ? null : new BufferedOutputStream(Files.newOutputStream(names));
    }

    /** @param target ends in .jsonl or .npy; null for lines on standard output */
    static VectorOutput open(@Nullable Path target, PrintWriter out) throws IOException {
        check(target);
        return new VectorOutput(target, out);
    }

    static void check(@Nullable Path target) {
        if (target != null && !target.toString().matches(".*\\.(jsonl|npy)")) {
            throw new UserError(target + ": vectors are written to .jsonl (a line each) or .npy (a NumPy array)");
        }
    }

    /** @param kind {@code file} or {@code text} */
    void add(String kind, String name, float[] vector) throws IOException {
        width = vector.length;
        count++;
        if (nameStream != null && rowStream != null) {
            ByteBuffer b = ByteBuffer.allocate(4 * vector.length).order(ByteOrder.LITTLE_ENDIAN);
            b.asFloatBuffer().put(vector);
            rowStream.write(b.array());
            nameStream.write((name.replaceAll("[\\r\\n]", " ") + "\n").getBytes(StandardCharsets.UTF_8));
            return;
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put(kind, name);
        line.put("embedding", vector);
        String json = Pictures.json(line);
        if (rowStream == null) {
            out.println(json);
        } else {
            rowStream.write((json + "\n").getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Puts the files into place; without it nothing is left behind. */
    void finish() throws IOException {
        if (target == null || rows == null || rowStream == null) {
            out.flush();
            return;
        }
        rowStream.close();
        AtomicFile.write(target, file -> {
            if (numpy) {
                file.write(header(count, width));
            }
            Files.copy(rows, file);
        });
        if (names != null && nameStream != null) {
            nameStream.close();
            AtomicFile.write(namesOf(target), file -> Files.copy(names, file));
        }
    }

    /** vectors.npy has its names in vectors.txt. */
    static Path namesOf(Path npy) {
        return npy.resolveSibling(String.valueOf(npy.getFileName()).replaceFirst("\\.npy$", ".txt"));
    }

    private static byte[] header(long rows, int columns) {
        String text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows + ", " + columns + "), }";
        String padded = text + " ".repeat(HEADER - 10 - text.length() - 1) + "\n";
        ByteBuffer b = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
        b.put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) 1)
                .put((byte) 0);
        b.putShort((short) (HEADER - 10)).put(padded.getBytes(StandardCharsets.US_ASCII));
        return b.array();
    }

    @Override
    public void close() throws IOException {
        if (rowStream != null && rows != null) {
            rowStream.close();
            Files.deleteIfExists(rows);
        }
        if (nameStream != null && names != null) {
            nameStream.close();
            Files.deleteIfExists(names);
        }
    }
}
