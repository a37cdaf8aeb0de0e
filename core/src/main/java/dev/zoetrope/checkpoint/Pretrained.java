package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A model from the folder that people publish: config.json and the weights beside it. The model keeps the {@link Weights}
 * that it is handed and closes them when it is closed.
 *
 * <pre>{@code
 * public static T5Encoder load(Path folder) {
 *     return Pretrained.load(folder, (json, w) -> new T5Encoder(Config.of(json), w));
 * }
 * }</pre>
 */
public final class Pretrained {
    private static final System.Logger LOG = System.getLogger(Pretrained.class.getName());
    private static final int SHOWN = 5;

    private Pretrained() {}

    /** Builds the model; tensors of the file that it never asks for are reported as a warning. */
    public static <M> M load(Path folder, BiFunction<Json, Weights, M> model) {
        Path config = folder.resolve("config.json");
        if (!Files.isRegularFile(config)) {
            throw new UserError(folder + ": no config.json; expected the folder of a model");
        }
        Json json = Json.read(config);
        try (Checkpoint file = Checkpoint.open(folder)) {
            return load(file, w -> model.apply(json, w));
        }
    }

    /** Builds the model from a checkpoint that has no config.json; reports what it never asks for in the same way. */
    public static <M> M load(Checkpoint file, Function<Weights, M> model) {
        Weights w = Weights.load(file);
        try {
            M r = model.apply(w);
            report(file.name(), w.unused());
            return r;
        } catch (RuntimeException e) {
            w.close();
            throw e;
        }
    }

    /** Copies all files of a model's folder but its weights, those of folders below it too. */
    public static void copyDescriptions(Path from, Path to) {
        try (Stream<Path> all = Files.walk(from, 2)) {
            for (Path file : all.filter(Files::isRegularFile).toList()) {
                String name = file.getFileName().toString();
                if (name.matches(".*\\.(json|jinja|model|txt)") && !name.endsWith(".index.json")) {
                    Path copy = to.resolve(from.relativize(file).toString());
                    Files.createDirectories(copy.getParent());
                    Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
                }
            }
        } catch (IOException e) {
            throw new UserError(from + ": cannot be copied to " + to + ": " + e, e);
        }
    }

    private static void report(String file, List<String> unused) {
        if (!unused.isEmpty()) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "{0}: {1} tensors are not part of the model and were left out: {2}{3}",
                    file,
                    unused.size(),
                    String.join(", ", unused.subList(0, Math.min(SHOWN, unused.size()))),
                    unused.size() > SHOWN ? " ..." : "");
        }
    }
}
