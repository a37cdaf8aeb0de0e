package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;

/** Which chat model a folder holds, by {@code model_type}, or by the architecture of releases that lack it. */
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
        r.put("deepseek_vl", DeepSeekVlChat::load);
        r.put("deepseek_vl_hybrid", DeepSeekVlChat::load);
        r.put("CogVLMForCausalLM", CogVlmChat::load);
        for (String type : new String[] {"llama", "mistral", "qwen2", "phi", "stablelm", "gpt2", "opt"}) {
            r.put(type, WordsChat::load);
        }
        return r;
    }

    private static String kind(Json config) {
        List<String> architectures = config.get("architectures", List.of());
        return config.has("model_type") || architectures.isEmpty()
                ? config.get("model_type", "")
                : architectures.get(0);
    }

    /** The tokens that end an answer: those of the configuration, and the end token of the tokenizer. */
    static Set<Integer> ends(Path folder, Tokenizer tokenizer) {
        Set<Integer> r =
                new HashSet<>(Generation.Options.greedy(1).withTokensOf(folder).ends());
        String end = tokenizer.token("eos_token");
        if (end != null) {
            r.add(tokenizer.id(end));
        }
        return r;
    }

    /** What goes into a model, in the type and on the device of its weights. */
    static Tensor asWeights(Tensor x, Weights weights) {
        Tensor any = weights.named().values().iterator().next();
        return x.to(any.device()).to(any.dtype());
    }

    static ChatModel load(Path folder, ChatModel.Precision precision) {
        Path file = folder.resolve("config.json");
        if (!Files.isRegularFile(file)) {
            throw new UserError(folder + ": no config.json; expected the folder of a model");
        }
        Json config = Json.read(file);
        BiFunction<Path, ChatModel.Precision, ChatModel> load = BY_TYPE.get(kind(config));
        if (load == null) {
            throw config.unsupported("model_type", BY_TYPE.keySet());
        }
        return load.apply(folder, precision);
    }
}
