package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.ClipWriter;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Resize;
import dev.zoetrope.media.Soundtrack;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Recaption;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.Storyboard;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Recipe;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Makes clips from a sentence. */
@Command(
        name = "generate",
        sortOptions = false,
        description = {
            "Make a clip, or a picture, from a sentence.",
            "  zoetrope generate \"a fox bouncing on a blue background\" -o fox.mp4",
            "  zoetrope generate \"a fox bouncing\" --extend fox.mp4 --seconds 4 -o longer.mp4",
            "  zoetrope generate \"a cat on a beach\" --model THUDM/CogVideoX-2b --seconds 6 -o cat.mp4",
            "  zoetrope generate \"a fox bouncing\" --model runs/videopoet/model -o fox.mp4   (with sound)",
            "  zoetrope generate image \"a sneaker\" --model DIR -o sneaker.png"
        },
        subcommands = GenerateImage.class)
final class Generate implements Callable<Integer> {
    private static final int MOST = 1000;
    private static final int ENLARGEMENT = 4;
    private static final int SMALL = 256;
    static final double LONGEST = 3600;

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    // Neither is required by annotation: a subcommand is called without them.
    @Parameters(arity = "0..1", paramLabel = "PROMPT", description = "What is to be seen.")
    private @Nullable String prompt;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description =
                    "Ends in .mp4, .gif or .webp; .png or .jpg with --frames 1; without ending: a folder of PNGs.")
    private @Nullable Path output;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed gives the same pixels (default: random).")
    private @Nullable Long seed;

    @Option(
            names = "--steps",
            paramLabel = "N",
            description = "Steps of the solver (default: 16; of other models, theirs).")
    private @Nullable Integer steps;

    @Option(
            names = "--guidance",
            paramLabel = "X",
            description = "How much the prompt counts; 1 switches guidance off (default: 2.5).")
    private @Nullable Double guidance;

    @Option(names = "--negative", paramLabel = "TEXT", description = "What to keep away from.")
    private String negative = "";

    @Option(names = "--frames", paramLabel = "N", description = "Frames; 1 is a picture (default: 16).")
    private @Nullable Integer frames;

    @Option(
            names = "--seconds",
            paramLabel = "X",
            description = "Length instead of --frames; long clips are made and written piece by piece.")
    private @Nullable Double seconds;

    @Option(names = "--image", paramLabel = "FILE", description = "The first frame.")
    private @Nullable Path image;

    @Option(names = "--video", paramLabel = "FILE", description = "A clip that is made anew, see --strength.")
    private @Nullable Path video;

    @Option(names = "--strength", paramLabel = "X", description = "How much of --video is made anew (default: 0.6).")
    private double strength = 0.6;

    @Option(names = "--extend", paramLabel = "FILE", description = "A clip that goes on, or starts earlier.")
    private @Nullable Path extend;

    @Option(names = "--forward", description = "With --extend: the end goes on (default).")
    private boolean forward;

    @Option(names = "--backward", description = "With --extend: the beginning is preceded.")
    private boolean backward;

    @Option(
            names = "--connect",
            paramLabel = "FILE",
            arity = "2",
            description = "Two clips that are led from the one into the other.")
    private List<Path> connect = List.of();

    @Option(
            names = "--sound-of",
            paramLabel = "FILE",
            description = "A clip that gets sound, by a model that makes sound; its frames stay.")
    private @Nullable Path silent;

    @Option(names = "--loop", description = "The end leads to the beginning.")
    private boolean loop;

    @Option(
            names = "--storyboard",
            paramLabel = "FILE",
            description =
                    "Scenes in YAML or JSON instead of a prompt: a list \"scenes\" of prompt, seconds and transition "
                            + "(cut, fade, flow).")
    private @Nullable Path storyboard;

    @Option(
            names = "--size",
            paramLabel = "WxH",
            converter = PixelSize.Converter.class,
            description = "Pixels the model makes (default: 64x64).")
    private @Nullable PixelSize size;

    @Option(names = "--fps", paramLabel = "X", description = "Frames a second (default: 8).")
    private @Nullable Double fps;

    @Option(
            names = "--count",
            paramLabel = "N",
            description = "Clips, from seeds that follow each other, to files with -1, -2 ... in their names.")
    private int count = 1;

    @Option(
            names = "--scale",
            paramLabel = "N",
            description = "Enlargement of what is written (default: 4; 1 for a folder of PNGs and beyond 256 pixels).")
    private @Nullable Integer scale;

    @Option(
            names = "--model",
            paramLabel = "DIR|NAME",
            description = "Folder of a model, such as a training run's model/, or a name on the hub, such as "
                    + "THUDM/CogVideoX-2b (default: the built-in one).")
    private @Nullable String model;

    @Mixin
    private RecaptionOption recaption;

    @Option(names = "--json", description = "Print a line of JSON for each clip.")
    private boolean json;

    @Option(names = "--quiet", description = "Print warnings and errors only.")
    private boolean quiet;

    private String wish = ""; // the prompt before re-captioning
    private String recaptioner = "";

    /**
     * One clip to make.
     *
     * @param before frames of a given clip that come before those that are made
     * @param after and those that come after
     * @param heard clips that sound before and after what is made
     */
    private record Job(
            TextToVideo.Request request,
            Path file,
            List<Image> before,
            List<Image> after,
            List<@Nullable Audio> heard) {}

    @Override
    public Integer call() {
        boolean nothing = prompt == null && storyboard == null;
        if (nothing || output == null) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Missing required " + (nothing ? "parameter: 'PROMPT'" : "option: '--output=FILE'"));
        }
        List<Path> files = files(output);
        check();
        for (Path file : files) {
            Clips.requireWritable(
                    file,
                    frames != null ? frames : TextToVideo.Request.of("any").frames());
        }
        Optional<Storyboard> scenes = Optional.ofNullable(storyboard)
                .map(f -> Storyboard.of(Recipe.read(f, Map.of()).settings()));
        TextToVideo.Request plain = plain(
                TextToVideo.Request.of(scenes.map(Storyboard::prompt).orElse(Objects.requireNonNullElse(prompt, ""))));
        Start start = start();
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        if (recaption.wanted()) {
            wish = plain.prompt();
            // Freed before the video model is read: both may be large.
            try (Recaption words = recaption.load(err)) {
                recaptioner = words.name();
                scenes = scenes.map(s -> s.withPrompts(words::caption));
                plain = plain.withPrompt(scenes.map(Storyboard::prompt).orElseGet(() -> words.caption(wish)));
            }
            if (!quiet && !json) {
                spec.commandLine().getOut().println("caption: " + plain.prompt());
                spec.commandLine().getOut().flush();
            }
        }
        try (Stop stop = new Stop("stopping ...", err);
                TextToVideo task = load()) {
            TextToVideo.Request request = request(task, plain, start);
            long first = seed != null ? seed : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE);
            for (int i = 0; i < files.size(); i++) {
                make(task, job(request.withSeed(first + i), files.get(i)), scenes, stop, err);
            }
        }
        return 0;
    }

    private TextToVideo load() {
        return fast.load(() -> model == null ? TextToVideo.builtIn() : TextToVideo.load(model));
    }

    private void check() {
        engine.check();
        if (count < 1 || count > MOST) {
            throw new UserError("--count " + count + " is not between 1 and " + MOST);
        }
        if (prompt != null && storyboard != null) {
            throw new UserError("a storyboard has its own prompts; leave the prompt out");
        }
        if (frames != null && seconds != null) {
            throw new UserError("--frames and --seconds both say how long; name one of them");
        }
        if (seconds != null && !(seconds > 0 && seconds <= LONGEST)) {
            throw new UserError("--seconds " + seconds + " is not above 0 and up to " + LONGEST);
        }
        if (forward && backward) {
            throw new UserError("--forward and --backward cannot both be");
        }
        if ((forward || backward) && extend == null) {
            throw new UserError("--forward and --backward go with --extend FILE");
        }
        long starts = Stream.of(image, video, extend, silent, storyboard)
                        .filter(Objects::nonNull)
                        .count()
                + (connect.isEmpty() ? 0 : 1)
                + (loop ? 1 : 0);
        if (starts > 1) {
            throw new UserError(
                    "--image, --video, --extend, --connect, --sound-of, --loop and --storyboard do not go together; name one");
        }
    }

    private List<Path> files(Path output) {
        List<Path> files = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            files.add(count == 1 ? output : numbered(output, i + 1));
        }
        return files;
    }

    private Start start() {
        if (image != null) {
            return new Start.FirstFrame(Images.read(image));
        }
        if (video != null) {
            return new Start.Edit(Clips.read(video), strength);
        }
        if (extend != null) {
            Clip clip = Clips.read(extend);
            return backward ? new Start.Before(clip) : new Start.After(clip);
        }
        if (!connect.isEmpty()) {
            return new Start.Between(Clips.read(connect.get(0)), Clips.read(connect.get(1)));
        }
        if (silent != null) {
            return new Start.Silent(Clips.read(silent));
        }
        return loop ? new Start.Loop() : Start.NOTHING;
    }

    /** With all that is said on the command line. */
    private TextToVideo.Request plain(TextToVideo.Request defaults) {
        TextToVideo.Request r = defaults.withNegative(negative);
        r = fps == null ? r : r.withFps(fps);
        r = frames == null ? r : r.withFrames(frames);
        r = seconds == null ? r : r.withFrames((int) Math.max(1, Math.round(seconds * r.fps())));
        r = size == null ? r : r.withSize(size.width(), size.height());
        r = steps == null ? r : r.withSteps(steps);
        return guidance == null ? r : r.withGuidanceScale(guidance);
    }

    /** The same over what the model and the given clip propose. */
    private TextToVideo.Request request(TextToVideo task, TextToVideo.Request plain, Start start) {
        TextToVideo.Request r = task.request(plain.prompt()).withStart(start);
        if (start instanceof Start.Edit e) {
            r = r.withFrames(e.clip().frames().size());
        }
        @Nullable Clip given = given(start);
        r = given != null ? r.withFps(given.fps()) : r;
        TextToVideo.Request fitted = task.fitted(plain(r));
        fitted = size == null ? fitted : fitted.withSize(size.width(), size.height());
        return frames == null ? fitted : fitted.withFrames(frames);
    }

    private static @Nullable Clip given(Start start) {
        if (start instanceof Start.Edit e) {
            return e.clip();
        }
        if (start instanceof Start.After a) {
            return a.clip();
        }
        if (start instanceof Start.Before b) {
            return b.clip();
        }
        if (start instanceof Start.Silent s) {
            return s.clip();
        }
        return start instanceof Start.Between b ? b.first() : null;
    }

    private static Job job(TextToVideo.Request r, Path file) {
        List<Image> before = List.of();
        List<Image> after = List.of();
        @Nullable Audio earlier = null;
        @Nullable Audio later = null;
        if (r.start() instanceof Start.After a) {
            before = a.clip().frames();
            earlier = a.clip().audio();
        } else if (r.start() instanceof Start.Before b) {
            after = b.clip().frames();
            later = b.clip().audio();
        } else if (r.start() instanceof Start.Between b) {
            before = b.first().frames();
            after = b.second().frames();
            earlier = b.first().audio();
            later = b.second().audio();
        } else if (r.start() instanceof Start.Silent s) {
            before = s.clip().frames();
        }
        return new Job(r, file, before, after, java.util.Arrays.asList(earlier, later));
    }

    /** car.mp4 becomes car-1.mp4. */
    private static Path numbered(Path file, int number) {
        String name = String.valueOf(file.getFileName());
        int dot = Clips.isFolder(file) ? name.length() : name.lastIndexOf('.');
        return file.resolveSibling(name.substring(0, dot) + "-" + number + name.substring(dot));
    }

    private void make(TextToVideo task, Job job, Optional<Storyboard> scenes, Stop stop, PrintWriter err) {
        TextToVideo.Request r = job.request;
        Map<String, String> settings = settings(task, r);
        ClipWriter plain = new ClipWriter(job.file, r.fps(), settings, enlargement(r, job.file));
        try (ClipWriter writer = task.sounds() ? plain.withSound() : plain;
                Bars bars = new Bars(err)) {
            Consumer<Image> sink = frame -> writer.add(sized(frame, r));
            Progress progress = (step, all) -> {
                bars.step(step, all);
                return !stop.requested();
            };
            try {
                job.before.forEach(sink);
                double each = scenes.isPresent()
                        ? scenes.get().make(task, r, progress, sink)
                        : task.generate(r, progress, sink, sound -> heard(writer, job, sound, err));
                job.after.forEach(sink);
                writer.finish();
                tell(
                        job,
                        writer.count(),
                        settings,
                        each,
                        scenes.isPresent() ? List.of() : task.unknownWords(r.prompt()));
            } catch (CancellationException e) {
                @Nullable Path kept = writer.keepPartial();
                if (kept != null) {
                    err.println("zoetrope: the " + writer.count() + " frames so far are in " + kept);
                }
                throw e;
            }
        }
    }

    private Map<String, String> settings(TextToVideo task, TextToVideo.Request r) {
        Map<String, String> settings = new LinkedHashMap<>(task.settings(r));
        if (!recaptioner.isEmpty()) {
            settings.put("wish", wish);
            settings.put("recaption", recaptioner);
        }
        return settings;
    }

    /** What was made, between what is given. */
    private static void heard(ClipWriter writer, Job job, Audio made, PrintWriter err) {
        boolean whole = job.request.start() instanceof Start.Silent;
        double fps = job.request.fps();
        Audio all = whole
                ? made
                : Soundtrack.of(
                        made.rate(),
                        new Soundtrack.Part(job.heard.get(0), job.before.size() / fps),
                        new Soundtrack.Part(made, made.seconds()),
                        new Soundtrack.Part(job.heard.get(1), job.after.size() / fps));
        if (!writer.sound(all)) {
            err.println("zoetrope: " + job.file + " holds no sound; a name that ends in .mp4 does");
        }
    }

    /** Video formats share colours between pixels, which shows in small frames. */
    private Clips.Scale enlargement(TextToVideo.Request r, Path file) {
        boolean small = r.width() <= SMALL && r.height() <= SMALL && !Clips.isFolder(file);
        return new Clips.Scale(scale != null ? scale : small ? ENLARGEMENT : 1, Filter.LANCZOS);
    }

    private static Image sized(Image frame, TextToVideo.Request r) {
        return frame.width() == r.width() && frame.height() == r.height()
                ? frame
                : Resize.to(frame, r.width(), r.height(), Filter.LANCZOS);
    }

    /** A bar for each scene or clip, or none. */
    private final class Bars implements AutoCloseable {
        private final PrintWriter err;
        private @Nullable Bar bar;
        private int last;

        Bars(PrintWriter err) {
            this.err = err;
        }

        void step(int step, int all) {
            if (quiet) {
                return;
            }
            if (bar == null || step <= last) {
                close();
                bar = new Bar("generate", 0, all, err);
            }
            last = step;
            bar.step(step);
        }

        @Override
        public void close() {
            if (bar != null) {
                bar.close();
            }
        }
    }

    private void tell(Job job, int made, Map<String, String> settings, double each, List<String> unknown) {
        if (!unknown.isEmpty()) {
            spec.commandLine()
                    .getErr()
                    .println("zoetrope: warning: the model does not know: " + String.join(", ", unknown));
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(json(job, made, settings, each, unknown));
        } else if (!quiet) {
            out.println(job.file + "  seed " + job.request.seed() + ", " + made + " frames, " + Bar.seconds(each)
                    + " a step");
        }
        out.flush();
    }

    private static String json(Job job, int made, Map<String, String> settings, double each, List<String> unknown) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("file", job.file.toString());
        fields.put("seed", job.request.seed());
        fields.put("frames", made);
        fields.put("seconds_per_step", each);
        fields.put("unknown_words", unknown);
        fields.put("settings", settings);
        try {
            return new ObjectMapper().writeValueAsString(fields);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
