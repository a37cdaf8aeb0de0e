package dev.zoetrope.training.seeing;

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
import java.util.List;
import java.util.Map;

/** A trained model as transformers would have written it: any loader of its kind opens it. */
public final class Exported {
    private Exported() {}

    /** config.json and the weights in float16. */
    public static void write(Path folder, Map<String, Object> config, Weights weights) {
        json(folder.resolve("config.json"), config);
        try (Scope s = Scope.open()) {
            Map<String, Tensor> halves = new LinkedHashMap<>();
            weights.all().forEach((name, t) -> halves.put(name, t.detach().to(DType.FLOAT16)));
            Safetensors.write(folder.resolve("model.safetensors"), halves, Map.of("format", "pt"));
        }
    }

    /** Pictures squashed to a square, -1..1. */
    public static void processor(Path folder, String type, int side) {
        processor(folder, type, side, 0);
    }

    /** @param high side of the same pictures for an eye that sees more, 0 for none */
    public static void processor(Path folder, String type, int side, int high) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("image_processor_type", type);
        m.put("do_resize", true);
        m.put("size", Map.of("height", side, "width", side));
        m.put("resample", 3);
        if (high > 0) {
            m.put("high_res_size", Map.of("height", high, "width", high));
            m.put("high_res_image_mean", List.of(.5, .5, .5));
            m.put("high_res_image_std", List.of(.5, .5, .5));
        }
        m.put("do_center_crop", false);
        m.put("do_rescale", true);
        m.put("do_normalize", true);
        m.put("image_mean", List.of(.5, .5, .5));
        m.put("image_std", List.of(.5, .5, .5));
        json(folder.resolve("preprocessor_config.json"), m);
    }

    /** A configuration file. */
    public static void json(Path file, Map<String, Object> json) {
        try {
            byte[] text = (new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n")
                    .getBytes(StandardCharsets.UTF_8);
            AtomicFile.write(file, out -> out.write(text));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
