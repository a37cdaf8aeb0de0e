package dev.zoetrope.tasks;

import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A sentence becomes a clip.
 *
 * <pre>{@code
 * try (var model = TextToVideo.builtIn()) {
 *     model.generate("a fox bouncing on a blue background").save(Path.of("fox.mp4"));
 * }
 * }</pre>
 *
 * One generation at a time: calls from several threads wait for each other.
 */
public final class TextToVideo implements AutoCloseable {
    /** Time is spent where the caption decides; the value that the built-in model is trained with. */
    private static final double SHIFT = 4;

    private final Sora model;
    private final String name;

    private TextToVideo(Sora model, String name) {
        this.model = model;
        this.name = name;
    }

    /** The small model that comes with Zoetrope. It knows Carousel, the built-in world, and nothing else. */
    public static TextToVideo builtIn() {
        return new TextToVideo(Sora.load(BuiltIn.folder(BuiltIn.SORA)), "builtin:" + BuiltIn.SORA);
    }

    /** A model of the same kind from a folder, such as the {@code model} that a training run leaves. */
    public static TextToVideo load(Path folder) {
        return new TextToVideo(Sora.load(folder), folder.getFileName().toString());
    }

    /**
     * What is wanted.
     *
     * @param prompt what is to be seen
     * @param negative what to keep away from; empty for nothing
     * @param frames 1 (a picture) to 120
     * @param width in pixels, a multiple of 16 up to 256
     * @param height in pixels, a multiple of 16 up to 256
     * @param fps frames a second at which the clip plays
     * @param steps of the solver, 1 to 1000
     * @param guidanceScale how much the prompt counts; 1 switches guidance off
     * @param seed the same seed gives the same pixels
     */
    public record Request(
            String prompt,
            String negative,
            int frames,
            int width,
            int height,
            double fps,
            int steps,
            double guidanceScale,
            long seed) {
        private static final int LONGEST = 4000;

        public Request {
            if (prompt.isBlank()) {
                throw new UserError("the prompt is empty; say what is to be seen, such as "
                        + "\"a fox bouncing on a blue background\"");
            }
            if (prompt.length() > LONGEST || negative.length() > LONGEST) {
                throw new UserError("the prompt has " + Math.max(prompt.length(), negative.length())
                        + " characters; at most " + LONGEST + " are read");
            }
            between("frames", frames, 1, 120);
            side("width", width);
            side("height", height);
            between("steps", steps, 1, 1000);
            if (!(fps > 0 && fps <= 120)) {
                throw new UserError("fps " + fps + " is not above 0 and up to 120");
            }
            if (!(guidanceScale >= 0 && guidanceScale <= 50)) {
                throw new UserError("guidance " + guidanceScale + " is not between 0 and 50");
            }
        }

        /** 16 frames of 64x64 at 8 a second, 16 steps, guidance 2.5, seed 0. */
        public static Request of(String prompt) {
            return new Request(prompt, "", 16, 64, 64, 8, 16, 2.5, 0);
        }

        public Request withNegative(String value) {
            return new Request(prompt, value, frames, width, height, fps, steps, guidanceScale, seed);
        }

        public Request withFrames(int value) {
            return new Request(prompt, negative, value, width, height, fps, steps, guidanceScale, seed);
        }

        public Request withSize(int newWidth, int newHeight) {
            return new Request(prompt, negative, frames, newWidth, newHeight, fps, steps, guidanceScale, seed);
        }

        public Request withFps(double value) {
            return new Request(prompt, negative, frames, width, height, value, steps, guidanceScale, seed);
        }

        public Request withSteps(int value) {
            return new Request(prompt, negative, frames, width, height, fps, value, guidanceScale, seed);
        }

        public Request withGuidanceScale(double value) {
            return new Request(prompt, negative, frames, width, height, fps, steps, value, seed);
        }

        public Request withSeed(long value) {
            return new Request(prompt, negative, frames, width, height, fps, steps, guidanceScale, value);
        }

        private static void side(String what, int pixels) {
            between(what, pixels, 16, 256);
            if (pixels % 16 != 0) {
                throw new UserError(what + " " + pixels + " is not a multiple of 16; the nearest are "
                        + pixels / 16 * 16 + " and " + (pixels / 16 + 1) * 16);
            }
        }

        private static void between(String what, int value, int least, int most) {
            if (value < least || value > most) {
                throw new UserError(what + " " + value + " is not between " + least + " and " + most);
            }
        }

        /** As files carry it: everything that makes the clip again. */
        Map<String, String> settings(String model) {
            Map<String, String> m = new LinkedHashMap<>();
            m.put("prompt", prompt);
            if (!negative.isEmpty()) {
                m.put("negative_prompt", negative);
            }
            m.put("seed", Long.toString(seed));
            m.put("steps", Integer.toString(steps));
            m.put("guidance_scale", Double.toString(guidanceScale));
            m.put("frames", Integer.toString(frames));
            m.put("size", width + "x" + height);
            m.put("fps", String.format(Locale.ROOT, "%s", fps));
            m.put("model", model);
            m.put("software", "Zoetrope");
            return m;
        }
    }

    /** A clip with the defaults of {@link Request#of}. */
    public GeneratedVideo generate(String prompt) {
        return generate(Request.of(prompt), Progress.NONE);
    }

    /**
     * @param progress told after each step
     * @throws java.util.concurrent.CancellationException when progress says stop
     */
    public synchronized GeneratedVideo generate(Request r, Progress progress) {
        fits(r.prompt());
        fits(r.negative());
        long[] stepsEnd = new long[1];
        long start = System.nanoTime();
        try (Scope s = Scope.open()) {
            Tensor video = model.sample(
                    List.of(r.prompt()),
                    List.of(r.negative()),
                    new long[] {r.seed()},
                    new Sora.Sampling(r.frames(), r.width(), r.height(), r.steps(), r.guidanceScale(), SHIFT),
                    (step, steps) -> {
                        stepsEnd[0] = System.nanoTime();
                        return progress.step(step, steps);
                    }); // [1, 3, T, H, W]
            return new GeneratedVideo(
                    VideoTensors.toClip(video.select(0, 0), r.fps()),
                    r.settings(name),
                    model.unknownWords(r.prompt()),
                    (stepsEnd[0] - start) / 1e9 / r.steps());
        }
    }

    private void fits(String prompt) {
        int words = model.words(prompt);
        int most = model.captionEncoder().config().maxLength();
        if (words > most) {
            throw new UserError("the prompt has " + words + " words; this model reads at most " + most);
        }
    }

    @Override
    public synchronized void close() {
        model.close();
    }
}
