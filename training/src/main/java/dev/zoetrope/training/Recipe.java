package dev.zoetrope.training;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * A training recipe: a YAML file with overrides, read as a configuration.
 *
 * @param settings all of it
 * @param text its canonical form, which a run folder keeps to tell whether a resumed run is still the same
 */
public record Recipe(Json settings, String text) {
    /** @param overrides {@code stage.key} to value, the value in YAML */
    public static Recipe read(Path file, Map<String, String> overrides) {
        try {
            return of(file.toString(), Files.readString(file), overrides);
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    static Recipe of(String name, String yaml, Map<String, String> overrides) {
        Object tree = load(name, yaml);
        if (!(tree instanceof Map<?, ?>)) {
            throw new UserError(name + ": a recipe is a mapping of settings, see recipes/sora-world.yaml");
        }
        overrides.forEach((key, value) -> set(name, tree, key, load("--set " + key, value)));
        try {
            String text = new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(tree);
            return new Recipe(Json.parse(name, text), text);
        } catch (JsonProcessingException e) {
            throw new UserError(name + ": " + e.getOriginalMessage(), e);
        }
    }

    private static Object load(String name, String yaml) {
        try {
            return new Load(LoadSettings.builder()
                            .setLabel(name)
                            .setAllowDuplicateKeys(false)
                            .build())
                    .loadFromString(yaml);
        } catch (YamlEngineException e) {
            throw new UserError(name + ": not valid YAML: " + e.getMessage(), e);
        }
    }

    @SuppressWarnings("unchecked") // YAML mappings in a recipe have text keys; others fail on reading
    private static void set(String name, Object tree, String path, Object value) {
        Map<String, Object> at = (Map<String, Object>) tree;
        String[] keys = path.split("\\.");
        for (int i = 0; i < keys.length - 1; i++) {
            Object below = at.computeIfAbsent(keys[i], k -> new LinkedHashMap<String, Object>());
            if (!(below instanceof Map)) {
                throw new UserError(name + ": --set " + path + ": " + keys[i] + " is a value, not a group of settings");
            }
            at = (Map<String, Object>) below;
        }
        at.put(keys[keys.length - 1], value);
    }
}
