package dev.zoetrope.cli;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.Upscale;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Makes a picture larger. */
@Command(
        name = "upscale",
        sortOptions = false,
        description = {
            "Make a picture four times as large, with detail that a model invents.",
            "  zoetrope upscale photo.png --model CompVis/ldm-super-resolution-4x-openimages -o large.png"
        })
final class UpscalePicture implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private PictureModelOption model;

    @Parameters(paramLabel = "PICTURE", description = "The picture.")
    private Path picture;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "Ends in .png (with the settings in it) or .jpg.")
    private Path output;

    @Option(names = "--prompt", paramLabel = "TEXT", description = "What it shows, of models that read it.")
    private String prompt = "";

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the scheduler (default: the model's).")
    private @Nullable Integer steps;

    @Option(
            names = "--noise-level",
            paramLabel = "N",
            description = "How much detail may be invented, of models that noise the picture first (default: 20).")
    private int noiseLevel = Upscale.NOISE_LEVEL;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed gives the same picture (default: random).")
    private @Nullable Long seed;

    @Override
    public Integer call() {
        engine.check();
        Image small = Images.read(picture);
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Upscale task = Upscale.load(model.folder(err))) {
            ImageRequest d = task.defaults(prompt);
            Settings s = steps == null ? d.settings() : d.settings().withSteps(steps);
            ImageRequest r = d.with(s)
                    .withSeed(seed != null ? seed : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE));
            GeneratedImage large;
            try (Bar bar = new Bar("upscale", 0, s.steps(), err)) {
                large = task.generate(small, noiseLevel, r, (step, all, look) -> {
                    bar.step(step);
                    return !stop.requested();
                });
            }
            large.notes().forEach(note -> err.println("zoetrope: note: " + note));
            large.save(output);
            spec.commandLine()
                    .getOut()
                    .println(output + "  " + large.image().width() + " x "
                            + large.image().height() + ", seed " + large.seed());
        }
        return 0;
    }
}
