package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Writes a chat model once in fewer bits, so that it need not be packed each time it is loaded. */
public final class Quantize {
    private Quantize() {}

    /**
     * Copies the folder of a model with the matrices of its language model in fewer bits, all else in bfloat16. {@link
     * Chat#load} opens the result as any other.
     *
     * @param from folder of a chat model
     * @param to folder to write
     */
    public static void write(Path from, Path to, PackedWeight.Kind kind) {
        Set<String> packed = new HashSet<>();
        try (ChatModel model = ChatModel.load(from, new ChatModel.Precision(DType.BFLOAT16, kind))) {
            model.weights().parts(PackedWeight.class, (path, weight) -> packed.add(path + ".weight"));
        }
        try (ChatModel model = ChatModel.load(from, new ChatModel.Precision(DType.BFLOAT16, null));
                Scope s = Scope.open()) {
            Map<String, Tensor> all = new LinkedHashMap<>();
            model.weights().all().forEach((name, t) -> {
                if (packed.contains(name)) {
                    store(all, name, PackedWeight.stored(kind, t));
                } else {
                    all.put(name, t);
                }
            });
            Pretrained.copyDescriptions(from, to);
            Safetensors.write(to.resolve("model.safetensors"), all, Map.of("format", "pt"));
        }
    }

    private static void store(Map<String, Tensor> all, String name, PackedWeight.Stored stored) {
        Tensor offset = stored.offset();
        PackedWeight.Kind kind = offset == null ? PackedWeight.Kind.INT8 : PackedWeight.Kind.INT4;
        all.put(name + "." + kind.name().toLowerCase(Locale.ROOT), stored.values());
        all.put(name + ".scale", stored.scale());
        if (offset != null) {
            all.put(name + ".offset", offset);
        }
    }
}
