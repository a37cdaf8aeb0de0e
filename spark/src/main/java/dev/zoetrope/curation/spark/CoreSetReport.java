package dev.zoetrope.curation.spark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.curation.ScaleOut.CoreSetJob;
import dev.zoetrope.curation.ScaleOut.Step;
import dev.zoetrope.curation.Selection;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.functions;
import org.jspecify.annotations.Nullable;

/** One page that says what each step kept: counts, histograms, and pictures where there are any. */
final class CoreSetReport {
    private static final int BINS = 50;
    private static final int EXAMPLES = 8;
    private static final int THUMBNAIL = 96;

    private final CoreSetJob job;
    private final EmbeddingInput input;
    private final List<Step> steps;
    private final Map<String, Double> seconds;
    private final List<String> notes;

    CoreSetReport(
            CoreSetJob job, EmbeddingInput input, List<Step> steps, Map<String, Double> seconds, List<String> notes) {
        this.job = job;
        this.input = input;
        this.steps = steps;
        this.seconds = seconds;
        this.notes = notes;
    }

    void write(
            StepStore store,
            Dataset<Row> deduplicated,
            Dataset<Row> afterText,
            Dataset<Row> afterCentroid,
            Dataset<Row> coreSet) {
        Map<String, Object> summary = new LinkedHashMap<>();
        steps.forEach(s -> summary.put(s.name(), s.rows()));
        summary.put("seconds", seconds);
        summary.put("notes", notes);
        try {
            store.writeText(
                    "summary.json",
                    new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(summary));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }

        Selection by = job.selection();
        StringBuilder body = new StringBuilder();
        body.append(table());
        if (!notes.isEmpty()) {
            body.append("<h2>Notes</h2><ul>");
            notes.forEach(n -> body.append("<li>").append(escaped(n)).append("</li>"));
            body.append("</ul>");
        }
        body.append(
                        "<h2>1. Near-duplicates</h2><p>Two rows of a cluster are near-duplicates when their cosine is above ")
                .append(by.threshold())
                .append("; of each component one row stays (")
                .append(by.keep())
                .append(").</p>");
        body.append(bars("Components by their number of rows", sizes(deduplicated, "component", false)));
        body.append(bars("Clusters by their number of rows", sizes(deduplicated, "cluster", true)));
        body.append("<h2>2. Picture and text</h2><p>Of the rest by falling cosine of picture and text the band ")
                .append(by.similarity())
                .append(" % stays.</p>");
        body.append(histogram("Cosine of picture and text", deduplicated, afterText, "similarity"));
        body.append("<h2>3. Centroid</h2><p>Of the rest by falling cosine to the centroid the band ")
                .append(by.centroid())
                .append(" % stays.</p>");
        body.append(histogram("Cosine to the centroid", afterText.where("kept"), afterCentroid, "centroid_cosine"));
        body.append(examples(deduplicated, afterText, afterCentroid, coreSet));
        store.writeText("report.html", PAGE.formatted(escaped(job.source().location()), body));
    }

    private String table() {
        StringBuilder s = new StringBuilder(
                "<table><tr><th>step</th><th>rows</th><th>of the step before</th><th>seconds</th></tr>");
        long before = 0;
        for (Step step : steps) {
            Double took = seconds.get(step.name().equals("usable") ? "assigned" : step.name());
            s.append(String.format(
                    Locale.ROOT,
                    "<tr><td>%s</td><td>%,d</td><td>%s</td><td>%s</td></tr>",
                    NAMES.getOrDefault(step.name(), step.name()),
                    step.rows(),
                    before == 0 ? "" : String.format(Locale.ROOT, "%.1f %%", 100.0 * step.rows() / before),
                    took == null ? step.reused() ? "made earlier" : "" : String.format(Locale.ROOT, "%.1f", took)));
            before = step.rows();
        }
        Double kMeans = seconds.get("centroids");
        return s.append("</table>")
                .append(kMeans == null ? "" : String.format(Locale.ROOT, "<p>k-means took %.1f s.</p>", kMeans))
                .toString();
    }

    private static final Map<String, String> NAMES = Map.of(
            "rows", "read",
            "usable", "usable, assigned to clusters",
            "deduplicated", "1. one of each component of near-duplicates",
            "by-similarity", "2. band of picture and text",
            "by-centroid", "3. band of the centroid",
            "core-set", "sample: the core set");

    // ---- histograms ----

    /** How many components, or clusters, have so many rows: 1, 2, 3-4, 5-8, ... */
    private static Map<String, Long> sizes(Dataset<Row> rows, String by, boolean coarse) {
        TreeMap<Integer, Long> powers = new TreeMap<>();
        rows.groupBy(by)
                .count()
                .selectExpr("cast(ceil(log2(`count`)) as int) as power")
                .groupBy("power")
                .count()
                .collectAsList()
                .forEach(r -> powers.put(r.getInt(0), r.getLong(1)));
        Map<String, Long> r = new LinkedHashMap<>();
        int from = coarse && !powers.isEmpty() ? powers.firstKey() : 0;
        for (int p = from; !powers.isEmpty() && p <= powers.lastKey(); p++) {
            long low = p == 0 ? 1 : (1L << (p - 1)) + 1;
            long high = 1L << p;
            r.put(low == high ? String.valueOf(low) : low + "-" + high, powers.getOrDefault(p, 0L));
        }
        return r;
    }

    private static String bars(String title, Map<String, Long> counts) {
        StringBuilder s = new StringBuilder("<figure><figcaption>" + title + "</figcaption>");
        long most = counts.values().stream().mapToLong(l -> l).max().orElse(1);
        int width = 58;
        s.append(String.format(
                Locale.ROOT, "<svg viewBox=\"0 0 %d 150\" width=\"%<d\">", Math.max(1, counts.size()) * width + 10));
        int x = 5;
        for (Map.Entry<String, Long> e : counts.entrySet()) {
            // Counts fall over powers of ten: the height is their logarithm.
            double height =
                    e.getValue() == 0 ? 0 : 8 + 92 * Math.log(e.getValue()) / Math.log((double) Math.max(2, most));
            s.append(String.format(
                    Locale.ROOT,
                    "<rect class=\"all\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>"
                            + "<text x=\"%d\" y=\"%.1f\">%s</text><text x=\"%d\" y=\"143\">%s</text>",
                    x,
                    125 - height,
                    width - 8,
                    height,
                    x + (width - 8) / 2,
                    121 - height,
                    compact(e.getValue()),
                    x + (width - 8) / 2,
                    e.getKey()));
            x += width;
        }
        return s.append("</svg></figure>").toString();
    }

    private static String compact(long n) {
        if (n >= 10_000_000) {
            return n / 1_000_000 + "M";
        }
        return n >= 10_000 ? n / 1000 + "k" : String.valueOf(n);
    }

    /** Of all rows, and of them those that the step kept. */
    private static String histogram(String title, Dataset<Row> all, Dataset<Row> ranked, String column) {
        Row range = all.selectExpr("min(" + column + ")", "max(" + column + ")").first();
        if (range.isNullAt(0)) {
            return "<p>No rows.</p>";
        }
        double low = range.getDouble(0);
        double high = Math.max(range.getDouble(1), low + 1e-6);
        long[] before = bins(all, column, low, high);
        long[] kept = bins(ranked.where("kept"), column, low, high);
        long most = 1;
        for (long b : before) {
            most = Math.max(most, b);
        }
        StringBuilder s = new StringBuilder("<figure><figcaption>" + title
                + ": <span class=\"key all\"></span> before, <span class=\"key kept\"></span> kept</figcaption>"
                + "<svg viewBox=\"-15 0 650 180\" width=\"650\">");
        for (int i = 0; i < BINS; i++) {
            bar(s, "all", i, before[i], most);
            bar(s, "kept", i, kept[i], most);
        }
        for (int i = 0; i <= 5; i++) {
            s.append(String.format(
                    Locale.ROOT, "<text x=\"%d\" y=\"172\">%.3f</text>", 10 + i * 120, low + (high - low) * i / 5));
        }
        return s.append("</svg></figure>").toString();
    }

    private static void bar(StringBuilder s, String kind, int bin, long count, long most) {
        double height = 150.0 * count / most;
        s.append(String.format(
                Locale.ROOT,
                "<rect class=\"%s\" x=\"%d\" y=\"%.2f\" width=\"11\" height=\"%.2f\"/>",
                kind,
                10 + bin * 12,
                155 - height,
                height));
    }

    private static long[] bins(Dataset<Row> rows, String column, double low, double high) {
        long[] r = new long[BINS];
        rows.selectExpr(String.format(
                        Locale.ROOT,
                        "least(%d, cast(floor((%s - (%s)) / (%s) * %d) as int)) as bin",
                        BINS - 1,
                        column,
                        number(low),
                        number(high - low),
                        BINS))
                .groupBy("bin")
                .count()
                .collectAsList()
                .forEach(b -> r[Math.max(0, b.getInt(0))] = b.getLong(1));
        return r;
    }

    private static String number(double d) {
        return "cast('" + d + "' as double)";
    }

    // ---- examples ----

    private record Example(long position, String caption) {}

    private String examples(
            Dataset<Row> deduplicated, Dataset<Row> afterText, Dataset<Row> afterCentroid, Dataset<Row> coreSet) {
        Map<String, List<Example>> groups = new LinkedHashMap<>();
        groups.put("Dropped as near-duplicates, each behind the one that stayed", pairs(deduplicated));
        groups.put(
                "Dropped for too good a fit of picture and text",
                scored(afterText, "not kept", functions.col("rank"), "similarity"));
        groups.put(
                "Dropped for too bad a fit",
                scored(afterText, "not kept", functions.col("rank").desc(), "similarity"));
        groups.put(
                "Dropped as too near to the centroid",
                scored(afterCentroid, "not kept", functions.col("rank"), "centroid_cosine"));
        groups.put(
                "Dropped as too far from it",
                scored(afterCentroid, "not kept", functions.col("rank").desc(), "centroid_cosine"));
        groups.put("Kept: the core set", scored(coreSet, "true", functions.col("id"), "similarity"));
        List<Long> positions = new ArrayList<>();
        groups.values().forEach(g -> g.forEach(e -> positions.add(e.position)));
        Map<Long, String> paths = input.pictures(positions);
        Map<Long, String> pictures = new HashMap<>();
        paths.forEach((position, path) -> {
            String shown = thumbnail(path);
            if (shown != null) {
                pictures.put(position, shown);
            }
        });
        if (pictures.isEmpty()) {
            return "";
        }
        StringBuilder s = new StringBuilder("<h2>Examples</h2>");
        groups.forEach((title, group) -> {
            s.append("<h3>").append(title).append("</h3><div class=\"pictures\">");
            group.forEach(e -> s.append("<figure>")
                    .append(pictures.getOrDefault(e.position, "<span class=\"none\">no picture</span>"))
                    .append("<figcaption>")
                    .append(e.caption)
                    .append("</figcaption></figure>"));
            s.append("</div>");
        });
        return s.toString();
    }

    private static List<Example> pairs(Dataset<Row> deduplicated) {
        Dataset<Row> dropped =
                deduplicated.where("not survivor").orderBy("component", "id").limit(EXAMPLES / 2);
        Dataset<Row> stayed = deduplicated.where("survivor").selectExpr("component", "position as at", "id as other");
        List<Example> r = new ArrayList<>();
        dropped.join(stayed, "component")
                .orderBy("component", "id")
                .collectAsList()
                .forEach(row -> {
                    r.add(new Example(row.getAs("at"), "stayed: " + row.getAs("other")));
                    r.add(new Example(row.getAs("position"), "dropped: " + row.getAs("id")));
                });
        return r;
    }

    private static List<Example> scored(Dataset<Row> rows, String which, Column order, String score) {
        List<Example> r = new ArrayList<>();
        rows.where(which)
                .orderBy(order)
                .limit(EXAMPLES)
                .select("position", "id", score)
                .collectAsList()
                .forEach(row -> r.add(new Example(
                        row.getLong(0), row.getLong(1) + String.format(Locale.ROOT, ", %.3f", row.getDouble(2)))));
        return r;
    }

    /** The picture as a part of the page; null where it cannot be read. */
    private @Nullable String thumbnail(String path) {
        String root = job.pictures();
        if (root == null) {
            return null;
        }
        try {
            Image image = Images.read(java.nio.file.Path.of(root).resolve(path));
            double scale = Math.min(1, (double) THUMBNAIL / Math.max(image.width(), image.height()));
            Image small = Resize.to(
                    image,
                    Math.max(1, (int) Math.round(image.width() * scale)),
                    Math.max(1, (int) Math.round(image.height() * scale)),
                    Filter.BILINEAR);
            return "<img alt=\"\" src=\"data:image/jpeg;base64,"
                    + Base64.getEncoder().encodeToString(Images.jpeg(small, 85)) + "\">";
        } catch (UserError e) {
            return null;
        }
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    private static final String PAGE =
            """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>Core set</title>
            <style>
              body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
              table { border-collapse: collapse } th, td { padding: .25rem .9rem .25rem 0; text-align: left }
              td:nth-child(n+2), th:nth-child(n+2) { text-align: right; font-variant-numeric: tabular-nums }
              th { font-weight: 600; border-bottom: 1px solid #bbb }
              figure { margin: 1rem 0 } figcaption { font-size: 13px; color: #555 }
              svg { max-width: 100%%; height: auto } svg text { font-size: 10px; text-anchor: middle; fill: #555 }
              .all { fill: #c3cfdd; background: #c3cfdd } .kept { fill: #2b6cb0; background: #2b6cb0 }
              .key { display: inline-block; width: .8em; height: .8em }
              .pictures { display: flex; flex-wrap: wrap; gap: .6rem } .pictures figure { margin: 0; width: 104px }
              .pictures img { display: block } .none { display: block; height: 96px; background: #eee; color: #888 }
            </style>
            <h1>Core set of %s</h1>
            %s
            </html>
            """;
}
