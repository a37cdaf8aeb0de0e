package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.Fast;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Filter;
import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
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
            "  zoetrope generate image \"a sneaker\" --model DIR -o sneaker.png"
        },
        subcommands = GenerateImage.class)
final class Generate implements Callable<Integer> {
    private static final int MOST = 1000;
    private static final int ENLARGEMENT = 4;

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

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

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the solver (default: 16).")
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
            description = "Enlargement of what is written (default: 4, for a folder of PNGs 1).")
    private @Nullable Integer scale;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "Folder of a model, such as a training run's model/ (default: the built-in one).")
    private @Nullable Path model;

    @Option(names = "--json", description = "Print a line of JSON for each clip.")
    private boolean json;

    @Option(names = "--quiet", description = "Print warnings and errors only.")
    private boolean quiet;

    /** One clip to make. */
    private record Job(TextToVideo.Request request, Path file) {}

    @Override
    public Integer call() {
        if (prompt == null || output == null) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Missing required " + (prompt == null ? "parameter: 'PROMPT'" : "option: '--output=FILE'"));
        }
        List<Job> jobs = jobs(prompt, output);
        Clips.Scale enlargement =
                new Clips.Scale(scale != null ? scale : Clips.isFolder(output) ? 1 : ENLARGEMENT, Filter.LANCZOS);
        for (Job job : jobs) {
            Clips.requireWritable(job.file, job.request.frames());
        }
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                TextToVideo task = load()) {
            for (Job job : jobs) {
                GeneratedVideo video = generate(task, job, stop, err);
                video.save(job.file, enlargement);
                tell(job, video, err);
            }
        }
        return 0;
    }

    private TextToVideo load() {
        try (Fast fast = engine.fast()) {
            return model == null ? TextToVideo.builtIn() : TextToVideo.load(model);
        }
    }

    /** Every request and its file, checked. */
    private List<Job> jobs(String prompt, Path output) {
        engine.check();
        if (count < 1 || count > MOST) {
            throw new UserError("--count " + count + " is not between 1 and " + MOST);
        }
        long first = seed != null ? seed : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE);
        TextToVideo.Request request = TextToVideo.Request.of(prompt).withNegative(negative);
        request = frames == null ? request : request.withFrames(frames);
        request = size == null ? request : request.withSize(size.width(), size.height());
        request = fps == null ? request : request.withFps(fps);
        request = steps == null ? request : request.withSteps(steps);
        request = guidance == null ? request : request.withGuidanceScale(guidance);
        List<Job> jobs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            jobs.add(new Job(request.withSeed(first + i), count == 1 ? output : numbered(output, i + 1)));
        }
        return jobs;
    }

    /** car.mp4 becomes car-1.mp4. */
    private static Path numbered(Path file, int number) {
        String name = String.valueOf(file.getFileName());
        int dot = Clips.isFolder(file) ? name.length() : name.lastIndexOf('.');
        return file.resolveSibling(name.substring(0, dot) + "-" + number + name.substring(dot));
    }

    private GeneratedVideo generate(TextToVideo task, Job job, Stop stop, PrintWriter err) {
        if (quiet) {
            return task.generate(job.request, (step, all) -> !stop.requested());
        }
        try (Bar bar = new Bar("generate", 0, job.request.steps(), err)) {
            return task.generate(job.request, (step, all) -> {
                bar.step(step);
                return !stop.requested();
            });
        }
    }

    private void tell(Job job, GeneratedVideo video, PrintWriter err) {
        if (!video.unknownWords().isEmpty()) {
            err.println("zoetrope: warning: the model does not know: " + String.join(", ", video.unknownWords()));
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(json(job, video));
        } else if (!quiet) {
            out.println(
                    job.file + "  seed " + job.request.seed() + ", " + Bar.seconds(video.secondsPerStep()) + " a step");
        }
        out.flush();
    }

    private static String json(Job job, GeneratedVideo video) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("file", job.file.toString());
        fields.put("seed", job.request.seed());
        fields.put("seconds_per_step", video.secondsPerStep());
        fields.put("unknown_words", video.unknownWords());
        fields.put("settings", video.settings());
        try {
            return new ObjectMapper().writeValueAsString(fields);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
