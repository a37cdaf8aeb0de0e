package dev.zoetrope.media;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Pictures with captions as people keep them: a folder with {@code metadata.jsonl} ({@code file_name, text}), a folder of
 * one folder a class, a folder of pictures alone, WebDataset tars ({@code key.jpg, key.txt | key.json | key.cls}), or
 * Parquet tables with the pictures' bytes. Tars and tables are read as a stream: only a buffer of them is in memory.
 */
public final class CaptionedPictures {
    private static final Pattern PICTURE = Pattern.compile(".*\\.(png|jpe?g|webp|gif|bmp)", Pattern.CASE_INSENSITIVE);
    private static final List<String> TEXTS = List.of("text", "caption", "prompt");
    private static final List<String> LABELS = List.of("label", "class", "cls");
    private static final int MOST_BYTES = 256 << 20; // of one entry of a tar: a picture is never as large
    private static final int BUFFER = 512; // entries among which an epoch is shuffled where it is read as a stream
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * One picture, not decoded yet.
     *
     * @param name for messages: its file, or its place in an archive
     * @param caption empty where there is none
     * @param label its class, a name or a number; empty where there is none
     */
    public record Sample(String name, Bytes bytes, String caption, String label) {
        /**
         * The picture.
         *
         * @throws UserError where its bytes are not there or are no picture
         */
        public Image image() {
            try {
                return Images.read(bytes.read(), name);
            } catch (IOException e) {
                throw new UserError(name + ": cannot be read: " + e.getMessage(), e);
            }
        }
    }

    /** Where the bytes of a picture come from. */
    @FunctionalInterface
    public interface Bytes {
        byte[] read() throws IOException;
    }

    /** A way through the samples, once. */
    public interface Samples extends Iterator<Sample>, Closeable {
        @Override
        void close();
    }

    private final Path path;
    private final List<Path> shards; // tars or tables; empty for a folder of files
    private final List<Sample> files;

    private CaptionedPictures(Path path, List<Path> shards, List<Sample> files) {
        this.path = path;
        this.shards = shards;
        this.files = files;
    }

    /** @throws UserError where nothing of the kind is there */
    public static CaptionedPictures open(Path path) {
        if (Files.isRegularFile(path)) {
            if (!isShard(path)) {
                throw new UserError(path + ": expected a folder of pictures, a .tar or a .parquet");
            }
            return new CaptionedPictures(path, List.of(path), List.of());
        }
        if (!Files.isDirectory(path)) {
            throw new UserError(path + ": there is no such file or folder");
        }
        Path metadata = path.resolve("metadata.jsonl");
        if (Files.isRegularFile(metadata)) {
            return new CaptionedPictures(path, List.of(), listed(path, metadata));
        }
        List<Path> shards = shards(path);
        if (!shards.isEmpty()) {
            return new CaptionedPictures(path, shards, List.of());
        }
        List<Sample> files = new ArrayList<>();
        for (Path file : PictureFiles.below(path)) {
            Path above = path.relativize(file).getParent();
            files.add(file(file, "", above == null ? "" : above.toString()));
        }
        if (files.isEmpty()) {
            throw new UserError(path + ": the folder has no pictures, no metadata.jsonl, no .tar and no .parquet");
        }
        return new CaptionedPictures(path, List.of(), List.copyOf(files));
    }

    private static boolean isShard(Path file) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        return name.endsWith(".tar") || name.endsWith(".parquet");
    }

    private static List<Path> shards(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(CaptionedPictures::isShard).sorted().toList();
        } catch (IOException e) {
            throw new UserError(folder + ": the folder cannot be read: " + e.getMessage(), e);
        }
    }

    private static Sample file(Path file, String caption, String label) {
        return new Sample(file.toString(), () -> Files.readAllBytes(file), caption, label);
    }

    private static List<Sample> listed(Path folder, Path metadata) {
        List<Sample> r = new ArrayList<>();
        int number = 0;
        try (Stream<String> lines = Files.lines(metadata)) {
            for (String line : (Iterable<String>) lines::iterator) {
                number++;
                if (line.isBlank()) {
                    continue;
                }
                Map<String, String> row = json(metadata + ": line " + number, line.getBytes(StandardCharsets.UTF_8));
                String name = row.get("file_name");
                if (name == null) {
                    throw new UserError(metadata + ": line " + number + " has no file_name; it has " + row.keySet());
                }
                Path file = folder.resolve(name).normalize();
                if (!file.startsWith(folder.normalize())) {
                    throw new UserError(metadata + ": line " + number + ": file_name " + name + " leaves the folder");
                }
                r.add(file(file, first(row, TEXTS), first(row, LABELS)));
            }
        } catch (IOException | UncheckedIOException e) {
            throw new UserError(metadata + ": cannot be read: " + e.getMessage(), e);
        }
        if (r.isEmpty()) {
            throw new UserError(metadata + ": names no pictures");
        }
        return List.copyOf(r);
    }

    private static Map<String, String> json(String name, byte[] text) {
        try {
            JsonNode tree = JSON.readTree(text);
            if (!tree.isObject()) {
                throw new UserError(name + ": expected a JSON object");
            }
            Map<String, String> r = new LinkedHashMap<>();
            tree.properties().forEach(e -> {
                if (e.getValue().isValueNode() && !e.getValue().isNull()) {
                    r.put(e.getKey(), e.getValue().asText());
                }
            });
            return r;
        } catch (IOException e) {
            throw new UserError(name + ": is no JSON: " + e.getMessage(), e);
        }
    }

    private static String first(Map<String, String> row, List<String> keys) {
        return keys.stream().filter(row::containsKey).map(row::get).findFirst().orElse("");
    }

    /** What was opened. */
    public Path path() {
        return path;
    }

    /** All samples once, in an order that follows from the epoch alone; in the order of the files for a negative one. */
    public Samples samples(long epoch) {
        Random random = new Random(epoch);
        if (shards.isEmpty()) {
            List<Sample> order = new ArrayList<>(files);
            if (epoch >= 0) {
                Collections.shuffle(order, random);
            }
            return of(order.iterator());
        }
        List<Path> order = new ArrayList<>(shards);
        if (epoch >= 0) {
            Collections.shuffle(order, random);
        }
        Samples stream = new Chain(order.iterator());
        return epoch < 0 ? stream : new Shuffled(stream, random);
    }

    private static Samples of(Iterator<Sample> all) {
        return new Samples() {
            @Override
            public boolean hasNext() {
                return all.hasNext();
            }

            @Override
            public Sample next() {
                return all.next();
            }

            @Override
            public void close() {
                // holds nothing
            }
        };
    }

    /** Samples of one shard after the other. */
    private static final class Chain implements Samples {
        private final Iterator<Path> shards;
        private @Nullable Samples now;

        Chain(Iterator<Path> shards) {
            this.shards = shards;
        }

        @Override
        public boolean hasNext() {
            while (now == null || !now.hasNext()) {
                close();
                if (!shards.hasNext()) {
                    return false;
                }
                Path next = shards.next();
                now = next.toString().toLowerCase(Locale.ROOT).endsWith(".tar") ? new Tar(next) : new Table(next);
            }
            return true;
        }

        @Override
        public Sample next() {
            if (!hasNext() || now == null) {
                throw new NoSuchElementException();
            }
            return now.next();
        }

        @Override
        public void close() {
            if (now != null) {
                now.close();
                now = null;
            }
        }
    }

    /** Takes one of a buffer at random. */
    private static final class Shuffled implements Samples {
        private final Samples source;
        private final Random random;
        private final List<Sample> buffer = new ArrayList<>();

        Shuffled(Samples source, Random random) {
            this.source = source;
            this.random = random;
        }

        @Override
        public boolean hasNext() {
            while (buffer.size() < BUFFER && source.hasNext()) {
                buffer.add(source.next());
            }
            return !buffer.isEmpty();
        }

        @Override
        public Sample next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            int i = random.nextInt(buffer.size());
            Sample last = buffer.remove(buffer.size() - 1);
            return i == buffer.size() ? last : buffer.set(i, last);
        }

        @Override
        public void close() {
            source.close();
        }
    }

    /** The members of a tar that share a name up to the first dot after the last slash are one sample. */
    private static final class Tar implements Samples {
        private static final int BLOCK = 512;

        private final Path file;
        private final InputStream in;
        private final Deque<Sample> ready = new ArrayDeque<>();
        private String key = "";
        private Map<String, byte[]> members = new LinkedHashMap<>();
        private @Nullable String longName;
        private boolean ended;

        Tar(Path file) {
            this.file = file;
            try {
                in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
            } catch (IOException e) {
                throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
            }
        }

        @Override
        public boolean hasNext() {
            try {
                while (ready.isEmpty() && !ended) {
                    member();
                }
            } catch (EOFException e) {
                throw new UserError(file + ": ends within a member; the download is not complete", e);
            } catch (IOException e) {
                throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
            }
            return !ready.isEmpty();
        }

        @Override
        public Sample next() {
            if (!hasNext()) {
                throw new NoSuchElementException(file.toString());
            }
            return ready.remove();
        }

        private void member() throws IOException {
            byte[] header = in.readNBytes(BLOCK);
            if (header.length < BLOCK || header[0] == 0) {
                flush();
                ended = true;
                return;
            }
            long size = octal(header, 124, 12);
            if (size < 0 || size > MOST_BYTES) {
                throw new UserError(file + ": is no tar, or is damaged: a member of " + size + " bytes");
            }
            byte[] content = in.readNBytes((int) size);
            if (content.length < size) {
                throw new EOFException();
            }
            in.skipNBytes(-size & BLOCK - 1);
            char type = (char) header[156];
            if (type == 'L') { // GNU's way to a name of more than 100 characters
                longName = text(content, 0, content.length);
            } else if (type == 'x') {
                longName = paxPath(content, longName);
            } else if (type == '0' || type == 0) {
                String prefix = text(header, 345, 155);
                String name = longName != null
                        ? longName
                        : (prefix.isEmpty() || header[257] != 'u' ? "" : prefix + "/") + text(header, 0, 100);
                longName = null;
                add(name, content);
            }
        }

        private void add(String name, byte[] content) {
            int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
            String stem = dot < 0 ? name : name.substring(0, dot);
            if (!stem.equals(key)) {
                flush();
                key = stem;
            }
            members.put(dot < 0 ? "" : name.substring(dot + 1).toLowerCase(Locale.ROOT), content);
        }

        private void flush() {
            Map<String, byte[]> all = members;
            members = new LinkedHashMap<>();
            for (Map.Entry<String, byte[]> e : all.entrySet()) {
                if (PICTURE.matcher("." + e.getKey()).matches()) {
                    byte[] picture = e.getValue();
                    Map<String, String> row =
                            all.containsKey("json") ? json(file + ": " + key + ".json", all.get("json")) : Map.of();
                    ready.add(new Sample(
                            file + ": " + key + "." + e.getKey(),
                            () -> picture,
                            all.containsKey("txt") ? text(all.get("txt")) : first(row, TEXTS),
                            all.containsKey("cls") ? text(all.get("cls")) : first(row, LABELS)));
                    return;
                }
            }
        }

        private static String text(byte[] content) {
            return new String(content, StandardCharsets.UTF_8).strip();
        }

        private static String text(byte[] block, int from, int length) {
            int end = from;
            while (end < from + length && block[end] != 0) {
                end++;
            }
            return new String(block, from, end - from, StandardCharsets.UTF_8);
        }

        /** The line "27 path=..." of a pax header, if there is one. */
        private static @Nullable String paxPath(byte[] content, @Nullable String otherwise) {
            for (String line :
                    new String(content, StandardCharsets.UTF_8).lines().toList()) {
                int at = line.indexOf(" path=");
                if (at > 0) {
                    return line.substring(at + " path=".length());
                }
            }
            return otherwise;
        }

        private static long octal(byte[] block, int from, int length) {
            String digits = text(block, from, length).strip();
            try {
                return digits.isEmpty() ? 0 : Long.parseLong(digits, 8);
            } catch (NumberFormatException e) {
                return -1;
            }
        }

        @Override
        public void close() {
            try {
                in.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** Rows with a column of pictures: bytes, or a group of {@code bytes} and {@code path} as the hub's tables have. */
    private static final class Table implements Samples {
        private static final List<String> PICTURES = List.of("image", "jpg", "png", "webp", "img", "bytes");

        private final Path file;
        private final Parquet.Rows rows;
        private long number;

        Table(Path file) {
            this.file = file;
            rows = Parquet.rows(file);
        }

        @Override
        public boolean hasNext() {
            return rows.hasNext();
        }

        @Override
        public Sample next() {
            Map<String, @Nullable Object> row = rows.next();
            String name = file + ": row " + number++;
            String column = PICTURES.stream()
                    .filter(row::containsKey)
                    .findFirst()
                    .orElseThrow(() -> new UserError(
                            file + ": no column of pictures among " + row.keySet() + "; expected " + PICTURES));
            Object value = row.get(column);
            byte[] picture = value instanceof byte[] b
                    ? b
                    : value instanceof Map<?, ?> group && group.get("bytes") instanceof byte[] b ? b : null;
            return new Sample(name, () -> bytes(picture), text(row, TEXTS), text(row, LABELS));
        }

        private static byte[] bytes(byte @Nullable [] picture) throws IOException {
            if (picture == null) {
                throw new IOException("the table holds no bytes of it");
            }
            return picture;
        }

        private static String text(Map<String, @Nullable Object> row, List<String> keys) {
            for (String key : keys) {
                Object value = row.get(key);
                if (value != null) {
                    return value instanceof byte[] b ? new String(b, StandardCharsets.UTF_8) : value.toString();
                }
            }
            return "";
        }

        @Override
        public void close() {
            try {
                rows.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
