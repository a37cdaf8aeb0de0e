package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiFunction;

/** Which chat model a folder holds, by {@code model_type}. */
final class ChatModels {
    private static final Map<String, BiFunction<Path, ChatModel.Precision, ChatModel>> BY_TYPE = byType();

    private ChatModels() {}

    private static Map<String, BiFunction<Path, ChatModel.Precision, ChatModel>> byType() {
        Map<String, BiFunction<Path, ChatModel.Precision, ChatModel>> r = new LinkedHashMap<>();
        for (String type : new String[] {
            "llava",
            "tinyllava",
            "mobilevlm",
            "bunny-phi",
            "bunny-llama",
            "bunny-qwen",
            "bunny-qwen2",
            "bunny-stablelm",
            "llava_llama",
            "tiny_llava_llama",
            "tiny_llava_phi",
            "tiny_llava_stablelm"
        }) {
            r.put(type, LlavaChat::load);
        }
        r.put("mplug-owl", OwlChat::load);
        for (String type : new String[] {"llama", "mistral", "qwen2", "phi", "stablelm", "gpt2", "opt"}) {
            r.put(type, WordsChat::load);
        }
        return r;
    }

    static ChatModel load(Path folder, ChatModel.Precision precision) {
        Path file = folder.resolve("config.json");
        if (!Files.isRegularFile(file)) {
            throw new UserError(folder + ": no config.json; expected the folder of a model");
        }
        Json config = Json.read(file);
        BiFunction<Path, ChatModel.Precision, ChatModel> load = BY_TYPE.get(config.get("model_type", ""));
        if (load == null) {
            throw config.unsupported("model_type", BY_TYPE.keySet());
        }
        return load.apply(folder, precision);
    }
}
