package dev.zoetrope.curation.spark;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.tensor.UserError;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.schema.GroupType;
import org.jspecify.annotations.Nullable;

/** Pictures in shards, of which a task reads one from beginning to end. */
final class PictureShards {
    private static final Pattern PICTURE = Pattern.compile("(png|jpe?g|webp|gif|bmp)", Pattern.CASE_INSENSITIVE);
    private static final long MOST_BYTES = 1 << 28;

    private PictureShards() {}

    /**
     * @param number from 0
     * @param files the pictures, or one Parquet file or tar that holds them
     */
    record Shard(int number, List<String> files) implements Serializable {
        String name() {
            return String.format(Locale.ROOT, "%05d", number);
        }
    }

    /**
     * @param path of the file, or the name inside the file that holds it
     * @param caption null where there is none
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Picture(String path, byte[] bytes, @Nullable String caption) {}

    static List<Shard> find(FileSystem fs, String location, int filesOfShard) throws IOException {
        Path path = new Path(location);
        for (String ending : new String[] {".parquet", ".tar"}) {
            List<FileStatus> files = EmbeddingInput.list(fs, path, ending);
            if (!files.isEmpty()) {
                List<Shard> r = new ArrayList<>();
                files.forEach(f -> r.add(new Shard(r.size(), List.of(f.getPath().toString()))));
                return r;
            }
        }
        List<String> pictures = new ArrayList<>();
        for (String ending : List.of("png", "jpg", "jpeg", "webp", "gif", "bmp")) {
            for (String e : List.of(ending, ending.toUpperCase(Locale.ROOT))) {
                EmbeddingInput.list(fs, path, "." + e)
                        .forEach(f -> pictures.add(f.getPath().toString()));
            }
        }
        if (pictures.isEmpty()) {
            throw new UserError(
                    location + ": no pictures are there: expected files that end in .png, .jpg, .jpeg, .webp, "
                            + ".gif or .bmp, .parquet, or .tar");
        }
        pictures.sort(Comparator.naturalOrder());
        List<Shard> r = new ArrayList<>();
        for (int i = 0; i < pictures.size(); i += filesOfShard) {
            r.add(new Shard(r.size(), List.copyOf(pictures.subList(i, Math.min(pictures.size(), i + filesOfShard)))));
        }
        return r;
    }

    /** A shard's pictures, one after the other. */
    interface Pictures extends AutoCloseable {
        /** The next one; null at the end. */
        @Nullable
        Picture next() throws IOException;

        @Override
        void close() throws IOException;
    }

    static Pictures open(Shard shard, Configuration conf) throws IOException {
        String first = shard.files.get(0);
        if (first.endsWith(".parquet")) {
            return new Table(new Path(first), conf);
        }
        return first.endsWith(".tar") ? new Tar(new Path(first), conf) : new Files(shard.files, conf);
    }

    /** Files, each with its caption in a .txt beside it, if there is one. */
    private static final class Files implements Pictures {
        private final Iterator<String> files;
        private final Configuration conf;

        Files(List<String> files, Configuration conf) {
            this.files = files.iterator();
            this.conf = conf;
        }

        @Override
        public @Nullable Picture next() throws IOException {
            if (!files.hasNext()) {
                return null;
            }
            Path path = new Path(files.next());
            FileSystem fs = path.getFileSystem(conf);
            String name = path.getName();
            byte[] text = bytes(fs, new Path(path.getParent(), name.substring(0, name.lastIndexOf('.')) + ".txt"));
            byte[] picture = bytes(fs, path);
            return new Picture(
                    path.toUri().getPath(),
                    picture == null ? new byte[0] : picture,
                    text == null ? null : new String(text, StandardCharsets.UTF_8).strip());
        }

        private static byte @Nullable [] bytes(FileSystem fs, Path path) throws IOException {
            try (InputStream in = fs.open(path)) {
                return in.readNBytes((int) MOST_BYTES);
            } catch (FileNotFoundException e) {
                return null;
            }
        }

        @Override
        public void close() {}
    }

    /** Columns of Parquet: {@code image} as bytes, or as a group of {@code bytes} and {@code path}; {@code caption} or {@code text}. */
    private static final class Table implements Pictures {
        private final ParquetReader<Group> reader;
        private final String file;
        private long row;

        Table(Path file, Configuration conf) throws IOException {
            this.file = file.getName();
            reader = ParquetReader.builder(new GroupReadSupport(), file)
                    .withConf(conf)
                    .build();
        }

        @Override
        public @Nullable Picture next() throws IOException {
            Group g = reader.read();
            if (g == null) {
                return null;
            }
            GroupType type = g.getType();
            String column = type.containsField("image") ? "image" : type.containsField("jpg") ? "jpg" : "";
            if (column.isEmpty()) {
                throw new UserError(file + ": there is no column image or jpg with pictures; present: "
                        + type.getFields().stream().map(f -> f.getName()).toList());
            }
            String name = file + "#" + row++;
            byte[] bytes = new byte[0];
            if (g.getFieldRepetitionCount(column) > 0) {
                if (type.getType(column).isPrimitive()) {
                    bytes = g.getBinary(column, 0).getBytes();
                } else {
                    Group inside = g.getGroup(column, 0);
                    bytes = inside.getFieldRepetitionCount("bytes") > 0
                            ? inside.getBinary("bytes", 0).getBytes()
                            : bytes;
                }
            }
            String caption = null;
            for (String c : List.of("caption", "text")) {
                if (caption == null
                        && type.containsField(c)
                        && type.getType(c).isPrimitive()
                        && g.getFieldRepetitionCount(c) > 0) {
                    caption = g.getBinary(c, 0).toStringUsingUTF8();
                }
            }
            return new Picture(name, bytes, caption);
        }

        @Override
        public void close() throws IOException {
            reader.close();
        }
    }

    /** Samples of a WebDataset: a picture, and its caption as .txt or as {@code caption} in .json. */
    private static final class Tar implements Pictures {
        private static final ObjectMapper MAPPER = new ObjectMapper();

        private final String file;
        private final TarArchiveInputStream in;
        private @Nullable TarArchiveEntry entry;

        Tar(Path path, Configuration conf) throws IOException {
            file = path.getName();
            in = new TarArchiveInputStream(path.getFileSystem(conf).open(path));
            advance();
        }

        private void advance() throws IOException {
            do {
                entry = in.getNextEntry();
            } while (entry != null && !entry.isFile());
        }

        @Override
        public @Nullable Picture next() throws IOException {
            while (entry != null) {
                String key = TarNames.key(entry.getName());
                Map<String, byte[]> members = new HashMap<>();
                String picture = "";
                while (entry != null && TarNames.key(entry.getName()).equals(key)) {
                    String ending = TarNames.ending(entry.getName());
                    if (entry.getSize() > MOST_BYTES) {
                        throw new UserError(file + ": " + entry.getName() + " has " + entry.getSize()
                                + " bytes; more than 256 MiB are not read");
                    }
                    members.put(ending, in.readAllBytes());
                    picture = PICTURE.matcher(ending).matches() ? ending : picture;
                    advance();
                }
                byte[] bytes = members.get(picture);
                if (bytes != null) {
                    return new Picture(file + "#" + key + "." + picture, bytes, caption(members));
                }
            }
            return null;
        }

        private static @Nullable String caption(Map<String, byte[]> members) throws IOException {
            byte[] text = members.get("txt");
            if (text != null) {
                return new String(text, StandardCharsets.UTF_8).strip();
            }
            byte[] json = members.get("json");
            if (json == null) {
                return null;
            }
            JsonNode caption = MAPPER.readTree(json).path("caption");
            return caption.isTextual() ? caption.textValue() : null;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
