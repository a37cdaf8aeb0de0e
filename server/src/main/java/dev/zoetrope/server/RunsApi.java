package dev.zoetrope.server;

import dev.zoetrope.training.Curves;
import io.javalin.http.Context;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** How trainings go: the curves in their event files and the newest samples. */
final class RunsApi {
    private static final int MOST_POINTS = 600;

    private final @Nullable Path root;

    /** @param root folder of run folders; null for none */
    RunsApi(@Nullable Path root) {
        this.root = root;
    }

    private Map<String, Path> runs() {
        Map<String, Path> r = new LinkedHashMap<>();
        if (root != null && Files.isDirectory(root)) {
            try (Stream<Path> all = Files.list(root)) {
                all.filter(p -> Files.isDirectory(p.resolve("events")))
                        .sorted(Comparator.comparing(RunsApi::changed).reversed())
                        .forEach(p -> r.put(Pictures.id(p.toString()), p));
            } catch (IOException e) {
                return r; // it went away while it was read
            }
        }
        return r;
    }

    private static long changed(Path run) {
        long newest = 0;
        for (Path p : below(run.resolve("events"))) {
            newest = Math.max(newest, p.toFile().lastModified());
            for (Path file : below(p)) {
                newest = Math.max(newest, file.toFile().lastModified());
            }
        }
        return newest;
    }

    private static List<Path> below(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.sorted().toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    void list(Context ctx) {
        List<Map<String, Object>> all = new ArrayList<>();
        runs().forEach((id, p) ->
                all.add(Map.of("id", id, "name", String.valueOf(p.getFileName()), "changed", changed(p))));
        Answers.json(ctx, Map.of("runs", all));
    }

    private Path run(Context ctx) {
        Path run = runs().get(ctx.pathParam("run"));
        if (run == null) {
            throw ApiError.notFound("not_found", "there is no such run");
        }
        return run;
    }

    void curves(Context ctx) {
        Path run = run(ctx);
        List<Map<String, Object>> stages = new ArrayList<>();
        for (Path stage : below(run.resolve("events"))) {
            if (Files.isDirectory(stage)) {
                List<Map<String, Object>> curves = new ArrayList<>();
                Curves.read(stage).forEach((tag, points) -> curves.add(curve(tag, points)));
                stages.add(Map.of("name", String.valueOf(stage.getFileName()), "curves", curves));
            }
        }
        List<String> samples = below(run).stream()
                .map(p -> String.valueOf(p.getFileName()))
                .filter(n -> n.endsWith(".png"))
                .toList();
        Answers.json(ctx, Map.of("stages", stages, "samples", samples, "changed", changed(run)));
    }

    /** Thinned by means, so that a long run fits a screen. */
    private static Map<String, Object> curve(String tag, List<Curves.Point> points) {
        int group = (points.size() + MOST_POINTS - 1) / MOST_POINTS;
        List<Long> steps = new ArrayList<>();
        List<Double> values = new ArrayList<>();
        for (int i = 0; i < points.size(); i += group) {
            List<Curves.Point> some = points.subList(i, Math.min(points.size(), i + group));
            double mean = some.stream()
                    .mapToDouble(Curves.Point::value)
                    .filter(Double::isFinite)
                    .average()
                    .orElse(0);
            steps.add(some.get(some.size() - 1).step());
            values.add(mean);
        }
        return Map.of("name", tag, "steps", steps, "values", values);
    }

    void sample(Context ctx) {
        String name = ctx.pathParam("name");
        for (Path p : below(run(ctx))) {
            if (String.valueOf(p.getFileName()).equals(name) && name.endsWith(".png")) {
                try {
                    ctx.contentType("image/png").result(Files.readAllBytes(p));
                    return;
                } catch (IOException e) {
                    break;
                }
            }
        }
        throw ApiError.notFound("not_found", "there is no such picture");
    }
}
