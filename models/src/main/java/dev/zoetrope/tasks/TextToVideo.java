package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.cogvideox.CogVideoX;
import dev.zoetrope.models.latte.Latte;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.models.wan.Wan;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

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
    private final VideoMaker maker;
    private final String name;

    private TextToVideo(VideoMaker maker, String name) {
        this.maker = maker;
        this.name = name;
    }

    /** The small model that comes with Zoetrope. It knows Carousel, the built-in world, and nothing else. */
    public static TextToVideo builtIn() {
        return new TextToVideo(new SoraMaker(Sora.load(BuiltIn.folder(BuiltIn.SORA))), "builtin:" + BuiltIn.SORA);
    }

    /**
     * A model by the folder that holds its {@code model_index.json}, or by its name on the hub ({@code
     * THUDM/CogVideoX-2b}), from where it comes into the cache: CogVideoX, Latte, Wan, or one that a training run of Sora or VideoPoet left.
     */
    public static TextToVideo load(String folderOrName) {
        return load(Hub.ofEnvironment().resolve(folderOrName), folderOrName);
    }

    /** A model from the folder that holds its {@code model_index.json}. */
    public static TextToVideo load(Path folder) {
        return load(folder, String.valueOf(folder.getFileName()));
    }

    private static TextToVideo load(Path folder, String name) {
        Path index = folder.resolve("model_index.json");
        if (!Files.isRegularFile(index)) {
            throw new UserError(folder + ": no model_index.json; expected the folder of a text-to-video model");
        }
        Json json = Json.read(index);
        VideoMaker maker =
                switch (json.require("_class_name")) {
                    case Sora.CLASS -> new SoraMaker(Sora.load(folder));
                    case VideoPoet.CLASS -> new PoetMaker(VideoPoet.load(folder));
                    case "CogVideoXPipeline", "CogVideoXImageToVideoPipeline", "CogVideoXVideoToVideoPipeline" ->
                        new PipelineMaker(CogVideoX.load(folder));
                    case "LattePipeline" -> new PipelineMaker(Latte.load(folder));
                    case "WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline" ->
                        new PipelineMaker(Wan.load(folder));
                    default ->
                        throw json.unsupported(
                                "_class_name",
                                Sora.CLASS + ", " + VideoPoet.CLASS
                                        + ", CogVideoXPipeline, CogVideoXImageToVideoPipeline, "
                                        + "CogVideoXVideoToVideoPipeline, LattePipeline, WanPipeline, "
                                        + "WanImageToVideoPipeline, WanVideoToVideoPipeline");
                };
        return new TextToVideo(maker, name);
    }

    /**
     * What is wanted.
     *
     * @param prompt what is to be seen
     * @param negative what to keep away from; empty for nothing
     * @param frames 1 is a picture; what else a model can make, it says
     * @param width in pixels; what a model can make, it says
     * @param height in pixels
     * @param fps frames a second at which the clip plays
     * @param steps of the solver, 1 to 1000
     * @param guidanceScale how much the prompt counts; 1 switches guidance off
     * @param seed the same seed gives the same pixels
     * @param start what the clip is made from beside the prompt
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
            long seed,
            Start start) {
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
            Limits.between("frames", frames, 1, Integer.MAX_VALUE);
            Limits.between("width", width, 1, 1 << 16);
            Limits.between("height", height, 1, 1 << 16);
            Limits.between("steps", steps, 1, 1000);
            if (!(fps > 0 && fps <= 120)) {
                throw new UserError("fps " + fps + " is not above 0 and up to 120");
            }
            if (!(guidanceScale >= 0 && guidanceScale <= 50)) {
                throw new UserError("guidance " + guidanceScale + " is not between 0 and 50");
            }
        }

        /** 16 frames of 64x64 at 8 a second, 16 steps, guidance 2.5, seed 0. */
        public static Request of(String prompt) {
            return new Request(prompt, "", 16, 64, 64, 8, 16, 2.5, 0, Start.NOTHING);
        }

        public Request withPrompt(String value) {
            return new Request(value, negative, frames, width, height, fps, steps, guidanceScale, seed, start);
        }

        public Request withNegative(String value) {
            return new Request(prompt, value, frames, width, height, fps, steps, guidanceScale, seed, start);
        }

        public Request withFrames(int value) {
            return new Request(prompt, negative, value, width, height, fps, steps, guidanceScale, seed, start);
        }

        public Request withSize(int newWidth, int newHeight) {
            return new Request(prompt, negative, frames, newWidth, newHeight, fps, steps, guidanceScale, seed, start);
        }

        public Request withFps(double value) {
            return new Request(prompt, negative, frames, width, height, value, steps, guidanceScale, seed, start);
        }

        public Request withSteps(int value) {
            return new Request(prompt, negative, frames, width, height, fps, value, guidanceScale, seed, start);
        }

        public Request withGuidanceScale(double value) {
            return new Request(prompt, negative, frames, width, height, fps, steps, value, seed, start);
        }

        public Request withSeed(long value) {
            return new Request(prompt, negative, frames, width, height, fps, steps, guidanceScale, value, start);
        }

        public Request withStart(Start value) {
            return new Request(prompt, negative, frames, width, height, fps, steps, guidanceScale, seed, value);
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
            if (!start.label().isEmpty()) {
                m.put("start", start.label());
            }
            m.put("model", model);
            m.put("software", "Zoetrope");
            return m;
        }
    }

    /** A request with the frames, size, steps and guidance that suit this model best. */
    public Request request(String prompt) {
        return maker.request(prompt);
    }

    /** The request with the frames and size nearest to its own, and to what it starts from, that this model can make. */
    public Request fitted(Request r) {
        return maker.fitted(r);
    }

    /**
     * Refuses what this model cannot make.
     *
     * @throws UserError that says why, and what it can
     */
    public void check(Request r) {
        maker.check(r);
    }

    /** What a file made by this model from this request says of itself. */
    public Map<String, String> settings(Request r) {
        return r.settings(name);
    }

    /** Words of a prompt that the model has never seen and goes without. */
    public List<String> unknownWords(String prompt) {
        return maker.unknownWords(prompt);
    }

    /** A clip as {@link #request} proposes it. */
    public GeneratedVideo generate(String prompt) {
        return generate(request(prompt), Progress.NONE);
    }

    /**
     * @param progress told after each step
     * @throws java.util.concurrent.CancellationException when progress says stop
     */
    public GeneratedVideo generate(Request r, Progress progress) {
        return watch(r, listener(progress));
    }

    private static ImageListener listener(Progress progress) {
        return (step, steps, preview) -> progress.step(step, steps);
    }

    /**
     * A clip whose making can be watched.
     *
     * @param listener told after each step, with the frames as they are foreseen
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    public GeneratedVideo watch(Request r, ImageListener listener) {
        List<Image> frames = new ArrayList<>();
        List<Audio> sound = new ArrayList<>();
        double seconds = make(r, listener, frames::add, sound::add);
        if (r.start() instanceof Start.Silent s) {
            frames.addAll(s.clip().frames());
        }
        Clip clip = new Clip(frames, r.fps(), sound.isEmpty() ? null : sound.get(0));
        return new GeneratedVideo(clip, settings(r), unknownWords(r.prompt()), seconds);
    }

    /**
     * The same without holding the clip: memory does not grow with its length where the model makes it piece by piece, as
     * the built-in one does.
     *
     * @param frames told of each frame in turn; where a clip is extended, of the new ones only
     * @return seconds of a step
     */
    public double generate(Request r, Progress progress, Consumer<Image> frames) {
        return generate(r, progress, frames, sound -> {});
    }

    /**
     * The same with sound.
     *
     * @param sound told once, behind the frames, how they sound; never where the model makes none
     * @return seconds of a step
     */
    public double generate(Request r, Progress progress, Consumer<Image> frames, Consumer<Audio> sound) {
        return make(r, listener(progress), frames, sound);
    }

    private synchronized double make(Request r, ImageListener listener, Consumer<Image> frames, Consumer<Audio> sound) {
        check(r);
        return maker.make(r, listener, frames, sound);
    }

    /** Whether this model's clips come with sound. */
    public boolean sounds() {
        return maker.sounds();
    }

    @Override
    public synchronized void close() {
        maker.close();
    }
}
