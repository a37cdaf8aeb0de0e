package dev.zoetrope.training.video;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.evaluation.Mean;
import dev.zoetrope.training.judge.ObjectJudge;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Clips from anywhere, of which nothing is known but their pixels and, it may be, the prompt that their files carry.
 * Features come from the judge of Carousel's objects, or from a CLIP or SigLIP, which can say too how well a clip fits its
 * prompt.
 */
public final class FolderEvaluation {
    private static final Set<String> ENDINGS = Set.of("mp4", "gif", "webp", "webm", "mov", "mkv", "avi");
    /** Frames read of each clip: the first ones, so that steps in time stay what they are. */
    private static final int FRAMES = 64;

    /**
     * @param clips how many were measured
     * @param fit cosine of the frames to the prompt; nothing without a CLIP or without prompts
     * @param frechet distance to the reference; not a number without one
     */
    public record Result(
            int clips,
            Mean consistency,
            Mean firstToLast,
            Mean jerk,
            Mean flicker,
            Mean drift,
            Mean fit,
            double frechet) {}

    private FolderEvaluation() {}

    /** The clips in a folder, by name. */
    public static List<Path> clips(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> r =
                    files.filter(f -> ENDINGS.contains(ending(f))).sorted().toList();
            if (r.isEmpty()) {
                throw new UserError(folder + ": no clips in this folder; expected files that end in " + ENDINGS);
            }
            return r;
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read (" + e + "); expected a folder of clips", e);
        }
    }

    private static String ending(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return name.substring(name.lastIndexOf('.') + 1);
    }

    /** A clip's first frames. */
    public static Clip read(Path file) {
        return Clips.read(file, Clips.Limits.first(FRAMES));
    }

    /**
     * @param encoder for features and prompts; null for the judge's features alone
     * @param reference clips that the others should be like; empty for none
     */
    public static Result run(
            List<Path> files, List<Path> reference, ObjectJudge judge, @Nullable Embed encoder, Progress progress) {
        try (ClipFeatures made = features(judge, encoder);
                ClipFeatures real = features(judge, encoder)) {
            int of = files.size() + reference.size();
            int done = 0;
            List<Steadiness> all = new ArrayList<>();
            List<Double> fits = new ArrayList<>();
            for (Path file : files) {
                List<Image> frames = read(file).frames();
                try (Scope s = Scope.open()) {
                    Tensor f = made.frames(frames);
                    made.add(f);
                    all.add(Steadiness.of(frames, f));
                    String prompt = prompt(file);
                    if (encoder != null && !prompt.isEmpty()) {
                        fits.add(fit(f, encoder.text(prompt)));
                    }
                }
                step(progress, ++done, of);
            }
            for (Path file : reference) {
                real.add(read(file));
                step(progress, ++done, of);
            }
            return new Result(
                    all.size(),
                    mean(all, Steadiness::consistency),
                    mean(all, Steadiness::firstToLast),
                    mean(all, Steadiness::jerk),
                    mean(all, Steadiness::flicker),
                    mean(all, Steadiness::drift),
                    Mean.of(fits),
                    reference.isEmpty() ? Double.NaN : made.distance(real));
        }
    }

    private static ClipFeatures features(ObjectJudge judge, @Nullable Embed encoder) {
        return encoder == null ? ClipFeatures.of(judge) : ClipFeatures.of(encoder);
    }

    private static void step(Progress progress, int done, int of) {
        if (!progress.step(done, of)) {
            throw new java.util.concurrent.CancellationException("stopped after " + done + " clips");
        }
    }

    /** The prompt that a file made here carries; empty for none. */
    private static String prompt(Path file) {
        Map<String, String> m = Clips.metadata(file);
        if (m.containsKey("prompt")) {
            return m.get("prompt");
        }
        try {
            JsonNode json = new ObjectMapper().readTree(m.getOrDefault("comment", ""));
            return json.path("prompt").asText("");
        } catch (IOException e) {
            return ""; // somebody else's comment
        }
    }

    private static double fit(Tensor frames, float[] text) {
        float[] mean = frames.mean(0).toFloats();
        return Steadiness.cosine(mean, text);
    }

    private static Mean mean(List<Steadiness> all, Function<Steadiness, Double> of) {
        return Mean.of(all.stream().map(of).toList());
    }

    /** The table in Markdown, with 95 % intervals. */
    public static String table(Result r) {
        return String.format(
                Locale.ROOT,
                "| clips | consistency | last to first frame | jerk | flicker | border drift | prompt fit | Frechet distance |%n"
                        + "|---|---|---|---|---|---|---|---|%n| %d | %s | %s | %s | %s | %s | %s | %s |%n",
                r.clips(),
                r.consistency(),
                r.firstToLast(),
                r.jerk(),
                r.flicker(),
                r.drift(),
                r.fit(),
                Double.isNaN(r.frechet()) ? "-" : String.format(Locale.ROOT, "%.3f", r.frechet()));
    }
}
