package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Filter;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.World;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Shows what the built-in models learn from. */
@Command(
        name = "world",
        sortOptions = false,
        description = {
            "Write clips of Carousel, the built-in world, with their captions.",
            "  zoetrope world --count 8 -o preview"
        })
final class WorldPreview implements Callable<Integer> {
    private enum Format {
        MP4,
        GIF,
        WEBP
    }

    @Spec
    private CommandSpec spec;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "DIR",
            description = "Folder to write, with a file captions.jsonl; it must not exist or be empty.")
    private Path output;

    @Option(names = "--count", paramLabel = "N", description = "Clips (default: ${DEFAULT-VALUE}).")
    private int count = 8;

    @Option(names = "--seed", paramLabel = "N", description = "Seed of the world (default: ${DEFAULT-VALUE}).")
    private long seed = 1;

    @Option(names = "--split", description = "${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private Split split = Split.TRAIN;

    @Option(
            names = "--levels",
            split = ",",
            description = "${COMPLETION-CANDIDATES}: one object, two, or a drawn ground and a camera (default: all).")
    private Level[] levels = Level.values();

    @Option(names = "--frames", paramLabel = "N", description = "Frames a clip (default: ${DEFAULT-VALUE}).")
    private int frames = 16;

    @Option(
            names = "--size",
            paramLabel = "WxH",
            converter = PixelSize.Converter.class,
            description = "Pixels, multiples of 8 (default: 64x64).")
    private PixelSize size = new PixelSize(64, 64);

    @Option(names = "--format", description = "${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private Format format = Format.MP4;

    @Option(names = "--scale", paramLabel = "N", description = "Enlargement of the files (default: ${DEFAULT-VALUE}).")
    private int scale = 4;

    @Option(names = "--sound", description = "With sound; mp4 only.")
    private boolean sound;

    @Override
    public Integer call() {
        if (count < 1) {
            throw new UserError("--count " + count + ": at least 1 is needed");
        }
        if (sound && format != Format.MP4) {
            throw new UserError(
                    "--sound: only mp4 carries sound, not " + format.name().toLowerCase(Locale.ROOT));
        }
        requireEmpty(output);
        Clips.Scale enlargement = new Clips.Scale(scale, Filter.LANCZOS);
        World world = new World(
                seed,
                Options.training()
                        .split(split)
                        .levels(levels)
                        .frames(frames)
                        .canvases(new World.Canvas(size.width(), size.height())));
        PrintWriter out = spec.commandLine().getOut();
        StringBuilder captions = new StringBuilder();
        try (Stop stop =
                new Stop("stopping after this clip ...", spec.commandLine().getErr())) {
            for (int i = 0; i < count && !stop.requested(); i++) {
                Scene scene = world.scene(i);
                Path file = output.resolve(
                        String.format(Locale.ROOT, "%05d.%s", i, format.name().toLowerCase(Locale.ROOT)));
                Map<String, String> about = new LinkedHashMap<>();
                about.put("prompt", scene.caption());
                about.put("world_seed", Long.toString(seed));
                about.put("scene", Integer.toString(i));
                about.put("split", split.name().toLowerCase(Locale.ROOT));
                Clip clip = scene.render();
                Clips.write(
                        sound ? new Clip(clip.frames(), clip.fps(), scene.sound()) : clip, file, about, enlargement);
                captions.append(line(file.getFileName().toString(), scene.caption()));
                out.println(file + "  " + scene.caption());
                out.flush();
            }
            AtomicFile.write(
                    output.resolve("captions.jsonl"),
                    stream -> stream.write(captions.toString().getBytes(StandardCharsets.UTF_8)));
        }
        return 0;
    }

    private static void requireEmpty(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + ": is a file, not a folder");
        }
        try (Stream<Path> entries = Files.list(folder)) {
            if (entries.findAny().isPresent()) {
                throw new UserError(folder + ": is not empty; name a new folder");
            }
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read (" + e + ")", e);
        }
    }

    private static String line(String file, String caption) {
        try {
            Map<String, String> fields = new LinkedHashMap<>();
            fields.put("file", file);
            fields.put("caption", caption);
            return new ObjectMapper().writeValueAsString(fields) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts are JSON", e);
        }
    }
}
