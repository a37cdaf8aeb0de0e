package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What a recipe says of itself.
 *
 * @param stages in the order of the file
 * @param data what is learned from
 * @param cost what it takes, and where that was measured
 */
public record RecipeSummary(Path file, String system, List<Stage> stages, String data, String cost) {
    /** A stage and how many steps it has. */
    public record Stage(String name, int steps) {}

    /** All recipes of a folder, by name. */
    public static List<RecipeSummary> in(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(
                    folder + ": there is no such folder; name the one with recipes, files that end in .yaml");
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(
                            f -> f.toString().endsWith(".yaml") || f.toString().endsWith(".yml"))
                    .sorted()
                    .flatMap(RecipeSummary::of)
                    .toList();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be listed: " + e.getMessage(), e);
        }
    }

    /** None where the file is a recipe of something else, such as a mix of data. */
    private static Stream<RecipeSummary> of(Path file) {
        Json j = Recipe.read(file, Map.of()).settings();
        if (!j.has("system")) {
            return Stream.empty();
        }
        List<Stage> stages = new ArrayList<>();
        for (String key : j.keys()) {
            if (j.isObject(key) && j.at(key).has("steps")) {
                stages.add(new Stage(key, j.at(key).requireInt("steps")));
            } else if (key.equals("stages")) {
                j.list(key).forEach(s -> stages.add(new Stage(s.require("name"), s.requireInt("steps"))));
            }
        }
        Json about = j.at("about");
        return Stream.of(new RecipeSummary(
                file,
                j.require("system"),
                List.copyOf(stages),
                about.get("data", "not said"),
                about.get("cost", "not said")));
    }
}
