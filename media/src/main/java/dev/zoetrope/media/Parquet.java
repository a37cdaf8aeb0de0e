package dev.zoetrope.media;

import com.jerolba.carpet.CarpetReader;
import com.jerolba.carpet.CarpetWriter;
import com.jerolba.carpet.CloseableIterator;
import dev.zoetrope.tensor.UserError;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.stream.Collectors;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.api.Binary;
import org.jspecify.annotations.Nullable;

/** Tables in Parquet files, read and written row by row, so that a table of any length takes the memory of one group. */
public final class Parquet {
    private static final int ROWS_IN_GROUP = 10_000;

    private Parquet() {}

    /** Takes rows, one record each. */
    public static final class Writer<T extends Record> implements Closeable {
        private final CarpetWriter<T> writer;

        private Writer(CarpetWriter<T> writer) {
            this.writer = writer;
        }

        public void add(T row) throws IOException {
            writer.write(row);
        }

        /** Writes what is left and the footer, without which the file is none. Closes the stream. */
        @Override
        public void close() throws IOException {
            writer.close();
        }
    }

    /** The columns are the record's components: numbers, strings, booleans, lists and records of these. */
    public static <T extends Record> Writer<T> writer(OutputStream out, Class<T> row) throws IOException {
        return new Writer<>(new CarpetWriter.Builder<>(out, row)
                .withCompressionCodec(CompressionCodecName.ZSTD)
                .withRowGroupRowCountLimit(ROWS_IN_GROUP)
                .build());
    }

    /** The rows of a file, in their order. */
    public static final class Rows implements Iterator<Map<String, @Nullable Object>>, Closeable {
        private final Path file;
        private final CloseableIterator<Map<String, @Nullable Object>> rows;

        private Rows(Path file, CloseableIterator<Map<String, @Nullable Object>> rows) {
            this.file = file;
            this.rows = rows;
        }

        @Override
        public boolean hasNext() {
            try {
                return rows.hasNext();
            } catch (RuntimeException e) {
                throw broken(file, e);
            }
        }

        /** A row by its columns: strings, boxed numbers, {@code byte[]}, lists and maps of these; null where nothing is. */
        @Override
        public Map<String, @Nullable Object> next() {
            if (!hasNext()) {
                throw new NoSuchElementException(file.toString());
            }
            try {
                Map<String, @Nullable Object> row = new LinkedHashMap<>();
                rows.next().forEach((column, value) -> row.put(column, plain(value)));
                return row;
            } catch (RuntimeException e) {
                throw broken(file, e);
            }
        }

        private static @Nullable Object plain(@Nullable Object value) {
            if (value instanceof Binary b) {
                return b.getBytes();
            }
            if (value instanceof List<?> list) {
                return list.stream().map(Rows::plain).collect(Collectors.toCollection(ArrayList::new));
            }
            if (value instanceof Map<?, ?> map) {
                Map<Object, @Nullable Object> r = new LinkedHashMap<>();
                map.forEach((key, v) -> r.put(key, plain(v)));
                return r;
            }
            return value;
        }

        @Override
        public void close() throws IOException {
            rows.close();
        }
    }

    /** @throws UserError where the file is missing or no Parquet file */
    @SuppressWarnings({"unchecked", "rawtypes"})
    public static Rows rows(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new UserError(file + ": there is no such file");
        }
        try {
            CloseableIterator rows = new CarpetReader<>(file.toFile(), Map.class).iterator();
            return new Rows(file, rows);
        } catch (RuntimeException e) {
            throw broken(file, e);
        }
    }

    private static UserError broken(Path file, RuntimeException e) {
        return new UserError(file + ": cannot be read as a Parquet file: " + e.getMessage(), e);
    }
}
