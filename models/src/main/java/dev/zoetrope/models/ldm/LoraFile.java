package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Low-rank changes of a pipeline's weights, arXiv:2106.09685, in the files of diffusers ({@code lora.down}), peft
 * ({@code lora_A}) and kohya ({@code lora_unet_..., alpha}). They are added to the weights, so that the pipeline runs as
 * fast as before.
 */
final class LoraFile {
    private static final Pattern MATRIX = Pattern.compile("(.+?)(?:\\.lora|\\.lora_linear_layer)?"
            + "[._](?:lora_down|lora_A|lora_up|lora_B|down|up)(?:\\.default(?:_0)?)?\\.weight");
    private static final Pattern IS_DOWN =
            Pattern.compile(".*[._](?:lora_down|lora_A|down)(?:\\.default(?:_0)?)?\\.weight");
    private static final String ALPHA = ".alpha";
    private static final int SHOWN = 3;

    /** One layer's change: {@code alpha / r * up down}; without an alpha the factor is 1. */
    private static final class Change {
        private @Nullable Tensor down;
        private @Nullable Tensor up;
        private @Nullable Double alpha;
    }

    private final Path file;
    private final Map<String, Change> changes = new LinkedHashMap<>();

    private LoraFile(Path file) {
        this.file = file;
    }

    /** Its tensors are owned by the innermost scope. */
    static LoraFile read(Path file) {
        LoraFile r = new LoraFile(file);
        Safetensors.read(file).forEach(r::add);
        if (r.changes.isEmpty()) {
            throw new UserError(file + ": holds no LoRA; expected tensors such as "
                    + "'unet.(...).to_q.lora_A.weight' or 'lora_unet_(...).lora_down.weight'");
        }
        return r;
    }

    private void add(String key, Tensor value) {
        if (key.endsWith(ALPHA)) {
            change(key.substring(0, key.length() - ALPHA.length())).alpha = value.item();
            return;
        }
        Matcher m = MATRIX.matcher(key);
        if (!m.matches()) {
            throw new UserError(file + ": tensor '" + key + "' is no LoRA of a known form; DoRA, LoHa and LoKr are not "
                    + "supported");
        }
        if (!value.isfinite().all()) {
            throw new UserError(file + ": tensor '" + key + "' holds values that are not finite; the file is damaged");
        }
        Change c = change(m.group(1));
        if (IS_DOWN.matcher(key).matches()) {
            c.down = value;
        } else {
            c.up = value;
        }
    }

    private Change change(String layer) {
        return changes.computeIfAbsent(layer, k -> new Change());
    }

    /**
     * Adds the changes, all or none.
     *
     * @param parts weights of the pipeline by the name of their part, {@code unet, text_encoder, text_encoder_2}
     */
    void addTo(Map<String, Weights> parts, double strength) {
        Map<String, Tensor> targets = targets(parts);
        List<String> strangers = new ArrayList<>();
        Map<Tensor, Change> fits = new LinkedHashMap<>();
        changes.forEach((layer, change) -> {
            Tensor weight = targets.get(plain(layer));
            String problem = weight == null ? "there is no such layer" : problem(change, weight);
            if (problem == null) {
                fits.put(weight, change);
            } else {
                strangers.add(layer + " (" + problem + ")");
            }
        });
        if (!strangers.isEmpty()) {
            throw new UserError(file + ": was made for another model: " + strangers.size() + " of " + changes.size()
                    + " layers do not fit, such as "
                    + String.join(", ", strangers.subList(0, Math.min(SHOWN, strangers.size()))));
        }
        try (Autograd.Mode off = Autograd.off()) {
            fits.forEach((weight, change) -> {
                try (Scope s = Scope.open()) {
                    weight.addInPlace(matrix(change, weight).to(weight.dtype()), strength);
                }
            });
        }
    }

    /** Every layer of the parts under each of the names that files call it by. */
    private static Map<String, Tensor> targets(Map<String, Weights> parts) {
        Map<String, Tensor> r = new LinkedHashMap<>();
        parts.forEach((part, weights) -> weights.named().forEach((name, tensor) -> {
            if (name.endsWith(".weight") && tensor.dim() > 1) {
                String layer = name.substring(0, name.length() - ".weight".length());
                boolean text = !part.equals("unet");
                String full = text && !layer.startsWith("text_model.") ? "text_model." + layer : layer;
                r.put(part + "." + full, tensor);
                r.put(kohya(part, parts.size()) + "_" + full.replace('.', '_'), tensor);
                if (!text) {
                    r.put("base_model.model." + full, tensor); // peft's own file of a U-Net
                }
            }
        }));
        return r;
    }

    private static String kohya(String part, int parts) {
        return switch (part) {
            case "unet" -> "lora_unet";
            case "text_encoder_2" -> "lora_te2";
            default -> parts > 2 ? "lora_te1" : "lora_te";
        };
    }

    /** The layer's own path: an early form of diffusers names the attention's processor. */
    private static String plain(String layer) {
        return layer.replaceFirst("\\.processor\\.to_(q|k|v)_lora$", ".to_$1")
                .replaceFirst("\\.processor\\.to_out_lora$", ".to_out.0");
    }

    private static @Nullable String problem(Change c, Tensor weight) {
        if (c.down == null || c.up == null) {
            return "one of its two matrices is missing";
        }
        boolean fits = c.down.dim() >= 2
                && c.up.dim() >= 2
                && c.up.size(1) == c.down.size(0)
                && c.up.size(0) == weight.size(0)
                && c.down.numel() / c.down.size(0) == weight.numel() / weight.size(0);
        return fits
                ? null
                : "matrices " + Arrays.toString(c.up.shape()) + " and " + Arrays.toString(c.down.shape())
                        + " for a weight of " + Arrays.toString(weight.shape());
    }

    private static Tensor matrix(Change c, Tensor weight) {
        if (c.up == null || c.down == null) {
            throw new IllegalStateException("checked before");
        }
        double scale = c.alpha == null ? 1 : c.alpha / c.down.size(0);
        Tensor up = c.up.to(DType.FLOAT32).flatten(1);
        Tensor down = c.down.to(DType.FLOAT32).flatten(1);
        return up.matmul(down).mul(scale).reshape(weight.shape()).to(weight.device());
    }
}
