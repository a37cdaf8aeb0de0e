package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.EmbeddingSource;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.util.HadoopInputFile;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;

/**
 * Embeddings as blocks of rows, in an order that does not depend on who reads them: a row's position is its number, or in
 * tars {@code tar * 2^32 + sample}.
 */
final class EmbeddingInput {
    private static final String PATH = "_metadata.file_path";
    private static final String ROW = "_metadata.row_index";
    private static final int SPLIT = 1 << 16;

    private final SparkSession spark;
    private final EmbeddingSource source;
    private final JavaRDD<Block> blocks;
    private final long rows;
    private final int width;
    private final List<FileStatus> files;
    private final @Nullable Dataset<Row> metadata;
    private final Map<String, Long> offsets;

    private EmbeddingInput(
            SparkSession spark,
            EmbeddingSource source,
            JavaRDD<Block> blocks,
            long rows,
            int width,
            List<FileStatus> files,
            @Nullable Dataset<Row> metadata,
            Map<String, Long> offsets) {
        this.spark = spark;
        this.source = source;
        this.blocks = blocks;
        this.rows = rows;
        this.width = width;
        this.files = files;
        this.metadata = metadata;
        this.offsets = offsets;
    }

    static EmbeddingInput open(SparkSession spark, EmbeddingSource source) {
        Configuration conf = spark.sparkContext().hadoopConfiguration();
        Path location = new Path(source.location());
        try {
            FileSystem fs = location.getFileSystem(conf);
            if (fs.exists(new Path(location, "img_emb"))) {
                return shards(spark, source, fs, location);
            }
            List<FileStatus> parquet = list(fs, location, ".parquet");
            if (!parquet.isEmpty()) {
                return parquet(spark, source, parquet);
            }
            List<FileStatus> tars = list(fs, location, ".tar");
            if (!tars.isEmpty()) {
                return tars(spark, source, tars);
            }
        } catch (IOException e) {
            throw new UserError(source.location() + ": cannot be read: " + e.getMessage(), e);
        }
        throw new UserError(
                source.location() + ": no embeddings are there: expected a folder img_emb/ of .npy files with "
                        + "metadata/ beside it, files that end in .parquet, or tars");
    }

    /** Files of a folder, at any depth, or of a pattern, in the order of their names; what is hidden is left out. */
    static List<FileStatus> list(FileSystem fs, Path location, String ending) throws IOException {
        List<FileStatus> r = new ArrayList<>();
        FileStatus[] found = fs.globStatus(location);
        for (FileStatus f : found == null ? new FileStatus[0] : found) {
            if (f.isDirectory()) {
                for (FileStatus inside : fs.listStatus(f.getPath())) {
                    String name = inside.getPath().getName();
                    if (inside.isDirectory() && !name.startsWith(".") && !name.startsWith("_")) {
                        r.addAll(list(fs, inside.getPath(), ending));
                    } else if (inside.isFile() && visible(name, ending)) {
                        r.add(inside);
                    }
                }
            } else if (visible(f.getPath().getName(), ending)) {
                r.add(f);
            }
        }
        r.sort(Comparator.comparing(f -> f.getPath().toString()));
        return r;
    }

    private static boolean visible(String name, String ending) {
        return name.endsWith(ending) && !name.startsWith(".") && !name.startsWith("_");
    }

    JavaRDD<Block> blocks() {
        return blocks;
    }

    long rows() {
        return rows;
    }

    int width() {
        return width;
    }

    /** What tells this input from another: names, lengths and times of its files. */
    String fingerprint() {
        return files.stream()
                .map(f -> f.getPath() + " " + f.getLen() + " " + f.getModificationTime())
                .collect(Collectors.joining("\n", source + "\n", ""));
    }

    // ---- the layout of clip-retrieval and LAION ----

    /** Rows of a shard: pictures, texts and metadata are in files of the same order. */
    private record Split(
            String image, @Nullable String text, @Nullable String metadata, long first, long rows, long offset)
            implements Serializable {}

    private static EmbeddingInput shards(SparkSession spark, EmbeddingSource source, FileSystem fs, Path location)
            throws IOException {
        List<FileStatus> images = list(fs, new Path(location, "img_emb"), ".npy");
        List<FileStatus> texts = fs.exists(new Path(location, "text_emb"))
                ? list(fs, new Path(location, "text_emb"), ".npy")
                : List.of();
        List<FileStatus> metadata = fs.exists(new Path(location, "metadata"))
                ? list(fs, new Path(location, "metadata"), ".parquet")
                : List.of();
        Map<String, FileStatus> textOf = byNumber(texts);
        Map<String, FileStatus> metadataOf = byNumber(metadata);
        boolean readMetadata = texts.isEmpty() || source.id() != null;
        if (readMetadata && metadata.isEmpty()) {
            throw new UserError(source.location() + ": "
                    + (texts.isEmpty()
                            ? "neither text_emb/ nor metadata/ with a column of similarities is there"
                            : "ids are asked for by the column " + source.id() + ", but there is no metadata/"));
        }
        List<Split> splits = new ArrayList<>();
        Map<String, Long> offsets = new HashMap<>();
        long rows = 0;
        int width = -1;
        for (int i = 0; i < images.size(); i++) {
            Path image = images.get(i).getPath();
            Path text = texts.isEmpty() ? null : beside(image, textOf, "text_emb");
            Path meta = metadata.isEmpty() ? null : beside(image, metadataOf, "metadata");
            long own;
            try (Npy npy = npy(fs, image)) {
                own = npy.rows();
                width = width < 0 ? npy.columns() : width;
                widths(image, npy.columns(), width, images.get(0).getPath());
            }
            if (text != null) {
                try (Npy npy = npy(fs, text)) {
                    widths(text, npy.columns(), width, images.get(0).getPath());
                    rowsFit(text, npy.rows(), own, image);
                }
            }
            if (meta != null) {
                rowsFit(meta, count(fs.getConf(), meta), own, image);
                offsets.put(key(meta.toUri().toString()), rows);
            }
            long step = readMetadata ? Math.max(1, own) : SPLIT;
            for (long first = 0; first < own; first += step) {
                splits.add(new Split(
                        image.toString(),
                        text == null ? null : text.toString(),
                        readMetadata && meta != null ? meta.toString() : null,
                        first,
                        Math.min(step, own - first),
                        rows));
            }
            rows += own;
        }
        if (rows == 0) {
            throw new UserError(source.location() + ": the arrays in img_emb/ have no rows");
        }
        SerializableConfiguration conf = new SerializableConfiguration(fs.getConf());
        List<FileStatus> all = new ArrayList<>(images);
        all.addAll(texts);
        all.addAll(metadata);
        Dataset<Row> table = metadata.isEmpty() ? null : read(spark, metadata);
        if (table != null && readMetadata) {
            if (source.id() != null) {
                wholeNumbers(source, table, source.id());
            }
            if (texts.isEmpty()) {
                column(source, table, source.similarity());
            }
        }
        JavaRDD<Block> blocks = context(spark)
                .parallelize(splits, splits.size())
                .flatMap(split -> new SplitReader(split, source, conf.value()));
        return new EmbeddingInput(spark, source, blocks, rows, width, all, table, offsets);
    }

    /** By the number that their names end in. */
    private static Map<String, FileStatus> byNumber(List<FileStatus> files) {
        Map<String, FileStatus> r = new HashMap<>();
        files.forEach(f -> r.put(number(f.getPath()), f));
        return r;
    }

    private static String number(Path file) {
        return file.getName().replaceFirst("\\.[a-z]+$", "").replaceFirst("^.*?(\\d*)$", "$1");
    }

    private static Path beside(Path image, Map<String, FileStatus> others, String folder) {
        FileStatus r = others.get(number(image));
        if (r == null) {
            throw new UserError(image + ": there is no file of the same number in " + folder + "/");
        }
        return r.getPath();
    }

    private static void widths(Path file, int found, int expected, Path first) {
        if (found != expected) {
            throw new UserError(file + ": rows have " + found + " numbers, those of " + first + " have " + expected
                    + "; all must have the same");
        }
    }

    private static void rowsFit(Path file, long found, long expected, Path image) {
        if (found != expected) {
            throw new UserError(file + ": has " + found + " rows, " + image + " has " + expected);
        }
    }

    private static long count(Configuration conf, Path file) {
        try (ParquetFileReader reader = ParquetFileReader.open(HadoopInputFile.fromPath(file, conf))) {
            return reader.getRecordCount();
        } catch (IOException | RuntimeException e) { // the latter for files that are no Parquet
            throw new UserError(file + ": cannot be read as Parquet: " + e.getMessage(), e);
        }
    }

    private static Npy npy(FileSystem fs, Path file) throws IOException {
        return Npy.open(file.toString(), fs.open(file));
    }

    /** Reads a split block by block. */
    private static final class SplitReader implements Iterator<Block> {
        private final Split split;
        private final EmbeddingSource source;
        private final Npy images;
        private final @Nullable Npy texts;
        private final ParquetColumns.@Nullable Numbers numbers;
        private long read;

        SplitReader(Split split, EmbeddingSource source, Configuration conf) throws IOException {
            this.split = split;
            this.source = source;
            Path image = new Path(split.image);
            FileSystem fs = image.getFileSystem(conf);
            images = npy(fs, image);
            images.skip(split.first);
            texts = split.text == null ? null : npy(fs, new Path(split.text));
            if (texts != null) {
                texts.skip(split.first);
            }
            numbers = split.metadata == null
                    ? null
                    : ParquetColumns.numbers(
                            new Path(split.metadata),
                            conf,
                            source.id(),
                            split.text == null ? source.similarity() : null);
        }

        @Override
        public boolean hasNext() {
            if (read == split.rows) {
                images.close();
                if (texts != null) {
                    texts.close();
                }
                return false;
            }
            return true;
        }

        @Override
        public Block next() {
            int n = (int) Math.min(Block.ROWS, split.rows - read);
            long[] positions = new long[n];
            for (int i = 0; i < n; i++) {
                positions[i] = split.offset + split.first + read + i;
            }
            int from = (int) (split.first + read);
            long[] ids = numbers == null || source.id() == null
                    ? positions
                    : Arrays.copyOfRange(numbers.ids(), from, from + n);
            double[] similarities = numbers == null || split.text != null
                    ? null
                    : Arrays.copyOfRange(numbers.similarities(), from, from + n);
            Block b = new Block(
                    positions,
                    ids,
                    images.columns(),
                    images.nextBytes(n),
                    images.elementBytes(),
                    texts == null ? null : texts.nextBytes(n),
                    texts == null ? 0 : texts.elementBytes(),
                    similarities);
            read += n;
            return b;
        }
    }

    // ---- columns of Parquet ----

    private static EmbeddingInput parquet(SparkSession spark, EmbeddingSource source, List<FileStatus> files) {
        Configuration conf = spark.sparkContext().hadoopConfiguration();
        Map<String, Long> offsets = new HashMap<>();
        long rows = 0;
        for (FileStatus f : files) {
            offsets.put(key(f.getPath().toUri().toString()), rows);
            rows += count(conf, f.getPath());
        }
        if (rows == 0) {
            throw new UserError(source.location() + ": the Parquet files have no rows");
        }
        Dataset<Row> table = read(spark, files);
        boolean hasText = Arrays.asList(table.columns()).contains(source.text());
        boolean images64 = vectors(source, table, source.image());
        boolean texts64 = hasText && vectors(source, table, source.text());
        List<Column> columns = new ArrayList<>(List.of(
                functions.col(PATH),
                functions.col(ROW),
                source.id() == null
                        ? functions.lit(0L)
                        : wholeNumbers(source, table, source.id()).cast("long"),
                functions.col(source.image())));
        columns.add(
                hasText
                        ? functions.col(source.text())
                        : column(source, table, source.similarity()).cast("double"));
        Broadcast<Map<String, Long>> where = context(spark).broadcast(offsets);
        boolean numbered = source.id() == null;
        JavaRDD<Block> blocks = table.select(columns.toArray(Column[]::new))
                .queryExecution()
                .toRdd()
                .toJavaRDD()
                .mapPartitions(in -> new ColumnReader(in, source, where.value(), numbered, hasText, images64, texts64));
        int width = blocks.first().width();
        return new EmbeddingInput(spark, source, blocks, rows, width, files, table, offsets);
    }

    private static Dataset<Row> read(SparkSession spark, List<FileStatus> files) {
        return spark.read()
                .parquet(files.stream().map(f -> f.getPath().toString()).toArray(String[]::new));
    }

    private static Column column(EmbeddingSource source, Dataset<Row> table, String name) {
        if (!Arrays.asList(table.columns()).contains(name)) {
            throw new UserError(source.location() + ": there is no column " + name + "; present: "
                    + String.join(", ", table.columns()));
        }
        return functions.col(name);
    }

    private static Column wholeNumbers(EmbeddingSource source, Dataset<Row> table, String name) {
        Column c = column(source, table, name);
        DataType type = type(table, name);
        if (!List.of(DataTypes.LongType, DataTypes.IntegerType, DataTypes.ShortType)
                .contains(type)) {
            throw new UserError(source.location() + ": ids in the column " + name + " are " + type.simpleString()
                    + ", expected whole numbers; without --id the rows are numbered");
        }
        return c;
    }

    private static DataType type(Dataset<Row> table, String name) {
        StructField field = table.schema().apply(name);
        return field.dataType();
    }

    /** Whether its numbers are doubles. */
    private static boolean vectors(EmbeddingSource source, Dataset<Row> table, String name) {
        column(source, table, name);
        if (type(table, name) instanceof ArrayType a
                && (a.elementType().equals(DataTypes.FloatType)
                        || a.elementType().equals(DataTypes.DoubleType))) {
            return a.elementType().equals(DataTypes.DoubleType);
        }
        throw new UserError(source.location() + ": embeddings in the column " + name + " are "
                + type(table, name).simpleString() + ", expected array<float> or array<double>");
    }

    /** Gathers rows into blocks. */
    private static final class ColumnReader implements Iterator<Block> {
        private final Iterator<InternalRow> in;
        private final EmbeddingSource source;
        private final Map<String, Long> offsets;
        private final boolean numbered;
        private final boolean hasText;
        private final boolean images64;
        private final boolean texts64;
        private String path = "";
        private long offset;
        private int width;

        ColumnReader(
                Iterator<InternalRow> in,
                EmbeddingSource source,
                Map<String, Long> offsets,
                boolean numbered,
                boolean hasText,
                boolean images64,
                boolean texts64) {
            this.in = in;
            this.source = source;
            this.offsets = offsets;
            this.numbered = numbered;
            this.hasText = hasText;
            this.images64 = images64;
            this.texts64 = texts64;
        }

        @Override
        public boolean hasNext() {
            return in.hasNext();
        }

        @Override
        public Block next() {
            List<Sample> samples = new ArrayList<>();
            while (samples.size() < Block.ROWS && in.hasNext()) {
                InternalRow row = in.next();
                String file = String.valueOf(row.getUTF8String(0));
                if (!file.equals(path)) {
                    path = file;
                    Long known = offsets.get(key(file));
                    if (known == null) {
                        throw new IllegalStateException(file + " was not listed");
                    }
                    offset = known;
                }
                long position = offset + row.getLong(1);
                if (row.isNullAt(2)) {
                    throw new UserError(file + ": row " + row.getLong(1) + " has no " + source.id());
                }
                float[] image = vector(row, 3, images64, source.image());
                samples.add(new Sample(
                        position,
                        numbered ? position : row.getLong(2),
                        image,
                        hasText ? vector(row, 4, texts64, source.text()) : null,
                        hasText || row.isNullAt(4) ? Double.NaN : row.getDouble(4)));
            }
            return block(samples);
        }

        private float[] vector(InternalRow row, int column, boolean doubles, String name) {
            ArrayData a = row.isNullAt(column) ? null : row.getArray(column);
            width = width == 0 && a != null ? a.numElements() : width;
            if (a == null || a.numElements() != width) {
                throw new UserError(path + ": row " + row.getLong(1) + ": " + name + " has "
                        + (a == null ? "no value" : a.numElements() + " numbers") + ", expected " + width
                        + " as in the rows before");
            }
            if (!doubles) {
                return a.toFloatArray();
            }
            double[] wide = a.toDoubleArray();
            float[] r = new float[wide.length];
            for (int i = 0; i < r.length; i++) {
                r[i] = (float) wide[i];
            }
            return r;
        }
    }

    @SuppressWarnings("ArrayRecordComponent")
    private record Sample(long position, long id, float[] image, float @Nullable [] text, double similarity) {}

    private static Block block(List<Sample> samples) {
        int n = samples.size();
        int width = samples.get(0).image.length;
        boolean hasText = samples.get(0).text != null;
        byte[] images = new byte[n * width * Float.BYTES];
        byte[] texts = hasText ? new byte[images.length] : null;
        for (int i = 0; i < n; i++) {
            System.arraycopy(
                    Npy.bytesOf(samples.get(i).image), 0, images, i * width * Float.BYTES, width * Float.BYTES);
            float[] text = samples.get(i).text;
            if (texts != null && text != null) {
                System.arraycopy(Npy.bytesOf(text), 0, texts, i * width * Float.BYTES, width * Float.BYTES);
            }
        }
        return new Block(
                samples.stream().mapToLong(Sample::position).toArray(),
                samples.stream().mapToLong(Sample::id).toArray(),
                width,
                images,
                Float.BYTES,
                texts,
                Float.BYTES,
                hasText
                        ? null
                        : samples.stream().mapToDouble(Sample::similarity).toArray());
    }

    // ---- WebDataset ----

    private record Tar(String file, long number) implements Serializable {}

    private static EmbeddingInput tars(SparkSession spark, EmbeddingSource source, List<FileStatus> files) {
        SerializableConfiguration conf =
                new SerializableConfiguration(spark.sparkContext().hadoopConfiguration());
        List<Tar> tars = new ArrayList<>();
        for (FileStatus f : files) {
            tars.add(new Tar(f.getPath().toString(), tars.size()));
        }
        JavaRDD<Block> blocks =
                context(spark).parallelize(tars, tars.size()).flatMap(tar -> new TarReader(tar, source, conf.value()));
        List<long[]> shapes = blocks.map(b -> new long[] {b.rows(), b.width()}).collect();
        if (shapes.isEmpty()) {
            throw new UserError(
                    source.location() + ": the tars have no members that end in ." + source.image() + ".npy");
        }
        int width = (int) shapes.get(0)[1];
        long rows = shapes.stream().mapToLong(s -> s[0]).sum();
        return new EmbeddingInput(spark, source, blocks, rows, width, files, null, Map.of());
    }

    /** Reads a tar's samples: neighbouring members that agree up to the first dot of their name. */
    private static final class TarReader implements Iterator<Block> {
        private final Tar tar;
        private final EmbeddingSource source;
        private final TarArchiveInputStream in;
        private @Nullable TarArchiveEntry entry;
        private long count;
        private int width;

        TarReader(Tar tar, EmbeddingSource source, Configuration conf) throws IOException {
            this.tar = tar;
            this.source = source;
            Path path = new Path(tar.file);
            InputStream file = path.getFileSystem(conf).open(path);
            in = new TarArchiveInputStream(file);
            advance();
        }

        private void advance() throws IOException {
            do {
                entry = in.getNextEntry();
            } while (entry != null && !entry.isFile());
            if (entry == null) {
                in.close();
            }
        }

        @Override
        public boolean hasNext() {
            return entry != null;
        }

        @Override
        public Block next() {
            List<Sample> samples = new ArrayList<>();
            try {
                while (entry != null && samples.size() < Block.ROWS) {
                    samples.add(sample(entry));
                }
            } catch (IOException e) {
                throw new UserError(tar.file + ": is no tar, or is cut off: " + e.getMessage(), e);
            }
            return block(samples);
        }

        private Sample sample(TarArchiveEntry begins) throws IOException {
            String key = TarNames.key(begins.getName());
            Map<String, byte[]> members = new HashMap<>();
            while (entry != null && TarNames.key(entry.getName()).equals(key)) {
                if (entry.getSize() > 1 << 24) {
                    throw new UserError(tar.file + ": " + entry.getName() + " has " + entry.getSize()
                            + " bytes; an embedding or its metadata has less than 16 MiB");
                }
                members.put(TarNames.ending(entry.getName()), in.readAllBytes());
                advance();
            }
            float[] image = vector(key, members, source.image());
            boolean hasText = members.containsKey(source.text() + ".npy");
            byte[] json = members.get("json");
            TarNames.Numbers n =
                    TarNames.numbers(tar.file + ": " + key, json, source.id(), hasText ? null : source.similarity());
            long position = (tar.number << 32) + count++;
            return new Sample(
                    position,
                    source.id() == null ? position : n.id(),
                    image,
                    hasText ? vector(key, members, source.text()) : null,
                    n.similarity());
        }

        private float[] vector(String key, Map<String, byte[]> members, String name) {
            byte[] raw = members.get(name + ".npy");
            if (raw == null) {
                throw new UserError(tar.file + ": the sample " + key + " has no member that ends in ." + name
                        + ".npy; present: " + members.keySet());
            }
            try (Npy npy = Npy.open(tar.file + ": " + key + "." + name + ".npy", new ByteArrayInputStream(raw))) {
                float[] r = npy.nextFloats(Integer.MAX_VALUE);
                width = width == 0 ? r.length : width;
                if (r.length != width) {
                    throw new UserError(npy.name() + ": has " + r.length + " numbers, expected " + width
                            + " as in the samples before");
                }
                return r;
            }
        }
    }

    // ---- metadata ----

    /** The pictures' paths of rows; without those that are not known. */
    Map<Long, String> pictures(Collection<Long> positions) {
        Dataset<Row> table = metadata;
        if (table == null || !Arrays.asList(table.columns()).contains(source.picture()) || positions.isEmpty()) {
            return Map.of();
        }
        Map<Long, String> r = new HashMap<>();
        withPosition(table.select(
                        file(),
                        functions.col(ROW).as("row"),
                        functions.col(source.picture()).as("picture")))
                .where(functions.col("position").isin(positions.toArray()))
                .select("position", "picture")
                .collectAsList()
                .forEach(row -> {
                    if (!row.isNullAt(1)) {
                        r.put(row.getLong(0), row.get(1).toString());
                    }
                });
        return r;
    }

    /** All columns of the metadata but the embeddings, with a row's position; null where there are none. */
    @Nullable
    Dataset<Row> metadata() {
        Dataset<Row> table = metadata;
        if (table == null) {
            return null;
        }
        List<Column> columns = new ArrayList<>();
        columns.add(file());
        columns.add(functions.col(ROW).as("row"));
        for (String c : table.columns()) {
            if (!c.equals(source.image()) && !c.equals(source.text())) {
                columns.add(functions.col("`" + c + "`").as("meta_" + c));
            }
        }
        return withPosition(table.select(columns.toArray(Column[]::new)));
    }

    /** Local paths have one slash here and three there. */
    private static String key(String uri) {
        return uri.replaceFirst("^file:/+", "file:/");
    }

    private static Column file() {
        return functions
                .regexp_replace(functions.col(PATH), "^file:/+", "file:/")
                .as("file");
    }

    private Dataset<Row> withPosition(Dataset<Row> table) {
        List<Row> starts = new ArrayList<>();
        offsets.forEach((file, offset) -> starts.add(RowFactory.create(file, offset)));
        Dataset<Row> where = spark.createDataFrame(
                starts,
                DataTypes.createStructType(List.of(
                        DataTypes.createStructField("file", DataTypes.StringType, false),
                        DataTypes.createStructField("offset", DataTypes.LongType, false))));
        return table.join(functions.broadcast(where), "file")
                .withColumn("position", functions.col("offset").plus(functions.col("row")))
                .drop("file", "row", "offset");
    }

    static JavaSparkContext context(SparkSession spark) {
        return JavaSparkContext.fromSparkContext(spark.sparkContext());
    }
}
