package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.ScaleOut.PictureJob;
import dev.zoetrope.curation.ScaleOut.PictureSummary;
import dev.zoetrope.curation.ScaleOut.Work;
import dev.zoetrope.curation.spark.PictureModel.Outcome;
import dev.zoetrope.curation.spark.PictureShards.Picture;
import dev.zoetrope.curation.spark.PictureShards.Shard;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.OutputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Lets a model read pictures, a shard a task. A shard's files appear when it is done, the one in {@code metadata/} last: a
 * rerun goes on behind what is there. Embeddings are laid out as clip-retrieval does, which core sets are chosen from.
 */
final class PicturePipeline {
    private static final int TOLD = 5;

    private final SparkSession spark;
    private final PictureJob job;
    private final Consumer<String> progress;

    PicturePipeline(SparkSession spark, PictureJob job, Consumer<String> progress) {
        this.spark = spark;
        this.job = job;
        this.progress = progress;
        Check.positive(job.batch(), "batch");
        Check.positive(job.shard(), "shard");
    }

    /** What a task did. */
    private record Done(long pictures, long bad, List<String> firstBad) implements Serializable {
        Done and(Done other) {
            List<String> told = new ArrayList<>(firstBad);
            other.firstBad.stream().limit(TOLD - Math.min(TOLD, told.size())).forEach(told::add);
            return new Done(pictures + other.pictures, bad + other.bad, told);
        }
    }

    PictureSummary run() {
        SerializableConfiguration conf =
                new SerializableConfiguration(spark.sparkContext().hadoopConfiguration());
        try {
            FileSystem in = new Path(job.pictures()).getFileSystem(conf.value());
            List<Shard> shards = PictureShards.find(in, job.pictures(), job.shard());
            StepStore store = StepStore.open(spark, job.output());
            String madeFrom = StepStore.digest(job.work(), job.model(), job.prompt(), shards);
            Path metadata = store.path("metadata");
            if (!store.isMadeFrom("settings", madeFrom) && store.fileSystem().exists(metadata)) {
                throw new UserError(
                        job.output() + ": was made from other pictures or by another model; name another folder,"
                                + " or remove this one");
            }
            store.folderStep("settings", madeFrom, nothing -> {});
            List<Shard> left = new ArrayList<>();
            for (Shard s : shards) {
                if (!store.fileSystem().exists(new Path(metadata, "metadata_" + s.name() + ".parquet"))) {
                    left.add(s);
                }
            }
            progress.accept(left.size() + " of " + shards.size() + " shards to do");
            PictureJob work = job;
            Done done = left.isEmpty()
                    ? new Done(0, 0, List.of())
                    : EmbeddingInput.context(spark)
                            .parallelize(left, left.size())
                            .map(s -> shard(s, work, conf.value()))
                            .reduce(Done::and);
            return new PictureSummary(
                    shards.size(), shards.size() - left.size(), done.pictures, done.bad, done.firstBad);
        } catch (IOException e) {
            throw new UserError(job.pictures() + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private static Done shard(Shard shard, PictureJob job, Configuration conf) throws IOException {
        PictureModel model = PictureModel.of(job);
        List<String> bad = new ArrayList<>();
        List<Picture> read = new ArrayList<>(); // without their bytes
        List<Outcome> outcomes = new ArrayList<>();
        try (PictureShards.Pictures pictures = PictureShards.open(shard, conf)) {
            List<Picture> batch = new ArrayList<>();
            List<Image> images = new ArrayList<>();
            for (Picture p = pictures.next(); p != null; p = pictures.next()) {
                try {
                    images.add(Images.read(p.bytes(), p.path()));
                    batch.add(new Picture(p.path(), new byte[0], p.caption()));
                } catch (UserError e) {
                    bad.add(p.path() + "\t" + e.getMessage());
                }
                if (batch.size() == job.batch()) {
                    outcomes.addAll(model.read(batch, images));
                    read.addAll(batch);
                    batch.clear();
                    images.clear();
                }
            }
            if (!batch.isEmpty()) {
                outcomes.addAll(model.read(batch, images));
                read.addAll(batch);
            }
        }
        new Writer(shard, job, conf).write(read, outcomes, bad);
        return new Done(read.size(), bad.size(), bad.stream().limit(TOLD).toList());
    }

    /** Writes what came of a shard. */
    private static final class Writer {
        private final Shard shard;
        private final PictureJob job;
        private final Path folder;
        private final FileSystem fs;

        Writer(Shard shard, PictureJob job, Configuration conf) throws IOException {
            this.shard = shard;
            this.job = job;
            this.folder = new Path(job.output());
            this.fs = folder.getFileSystem(conf);
        }

        private interface Content {
            void to(Path file) throws IOException;
        }

        private void place(String kind, String ending, Content content) throws IOException {
            Path target = new Path(new Path(folder, kind), kind + "_" + shard.name() + ending);
            Path unfinished = new Path(folder, ".unfinished-" + kind + shard.name() + "-" + UUID.randomUUID());
            try {
                content.to(unfinished);
                fs.mkdirs(target.getParent());
                fs.delete(target, false);
                if (!fs.rename(unfinished, target)) {
                    throw new IOException(target + ": the finished file cannot be moved into place");
                }
            } finally {
                fs.delete(unfinished, false);
            }
        }

        void write(List<Picture> read, List<Outcome> outcomes, List<String> bad) throws IOException {
            if (!bad.isEmpty()) {
                place("failed", ".txt", file -> {
                    try (OutputStream out = fs.create(file)) {
                        out.write((String.join("\n", bad) + "\n").getBytes(StandardCharsets.UTF_8));
                    }
                });
            }
            boolean embeds = job.work() == Work.EMBED && !outcomes.isEmpty();
            boolean texts = embeds && outcomes.stream().allMatch(o -> o.text().length > 0);
            if (embeds) {
                place(
                        "img_emb",
                        ".npy",
                        file -> halves(
                                file, outcomes.stream().map(Outcome::image).toList()));
            }
            if (texts) {
                place(
                        "text_emb",
                        ".npy",
                        file -> halves(
                                file, outcomes.stream().map(Outcome::text).toList()));
            }
            place("metadata", ".parquet", file -> table(file, read, outcomes));
        }

        /** Float16, as is customary. */
        private void halves(Path file, List<float[]> rows) throws IOException {
            int width = rows.get(0).length;
            try (OutputStream out = fs.create(file)) {
                out.write(Npy.headerOf(2, rows.size(), width));
                for (float[] row : rows) {
                    try (Scope s = Scope.open()) {
                        out.write(Tensor.of(row, width).to(DType.FLOAT16).toBytes());
                    }
                }
            }
        }

        private void table(Path file, List<Picture> read, List<Outcome> outcomes) throws IOException {
            MessageType type =
                    MessageTypeParser.parseMessageType("message pictures { required binary image_path (STRING); "
                            + "optional binary caption (STRING); "
                            + switch (job.work()) {
                                case EMBED -> "optional double similarity; }";
                                case CAPTION -> "required binary generated (STRING); }";
                                case SEGMENT -> "required int32 masks; required binary sa1b (STRING); }";
                            });
            SimpleGroupFactory groups = new SimpleGroupFactory(type);
            try (ParquetWriter<Group> writer = ExampleParquetWriter.builder(file)
                    .withConf(fs.getConf())
                    .withType(type)
                    .build()) {
                for (int i = 0; i < read.size(); i++) {
                    Group g = groups.newGroup().append("image_path", read.get(i).path());
                    String caption = read.get(i).caption();
                    if (caption != null) {
                        g.append("caption", caption);
                    }
                    Outcome o = outcomes.get(i);
                    switch (job.work()) {
                        case EMBED -> {
                            if (o.text().length > 0) {
                                g.append("similarity", similarity(o));
                            }
                        }
                        case CAPTION -> g.append("generated", o.said());
                        case SEGMENT -> g.append("masks", o.masks()).append("sa1b", o.said());
                    }
                    writer.write(g);
                }
            }
            fs.delete(new Path(file.getParent(), "." + file.getName() + ".crc"), false);
        }

        private static double similarity(Outcome o) {
            Embeddings image = Embeddings.of(o.image(), o.image().length);
            return image.cosine(0, Embeddings.of(o.text(), o.text().length), 0);
        }
    }
}
