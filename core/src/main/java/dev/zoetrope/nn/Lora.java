package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A change of a matrix by one of low rank, arXiv:2106.09685: {@code scale * B A x}, with A {@code [r, in]} and B
 * {@code [out, r]}. B starts at zero, so that training starts from the model as it is. Names as peft writes them.
 */
public final class Lora {
    /**
     * @param alpha over the rank, or over its root where {@code rankStabilised} (arXiv:2312.03732), the scale
     * @param dropout of the input, while training
     * @param targets must match the whole path of a linear layer that is to change
     */
    public record Config(int rank, double alpha, double dropout, boolean rankStabilised, Pattern targets) {
        private static final double DEFAULT_ALPHA = 8; // peft's, as is the rank of 8

        public Config {
            Check.positive(rank, "r");
            Check.positive(alpha, "lora_alpha");
        }

        /** Layers whose path is, or ends in, one of these names: {@code "q_proj", "v_proj"}. */
        public static Config of(int rank, double alpha, double dropout, String... names) {
            return new Config(rank, alpha, dropout, false, endingIn(List.of(names)));
        }

        /** From peft's {@code adapter_config.json}. */
        public static Config of(Json j) {
            j.expect("peft_type", "LORA");
            j.expect("bias", "none");
            j.expect("use_dora", false);
            j.expect("lora_bias", false);
            j.expect("fan_in_fan_out", false);
            for (String perLayer : List.of("rank_pattern", "alpha_pattern")) {
                if (!j.at(perLayer).keys().isEmpty()) {
                    throw j.unsupported(perLayer, "one rank and one alpha for all layers");
                }
            }
            for (String more : List.of("modules_to_save", "layers_to_transform", "exclude_modules")) {
                if (j.has(more)) {
                    throw j.unsupported(more, "null");
                }
            }
            return new Config(
                    j.get("r", 8),
                    j.get("lora_alpha", DEFAULT_ALPHA),
                    j.get("lora_dropout", 0.),
                    j.get("use_rslora", false),
                    targets(j));
        }

        private static Pattern targets(Json j) {
            if (j.isArray("target_modules")) {
                return endingIn(j.get("target_modules", List.of()));
            }
            String expression = j.require("target_modules");
            if (expression.equals("all-linear")) {
                throw j.unsupported("target_modules", "a list of names, or a regular expression for whole paths");
            }
            return Pattern.compile(expression);
        }

        private static Pattern endingIn(List<String> names) {
            return Pattern.compile(
                    names.stream().map(Pattern::quote).collect(Collectors.joining("|", "(?:.*\\.)?(?:", ")")));
        }

        public double scale() {
            return alpha / (rankStabilised ? Math.sqrt(rank) : rank);
        }
    }

    private final Tensor down;
    private final Tensor up;
    private final Dropout dropout;
    private final double scale;

    public Lora(Config c, Weights w, long in, long out) {
        down = w.tensor("lora_A.weight", Init.kaimingUniform(Math.sqrt(5)), c.rank(), in);
        up = w.tensor("lora_B.weight", Init.zeros(), out, c.rank());
        dropout = new Dropout(c.dropout());
        scale = c.scale();
    }

    /** What is added to the layer's answer: {@code [..., in] -> [..., out]}, in the adapter's type. */
    Tensor change(Tensor x) {
        Tensor low = Functional.linear(dropout.forward(x.to(down.dtype())), down, null); // [..., r]
        return Functional.linear(low, up, null).mul(scale);
    }

    /** What is added to the layer's weight, {@code [out, in]}. */
    Tensor matrix() {
        try (Scope s = Scope.open()) {
            return s.keep(up.matmul(down).mul(scale));
        }
    }
}
