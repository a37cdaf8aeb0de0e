package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.media.Parquet;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Where vectors go: lines of JSON on standard output or in a file, a Parquet table, or a NumPy array of float32 with the
 * names of its rows beside it. Memory does not grow with their number; files appear when all is written.
 */
interface VectorOutput extends AutoCloseable {
    /** @param kind {@code file} or {@code text} */
    void add(String kind, String name, float[] vector) throws IOException;

    /** Puts the files into place; without it nothing is left behind. */
    void finish() throws IOException;

    @Override
    void close() throws IOException;

    /** @param target ends in .jsonl, .parquet or .npy; null for lines on standard output */
    static VectorOutput open(@Nullable Path target, PrintWriter out) throws IOException {
        check(target);
        if (target == null) {
            return new Printed(out);
        }
        String name = target.toString();
        return name.endsWith(".npy")
                ? new Numpy(target)
                : name.endsWith(".parquet") ? new Table(target) : new JsonLines(target);
    }

    static void check(@Nullable Path target) {
        if (target != null && !target.toString().matches(".*\\.(jsonl|parquet|npy)")) {
            throw new UserError(target
                    + ": vectors are written to .jsonl (a line each), .parquet (a table) or .npy (a NumPy array)");
        }
    }

    /** vectors.npy has its names in vectors.txt. */
    static Path namesOf(Path npy) {
        return npy.resolveSibling(String.valueOf(npy.getFileName()).replaceFirst("\\.npy$", ".txt"));
    }

    private static String line(String kind, String name, float[] vector) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put(kind, name);
        line.put("embedding", vector);
        return Pictures.json(line);
    }

    /** Lines of JSON on standard output. */
    record Printed(PrintWriter out) implements VectorOutput {
        @Override
        public void add(String kind, String name, float[] vector) {
            out.println(line(kind, name, vector));
        }

        @Override
        public void finish() {
            out.flush();
        }

        @Override
        public void close() {}
    }

    /** A file that is collected elsewhere until it is whole. */
    final class Draft implements AutoCloseable {
        private final Path file;
        final OutputStream out;

        Draft() throws IOException {
            file = Files.createTempFile("zoetrope", ".draft");
            out = new BufferedOutputStream(Files.newOutputStream(file));
        }

        void moveTo(Path target, byte[] before) throws IOException {
            out.close();
            AtomicFile.write(target, to -> {
                to.write(before);
                Files.copy(file, to);
            });
        }

        @Override
        public void close() throws IOException {
            out.close();
            Files.deleteIfExists(file);
        }
    }

    /** A file with a line of JSON a vector. */
    final class JsonLines implements VectorOutput {
        private final Path target;
        private final Draft lines = new Draft();

        JsonLines(Path target) throws IOException {
            this.target = target;
        }

        @Override
        public void add(String kind, String name, float[] vector) throws IOException {
            lines.out.write((line(kind, name, vector) + "\n").getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public void finish() throws IOException {
            lines.moveTo(target, new byte[0]);
        }

        @Override
        public void close() throws IOException {
            lines.close();
        }
    }

    /** A Parquet table with the columns file, text and embedding; one of the first two is empty in each row. */
    final class Table implements VectorOutput {
        /** A row of the table. */
        record Row(@Nullable String file, @Nullable String text, List<Float> embedding) {}

        private final Path target;
        private final Draft draft = new Draft();
        private final Parquet.Writer<Row> rows = Parquet.writer(draft.out, Row.class);

        Table(Path target) throws IOException {
            this.target = target;
        }

        @Override
        public void add(String kind, String name, float[] vector) throws IOException {
            List<Float> embedding =
                    IntStream.range(0, vector.length).mapToObj(i -> vector[i]).toList();
            rows.add(kind.equals("file") ? new Row(name, null, embedding) : new Row(null, name, embedding));
        }

        @Override
        public void finish() throws IOException {
            rows.close();
            draft.moveTo(target, new byte[0]);
        }

        @Override
        public void close() throws IOException {
            draft.close();
        }
    }

    /** A NumPy array, and a text file with a name a row. */
    final class Numpy implements VectorOutput {
        private final Path target;
        private final Draft rows = new Draft();
        private final Draft names = new Draft();
        private long count;
        private int width;

        Numpy(Path target) throws IOException {
            this.target = target;
        }

        @Override
        public void add(String kind, String name, float[] vector) throws IOException {
            width = vector.length;
            count++;
            rows.out.write(Npy.bytesOf(vector));
            names.out.write((name.replaceAll("[\\r\\n]", " ") + "\n").getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public void finish() throws IOException {
            rows.moveTo(target, Npy.headerOf(Float.BYTES, count, width));
            names.moveTo(namesOf(target), new byte[0]);
        }

        @Override
        public void close() throws IOException {
            rows.close();
            names.close();
        }
    }
}
