package dev.zoetrope.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.zoetrope.curation.Band;
import dev.zoetrope.curation.Clustering;
import dev.zoetrope.curation.ConversationCheck;
import dev.zoetrope.curation.ConversationStatistics;
import dev.zoetrope.curation.EmbeddingSource;
import dev.zoetrope.curation.Keep;
import dev.zoetrope.curation.Mix;
import dev.zoetrope.curation.ScaleOut;
import dev.zoetrope.curation.ScaleOut.CoreSetJob;
import dev.zoetrope.curation.ScaleOut.CoreSetSummary;
import dev.zoetrope.curation.ScaleOut.PictureJob;
import dev.zoetrope.curation.ScaleOut.PictureSummary;
import dev.zoetrope.curation.ScaleOut.Step;
import dev.zoetrope.curation.ScaleOut.Work;
import dev.zoetrope.curation.Selection;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Chooses, makes and checks data. */
@Command(
        name = "curate",
        sortOptions = false,
        description = {
            "Choose a core set, let models read many pictures, mix and check texts.",
            "All but mix and validate run on Apache Spark, in this process or on a cluster.",
            "  zoetrope curate embed --images photos/ --out embedded",
            "  zoetrope curate coreset --embeddings embedded --out chosen --clusters 100",
            "  zoetrope curate mix --recipe recipes/bunny-695k.yaml --out bunny.json",
            "  zoetrope curate validate bunny.json --images images/"
        })
final class Curate implements Runnable {
    private static final int BROKEN_SHOWN = 20;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what: coreset, embed, caption, segment, mix or validate");
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }

    private void tell(String message) {
        PrintWriter err = spec.commandLine().getErr();
        err.println(message);
        err.flush();
    }

    /** Where a job runs. */
    static final class Master {
        @Option(
                names = "--master",
                paramLabel = "URL",
                defaultValue = "local[*]",
                description = "Where it runs: local[N], spark://HOST:PORT, yarn or k8s://URL (default: local[*]).")
        private String url;
    }

    @Command(
            name = "coreset",
            sortOptions = false,
            description = {
                "Choose a core set of pictures by their embeddings, as Bunny did.",
                "Three steps: near-duplicates inside clusters, a band of the fit of picture and text, a band of the"
                        + " likeness to the centroid; then a sample. Each step's rows stand in the output with all their"
                        + " scores. The same call goes on where an earlier one was stopped; one with other settings redoes"
                        + " only what they change. report.html shows what came of it."
            })
    int coreSet(
            @Option(
                            names = "--embeddings",
                            required = true,
                            paramLabel = "PATH",
                            description =
                                    "A folder with img_emb/, text_emb/ and metadata/ as clip-retrieval makes it, Parquet"
                                            + " files, or tars; a path or any URI that Hadoop reads.")
                    String embeddings,
            @Option(
                            names = {"-o", "--out"},
                            required = true,
                            paramLabel = "DIR",
                            description = "Folder of the results.")
                    String output,
            @Option(names = "--clusters", defaultValue = "1000", description = "Clusters of k-means (default: 1000).")
                    int clusters,
            @Option(names = "--centroids", paramLabel = "FILE", description = "Centroids that are there already, .npy.")
                    @Nullable
                    Path centroids,
            @Option(
                            names = "--iterations",
                            defaultValue = "20",
                            description = "The most iterations of k-means (default: 20).")
                    int iterations,
            @Option(
                            names = "--dedup-threshold",
                            defaultValue = "0.95",
                            description =
                                    "Cosine above which two rows are near-duplicates (default: 0.95; Bunny: 0.86).")
                    double threshold,
            @Option(
                            names = "--keep",
                            defaultValue = "first",
                            paramLabel = "RULE",
                            description =
                                    "Which of a component stays: first (the lowest id, default), middle (Bunny's), far,"
                                            + " clip-score-max.")
                    String keep,
            @Option(
                            names = "--keep-similarity",
                            defaultValue = "40-60",
                            paramLabel = "BAND",
                            description =
                                    "Ranks that stay by the fit of picture and text, in percent (default: 40-60).")
                    String similarity,
            @Option(
                            names = "--keep-centroid",
                            defaultValue = "15-35",
                            paramLabel = "BAND",
                            description = "Ranks that stay by the likeness to the centroid (default: 15-35).")
                    String centroid,
            @Option(
                            names = "--sample",
                            defaultValue = "2000000",
                            description = "The most rows that are drawn at last (default: 2000000).")
                    long sample,
            @Option(names = "--seed", defaultValue = "1", description = "Of what is drawn (default: 1).") long seed,
            @Option(
                            names = "--id",
                            paramLabel = "COLUMN",
                            description = "Column of ids, whole numbers (default: the rows are numbered).")
                    @Nullable
                    String id,
            @Option(
                            names = "--image-column",
                            defaultValue = "img_emb",
                            paramLabel = "COLUMN",
                            description = "Embeddings of pictures in Parquet, or what tars' members end in before .npy"
                                    + " (default: img_emb).")
                    String imageColumn,
            @Option(
                            names = "--text-column",
                            defaultValue = "text_emb",
                            paramLabel = "COLUMN",
                            description = "The same of texts (default: text_emb).")
                    String textColumn,
            @Option(
                            names = "--similarity-column",
                            defaultValue = "similarity",
                            paramLabel = "COLUMN",
                            description =
                                    "Cosine of picture and text, where texts have no embeddings (default: similarity).")
                    String similarityColumn,
            @Option(
                            names = "--pictures",
                            paramLabel = "DIR",
                            description = "Folder of the pictures, to show some in the report.")
                    @Nullable
                    String pictures,
            @Option(
                            names = "--picture-column",
                            defaultValue = "image_path",
                            paramLabel = "COLUMN",
                            description = "Their paths in the metadata (default: image_path).")
                    String pictureColumn,
            @Mixin Master master) {
        CoreSetJob job = new CoreSetJob(
                EmbeddingSource.of(embeddings)
                        .withId(id)
                        .withColumns(imageColumn, textColumn, similarityColumn)
                        .withPicture(pictureColumn),
                output,
                new Clustering(clusters, Clustering.of(clusters, seed).rowsPerCluster(), iterations, seed, centroids),
                new Selection(threshold, Keep.of(keep), Band.of(similarity), Band.of(centroid), sample, seed),
                pictures);
        try (ScaleOut spark = ScaleOut.open(master.url, this::tell)) {
            CoreSetSummary r = spark.coreSet(job);
            for (Step s : r.steps()) {
                out().println(String.format(
                        Locale.ROOT, "%12d  %s%s", s.rows(), s.name(), s.reused() ? "  (made earlier)" : ""));
            }
            r.notes().forEach(n -> tell("zoetrope: note: " + n));
            out().println(r.result());
            out().println(r.report());
        }
        return 0;
    }

    /** What jobs that read pictures have in common. */
    static final class PictureOptions {
        @Option(
                names = "--images",
                required = true,
                paramLabel = "PATH",
                description = "A folder of pictures, Parquet files with a column image, or WebDataset tars.")
        private String images;

        @Option(
                names = {"-o", "--out"},
                required = true,
                paramLabel = "DIR",
                description = "Folder of the results.")
        private String output;

        @Option(
                names = "--model",
                paramLabel = "DIR|ORG/NAME",
                description =
                        "Folder of a model, or its name on the hub; clip and sam are the built-in ones (default).")
        private @Nullable String model;

        @Option(
                names = "--batch",
                defaultValue = "16",
                description = "Pictures that go through the model together (default: 16).")
        private int batch;

        @Option(
                names = "--shard",
                defaultValue = "1000",
                description = "Pictures of a folder that one task reads and writes (default: 1000).")
        private int shard;

        @Mixin
        private Master master;

        PictureJob job(Work work, @Nullable String prompt) {
            boolean builtIn = model == null || model.equals("clip") || model.equals("sam");
            return new PictureJob(work, images, output, builtIn ? null : model, batch, shard, prompt);
        }
    }

    @Command(
            name = "embed",
            sortOptions = false,
            description = {
                "Make vectors of many pictures and their captions by CLIP or SigLIP.",
                "Captions are in a .txt beside a picture or in a tar, or in a column caption. img_emb/, text_emb/ and"
                        + " metadata/ in the output are as coreset reads them. Each shard appears when it is done; the same"
                        + " call goes on behind what is there. Pictures that cannot be read are counted, and listed in"
                        + " failed/."
            })
    int embed(@Mixin PictureOptions options) {
        return pictures(options, Work.EMBED, null);
    }

    @Command(
            name = "caption",
            sortOptions = false,
            description = "Caption many pictures by BLIP-2, into metadata/; see embed.")
    int caption(
            @Mixin PictureOptions options,
            @Option(names = "--prompt", paramLabel = "TEXT", description = "How captions begin.") @Nullable
                    String prompt) {
        return pictures(options, Work.CAPTION, prompt);
    }

    @Command(
            name = "segment",
            sortOptions = false,
            description = "Segment everything in many pictures by SAM (stage 3 of its data engine), into metadata/.")
    int segment(@Mixin PictureOptions options) {
        return pictures(options, Work.SEGMENT, null);
    }

    private int pictures(PictureOptions options, Work work, @Nullable String prompt) {
        try (ScaleOut spark = ScaleOut.open(options.master.url, this::tell)) {
            PictureSummary r = spark.pictures(options.job(work, prompt));
            r.firstBad().forEach(b -> tell("zoetrope: " + b.replace("\t", ": ")));
            if (r.bad() > r.firstBad().size()) {
                tell("zoetrope: ... all " + r.bad() + " in " + options.output + "/failed");
            }
            out().println(options.output + "  " + r.pictures() + " pictures in " + (r.shards() - r.skipped())
                    + " shards, " + r.bad() + " bad, " + r.skipped() + " shards were there already");
        }
        return 0;
    }

    @Command(name = "mix", sortOptions = false, description = "Mix conversations from several files, and check them.")
    int mix(
            @Option(names = "--recipe", required = true, paramLabel = "FILE", description = "A YAML file.") Path recipe,
            @Option(
                            names = "--data",
                            paramLabel = "DIR",
                            description = "Folder that the recipe's files are in (default: the recipe's own).")
                    @Nullable
                    Path data,
            @Option(
                            names = "--images",
                            paramLabel = "DIR",
                            description = "Folder of the pictures, to check that they are there.")
                    @Nullable
                    Path images,
            @Option(
                            names = {"-o", "--out"},
                            required = true,
                            paramLabel = "FILE",
                            description = "The mix, a JSON list.")
                    Path output) {
        if (!Files.isRegularFile(recipe)) {
            throw new UserError(recipe + ": there is no such recipe");
        }
        Path folder = data != null ? data : recipe.toAbsolutePath().getParent();
        Findings findings = new Findings(images);
        List<Mix.Count> counts = Mix.read(recipe, folder, Map.of())
                .write(output, m -> findings.add(m.record().path("id").asText(""), m.record()));
        for (Mix.Count c : counts) {
            out().println(String.format(Locale.ROOT, "%10d of %d  %s", c.taken(), c.read(), c.name()));
        }
        out().println(output);
        return findings.report();
    }

    @Command(
            name = "validate",
            sortOptions = false,
            description = "Check conversations in LLaVA's form; exits with 2 if any is broken.")
    int validate(
            @Parameters(paramLabel = "FILE", description = "A JSON list.") Path file,
            @Option(
                            names = "--images",
                            paramLabel = "DIR",
                            description = "Folder of the pictures, to check that they are there.")
                    @Nullable
                    Path images,
            @Option(names = "--all", description = "List every broken record, not only the first 20 of a kind.")
                    boolean all) {
        Findings findings = new Findings(images);
        findings.shown = all ? Integer.MAX_VALUE : BROKEN_SHOWN;
        ConversationCheck.each(file, record -> findings.add(record.path("id").asText(""), record));
        return findings.report();
    }

    /** What checks and counts say of records. */
    private final class Findings {
        private final ConversationCheck check;
        private final ConversationStatistics statistics = new ConversationStatistics();
        private final Map<ConversationCheck.Rule, Long> broken = new LinkedHashMap<>();
        private long row;
        private int shown = BROKEN_SHOWN;

        Findings(@Nullable Path images) {
            check = new ConversationCheck(images);
        }

        void add(String id, JsonNode record) {
            ConversationCheck.Rule rule = check.next(record);
            if (rule == null) {
                statistics.add(record);
            } else if (broken.merge(rule, 1L, Long::sum) <= shown) {
                out().println("record " + row + "  id " + (id.isEmpty() ? "-" : id) + "  " + rule.text());
            }
            row++;
        }

        int report() {
            broken.forEach((rule, n) -> {
                if (n > shown) {
                    out().println("... and " + (n - shown) + " more: " + rule.text());
                }
            });
            out().println(statistics);
            long all = broken.values().stream().mapToLong(n -> n).sum();
            out().println(all + " broken");
            return all == 0 ? 0 : 2;
        }
    }
}
