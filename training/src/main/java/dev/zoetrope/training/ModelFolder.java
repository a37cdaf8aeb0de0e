package dev.zoetrope.training;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes what was trained as a folder that the model's own loader reads. */
public final class ModelFolder {
    private ModelFolder() {}

    /** config.json and, in float16, the weights in a file of this name. */
    public static void part(Path folder, String file, Weights weights, Map<String, Object> config) {
        json(folder.resolve("config.json"), config);
        try (Scope s = Scope.open()) {
            Map<String, Tensor> halves = new LinkedHashMap<>();
            weights.all().forEach((name, t) -> halves.put(name, t.detach().to(DType.FLOAT16)));
            Safetensors.write(folder.resolve(file), halves, Map.of("format", "pt"));
        }
    }

    public static void json(Path file, Map<String, Object> json) {
        try {
            byte[] text = (new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n")
                    .getBytes(StandardCharsets.UTF_8);
            AtomicFile.write(file, out -> out.write(text));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Keys and values in turn, in this order. */
    public static Map<String, Object> ordered(Object... pairs) {
        Map<String, Object> m = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            m.put((String) pairs[i], pairs[i + 1]);
        }
        return m;
    }
}
