package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.media.ContactSheet;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.ldm.Box;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.schedulers.Samplers;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.ImageToImage;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Makes pictures from a sentence, a class, or a picture and a sentence. */
@Command(
        name = "image",
        sortOptions = false,
        description = {
            "Make pictures with a diffusion model; without --model with a small built-in one, which knows only"
                    + " Carousel.",
            "  zoetrope generate image \"a fox on a blue background\" -o fox.png",
            "  zoetrope generate image --class fox --count 8 -o foxes.png",
            "  zoetrope generate image \"a sneaker\" --model stable-diffusion-v1-5/stable-diffusion-v1-5 -o"
                    + " sneaker.png",
            "  zoetrope generate image \"in watercolour\" --init photo.png --strength 0.6 --model DIR -o painted.png",
            "  zoetrope generate image \"a hat\" --init photo.png --mask mask.png --model DIR -o hat.png"
        })
final class GenerateImage implements Callable<Integer> {
    private static final int MOST = 1000;
    private static final int PREVIEW_EVERY = 5;

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Mixin
    private PictureModelOption model;

    @Mixin
    private LoraOption loras;

    @Parameters(arity = "0..1", paramLabel = "PROMPT", description = "What is to be seen, of models that read it.")
    private String prompt = "";

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "Ends in .png (with the settings in it) or .jpg.")
    private Path output;

    @Option(names = "--negative", paramLabel = "TEXT", description = "What to keep away from.")
    private @Nullable String negative;

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the scheduler (default: the model's).")
    private @Nullable Integer steps;

    @Option(
            names = "--guidance",
            paramLabel = "X",
            description = "How much the prompt or class counts; 1 switches guidance off (default: the model's).")
    private @Nullable Double guidance;

    @Option(
            names = "--scheduler",
            paramLabel = "NAME",
            description =
                    "One of: ddim, ddpm, dpmpp, dpmpp-karras, dpmpp-sde, dpmpp-single, euler, euler-a, heun, lms, "
                            + "pndm, unipc, lcm (default: the model's).")
    private @Nullable String scheduler;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed gives the same picture (default: random).")
    private @Nullable Long seed;

    @Option(
            names = "--size",
            paramLabel = "WxH",
            converter = PixelSize.Converter.class,
            description = "Pixels (default: the size trained on, or that of --init).")
    private @Nullable PixelSize size;

    @Option(
            names = "--count",
            paramLabel = "N",
            description = "Pictures, from seeds that follow each other, to files with -1, -2 ... in their names, and a "
                    + "contact sheet of them to the file itself.")
    private int count = 1;

    @Option(names = "--init", paramLabel = "FILE", description = "The picture to start from.")
    private @Nullable Path init;

    @Option(
            names = "--strength",
            paramLabel = "X",
            description = "How far from --init: above 0 to 1 (default: 0.8, with --mask 1).")
    private @Nullable Double strength;

    @Option(
            names = "--mask",
            paramLabel = "FILE",
            description = "Of the size of --init; what is white in it is painted anew, the rest stays.")
    private @Nullable Path mask;

    @Option(
            names = "--box",
            paramLabel = "PHRASE:L,T,R,B",
            converter = BoxConverter.class,
            description = "Where a phrase shall be seen, edges in 0..1, of models for it; may be repeated.")
    private List<Box> boxes = new ArrayList<>();

    @Option(
            names = "--class",
            paramLabel = "N|NAME",
            description = "The class, of models that draw classes, as the built-in one for this option does.")
    private String label = "";

    @Option(names = "--unconditional", description = "Whatever comes, by the built-in model of this kind.")
    private boolean unconditional;

    @Option(names = "--clip-skip", paramLabel = "N", description = "Last layers of the text encoder to leave out.")
    private int clipSkip;

    @Option(
            names = "--tiled",
            description = "Decode in tiles: pictures larger than those trained on take no more memory.")
    private boolean tiled;

    @Option(
            names = "--cache-steps",
            paramLabel = "N",
            description =
                    "Compute the deep layers of a U-Net every N steps only: faster, a little less exact (default: 1).")
    private int cacheSteps = 1;

    @Option(
            names = "--low-memory",
            description = "Read the U-Net's weights from the files level by level in each step, of Stable Diffusion.")
    private boolean lowMemory;

    @Option(
            names = "--preview",
            description = "Every few steps, write what the picture looks like to a file with -preview in its name.")
    private boolean preview;

    @Option(names = "--json", description = "Print a line of JSON for each picture.")
    private boolean json;

    @Option(names = "--quiet", description = "Print warnings and errors only.")
    private boolean quiet;

    @Override
    public Integer call() {
        check();
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        Path folder = model.folder(builtIn(), err);
        try (Stop stop = new Stop("stopping ...", err)) {
            List<GeneratedImage> made;
            if (init == null) {
                try (TextToImage task = fast.load(() -> TextToImage.load(folder, lowMemory))) {
                    loras.addTo(task::addLora);
                    ImageRequest r = request(task.defaults(prompt));
                    made = watched(r, stop, err, task::generate);
                }
            } else {
                Image picture = Images.read(init);
                Image repainted = mask == null ? null : Images.read(mask);
                try (ImageToImage task = fast.load(() -> ImageToImage.load(folder, lowMemory))) {
                    loras.addTo(task::addLora);
                    ImageRequest r = request(task.defaults(prompt));
                    double s = strength != null ? strength : mask == null ? 0.8 : 1;
                    made = watched(
                            r,
                            stop,
                            err,
                            (request, listener) -> repainted == null
                                    ? task.generate(picture, s, request, listener)
                                    : task.repaint(picture, repainted, s, request, listener));
                }
            }
            save(made, err);
        }
        return 0;
    }

    private String builtIn() {
        return unconditional ? BuiltIn.DDPM : label.isEmpty() ? BuiltIn.LDM : BuiltIn.DIT;
    }

    private void check() {
        engine.check();
        if (count < 1 || count > MOST) {
            throw new UserError("--count " + count + " is not between 1 and " + MOST);
        }
        String name = String.valueOf(output.getFileName()).toLowerCase(java.util.Locale.ROOT);
        if (!name.endsWith(".png") && !name.endsWith(".jpg") && !name.endsWith(".jpeg")) {
            throw new UserError(output + ": pictures are written as .png or .jpg");
        }
        if (Files.isDirectory(output)) {
            throw new UserError(output + ": is a folder, expected the name of a file to write");
        }
        if (init == null && (mask != null || strength != null)) {
            throw new UserError(
                    "--" + (mask != null ? "mask" : "strength") + " needs --init, the picture to start from");
        }
        if (unconditional && !(label.isEmpty() && prompt.isEmpty())) {
            throw new UserError("--unconditional takes neither a prompt nor --class");
        }
        if (scheduler != null) {
            Samplers.requireKnown(scheduler);
        }
    }

    private ImageRequest request(ImageRequest defaults) {
        Settings s = defaults.settings()
                .withNegative(negative)
                .withCount(count)
                .withClipSkip(clipSkip)
                .withTiles(tiled)
                .withDeepEvery(cacheSteps)
                .withBoxes(boxes, defaults.settings().boxShare());
        s = steps == null ? s : s.withSteps(steps);
        s = guidance == null ? s : s.withGuidance(guidance, s.rescale());
        s = size == null ? s : s.withSize(size.width(), size.height());
        return defaults.with(s)
                .withLabel(label)
                .withScheduler(scheduler)
                .withSeed(seed != null ? seed : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE));
    }

    private List<GeneratedImage> watched(
            ImageRequest r,
            Stop stop,
            PrintWriter err,
            BiFunction<ImageRequest, ImageListener, List<GeneratedImage>> task) {
        if (quiet && !preview) {
            return task.apply(r, (step, all, look) -> !stop.requested());
        }
        Bar[] bar = new Bar[1];
        try {
            return task.apply(r, (step, all, look) -> {
                if (step == 1) {
                    close(bar[0]);
                    bar[0] = quiet ? null : new Bar("generate", 0, all, err);
                }
                if (bar[0] != null) {
                    bar[0].step(step);
                }
                if (preview && (step % PREVIEW_EVERY == 0 || step == 1) && step < all) {
                    Images.write(ContactSheet.of(look.get()), named("-preview"));
                }
                return !stop.requested();
            });
        } finally {
            close(bar[0]);
        }
    }

    private static void close(@Nullable Bar bar) {
        if (bar != null) {
            bar.close();
        }
    }

    private void save(List<GeneratedImage> made, PrintWriter err) {
        made.get(0).notes().forEach(note -> err.println("zoetrope: note: " + note));
        for (int i = 0; i < made.size(); i++) {
            Path file = made.size() == 1 ? output : named("-" + (i + 1));
            made.get(i).save(file);
            tell(file, made.get(i));
        }
        if (made.size() > 1) {
            Images.write(
                    ContactSheet.of(made.stream().map(GeneratedImage::image).toList()),
                    output,
                    made.get(0).settings());
        }
    }

    /** car.png becomes car-1.png. */
    private Path named(String suffix) {
        String name = String.valueOf(output.getFileName());
        int dot = name.lastIndexOf('.');
        return output.resolveSibling(name.substring(0, dot) + suffix + name.substring(dot));
    }

    private void tell(Path file, GeneratedImage picture) {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("file", file.toString());
            fields.put("seed", picture.seed());
            fields.put("settings", picture.settings());
            try {
                out.println(new ObjectMapper().writeValueAsString(fields));
            } catch (JsonProcessingException e) {
                throw new IllegalStateException("texts and numbers are JSON", e);
            }
        } else if (!quiet) {
            out.println(file + "  seed " + picture.seed());
        }
        out.flush();
    }

    /** Reads {@code a dog:0.1,0.2,0.5,0.9}. */
    static final class BoxConverter implements ITypeConverter<Box> {
        private static final Pattern FORM = Pattern.compile("(.+):([\\d.]+),([\\d.]+),([\\d.]+),([\\d.]+)");

        @Override
        public Box convert(String text) {
            Matcher m = FORM.matcher(text);
            try {
                if (m.matches()) {
                    return new Box(
                            m.group(1),
                            Double.parseDouble(m.group(2)),
                            Double.parseDouble(m.group(3)),
                            Double.parseDouble(m.group(4)),
                            Double.parseDouble(m.group(5)));
                }
            } catch (NumberFormatException | UserError e) {
                throw new TypeConversionException(e.getMessage());
            }
            throw new TypeConversionException(
                    "'" + text + "' is not PHRASE:LEFT,TOP,RIGHT,BOTTOM, such as " + "\"a dog:0.1,0.2,0.5,0.9\"");
        }
    }
}
