package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/** What a model can be asked for. */
enum Ability {
    VIDEO,
    IMAGE,
    EDIT,
    CHAT,
    EMBEDDING,
    CLASSIFICATION,
    SEGMENTATION;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** What the model in this folder can do, by its configuration. */
    static Set<Ability> of(Path folder) {
        Path index = folder.resolve("model_index.json");
        if (Files.isRegularFile(index)) {
            String kind = Json.read(index).require("_class_name");
            if (kind.equals(Sora.CLASS)) {
                return EnumSet.of(VIDEO, IMAGE, EDIT);
            }
            if (kind.startsWith("CogVideoX") || kind.startsWith("Latte") || kind.startsWith("Wan")) {
                return EnumSet.of(VIDEO);
            }
            return kind.startsWith("StableDiffusion") ? EnumSet.of(IMAGE, EDIT) : EnumSet.of(IMAGE);
        }
        if (Files.isRegularFile(folder.resolve("open_clip_config.json"))) {
            return EnumSet.of(EMBEDDING);
        }
        Path config = folder.resolve("config.json");
        if (!Files.isRegularFile(config)) {
            throw new UserError(folder + ": neither model_index.json nor config.json; expected the folder of a model");
        }
        return switch (Json.read(config).get("model_type", "")) {
            case "vit" -> EnumSet.of(CLASSIFICATION);
            case "clip", "siglip" -> EnumSet.of(EMBEDDING);
            case "sam" -> EnumSet.of(SEGMENTATION);
            default -> EnumSet.of(CHAT); // which knows what it can read, and says so when it is loaded
        };
    }
}
