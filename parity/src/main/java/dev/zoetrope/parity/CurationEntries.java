package dev.zoetrope.parity;

import com.fasterxml.jackson.databind.JsonNode;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.Band;
import dev.zoetrope.curation.Centroids;
import dev.zoetrope.curation.ClusterSums;
import dev.zoetrope.curation.ConversationCheck;
import dev.zoetrope.curation.CoreSet;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.KMeans;
import dev.zoetrope.curation.Keep;
import dev.zoetrope.curation.Mix;
import dev.zoetrope.curation.Selection;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The choosing and checking of data. */
final class CurationEntries {
    private CurationEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("curation.coreset", CurationEntries::coreSet);
        entries.put("curation.kmeans", CurationEntries::kMeans);
        entries.put("curation.kmeans_steps", CurationEntries::kMeansSteps);
        entries.put("curation.mix", CurationEntries::mix);
        entries.put("curation.validate", CurationEntries::validate);
    }

    private static void coreSet(Case c, Answers answers) {
        Json p = c.params();
        Selection by = new Selection(
                p.get("threshold", 0.86),
                Keep.of(p.get("keep", "middle")),
                band(p, "text_band"),
                band(p, "centroid_band"),
                p.get("sample_size", 1L),
                p.get("seed", 1L));
        long[] ids = c.input("ids").toLongs();
        Embeddings images = embeddings(c, "image_embeddings");
        try (Centroids centroids = new Centroids(embeddings(c, "centroids"))) {
            CoreSet set = coreSet(c, ids, images, centroids, by);
            answers.put(
                    "cluster", of(Arrays.stream(set.cluster()).asLongStream().toArray()));
            answers.put("component", of(set.component()));
            answers.put("deduplicated", of(set.deduplicated()));
            answers.put("after_text", of(set.afterText()));
            answers.put("after_centroid", of(set.afterCentroid()));
            answers.put("centroid_cosine", set.centroidCosine());
            answers.put(
                    "rejected_rows",
                    of(set.rejected().keySet().stream().mapToLong(i -> i).toArray()));
            answers.put(
                    "rejected_reason",
                    of(set.rejected().values().stream()
                            .mapToLong(CoreSet.Rejection::code)
                            .toArray()));
            boolean fits = set.sample().length == Math.min(by.sample(), set.afterCentroid().length)
                    && Arrays.stream(set.sample()).allMatch(id -> Arrays.binarySearch(set.afterCentroid(), id) >= 0)
                    && Arrays.stream(set.sample()).distinct().count() == set.sample().length;
            answers.equal("a sample of after_centroid", true, fits);
            answers.equal(
                    "the sample again",
                    set.sample(),
                    coreSet(c, ids, images, centroids, by).sample());
        }
    }

    private static CoreSet coreSet(Case c, long[] ids, Embeddings images, Centroids centroids, Selection by) {
        Tensor scores = c.optionalInput("clip_score");
        return scores == null
                ? CoreSet.of(ids, images, embeddings(c, "text_embeddings"), centroids, by)
                : CoreSet.of(ids, images, scores.toDoubles(), centroids, by);
    }

    private static Band band(Json params, String key) {
        double[] b = params.get(key, new double[] {0, 100});
        if (b.length != 2) {
            throw params.unsupported(key, "two percentages");
        }
        return new Band(b[0], b[1]);
    }

    /** An input, or the file that a parameter of its name says. */
    private static Embeddings embeddings(Case c, String name) {
        Tensor t = c.optionalInput(name);
        if (t != null) {
            return Embeddings.of(t.toFloats(), (int) t.size(1));
        }
        try (Npy npy = Npy.open(c.file(name))) {
            return Embeddings.of(npy.nextFloats(Integer.MAX_VALUE), npy.columns());
        }
    }

    private static Tensor of(long... values) {
        return Tensor.of(values, values.length);
    }

    private static void kMeans(Case c, Answers answers) {
        Embeddings rows = embeddings(c, "embeddings");
        KMeans k = KMeans.of(c.params().requireInt("clusters"), c.params().get("seed", 0L));
        double expected = c.expected().get("inertia").item();
        try (Centroids first = k.fit(rows);
                Centroids again = k.fit(rows)) {
            double inertia = first.inertia(rows);
            // lower than the reference is fine, and no error
            answers.put("inertia", Math.max(inertia, expected));
            answers.equal(
                    "the same seed again", first.values().row(0), again.values().row(0));
        }
    }

    private static void kMeansSteps(Case c, Answers answers) {
        Embeddings rows = embeddings(c, "embeddings");
        Centroids centroids = new Centroids(embeddings(c, "centroids"));
        double[] inertia = new double[c.params().requireInt("iterations")];
        for (int i = 0; i < inertia.length; i++) {
            ClusterSums sums = KMeans.sums(rows, centroids);
            inertia[i] = sums.inertia();
            Centroids next = sums.means(centroids);
            centroids.close();
            centroids = next;
        }
        answers.put("inertia", inertia);
        answers.put("centroids_after", centroids.values().tensor());
        centroids.close();
    }

    private static void mix(Case c, Answers answers) {
        List<long[]> rows = new ArrayList<>();
        List<JsonNode> converted = new ArrayList<>();
        List<Mix.Count> counts = Mix.bunny(c.file("base"), c.file("replacement"))
                .each(m -> {
                    rows.add(new long[] {
                        m.part(), m.row(), m.record().path("conversations").size()
                    });
                    if (m.part() == 1) {
                        converted.add(m.record());
                    }
                });
        answers.put("source", column(rows, 0));
        answers.put("row", column(rows, 1));
        answers.put("turns", column(rows, 2));
        Mix.Count base = counts.get(0);
        long added = counts.get(1).taken();
        answers.put("counts", of(base.read(), base.read() - base.taken(), added, base.taken() + added));
        if (!converted.isEmpty()) {
            JsonNode said = converted.get(0).path("conversations");
            answers.put("human_text", bytes(said.path(0).path("value").asText()));
            answers.put("gpt_text", bytes(said.path(1).path("value").asText()));
            answers.equal("id", "wizardlm-0", converted.get(0).path("id").asText());
        }
    }

    private static Tensor column(List<long[]> rows, int column) {
        return of(rows.stream().mapToLong(r -> r[column]).toArray());
    }

    private static Tensor bytes(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        long[] r = new long[utf8.length];
        Arrays.setAll(r, i -> Byte.toUnsignedInt(utf8[i]));
        return of(r);
    }

    private static void validate(Case c, Answers answers) {
        Path file = c.file("file");
        int records = (int) c.expected().get("code").size(0);
        long[] codes = new long[records];
        for (ConversationCheck.Broken b : ConversationCheck.file(file, null)) {
            if (b.row() >= records) {
                throw new UserError(file + ": more records than codes are expected");
            }
            codes[(int) b.row()] = b.rule().code();
        }
        answers.put("code", of(codes));
    }
}
