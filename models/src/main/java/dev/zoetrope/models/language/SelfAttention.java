package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Causal attention whose heads of queries share heads of keys and values, arXiv:2305.13245.
 *
 * <p>Axes as in {@link Pass}.
 */
public final class SelfAttention {
    /**
     * @param hidden D
     * @param heads H
     * @param keyValueHeads G
     * @param size E
     */
    public record Shape(int hidden, int heads, int keyValueHeads, int size) {
        public Shape {
            Check.positive(hidden, "hidden_size");
            Check.positive(size, "head_dim");
            Check.divides(keyValueHeads, heads, "num_key_value_heads", "num_attention_heads");
        }

        /** Heads that share the width evenly. */
        public static Shape of(int hidden, int heads, int keyValueHeads) {
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
            return new Shape(hidden, heads, keyValueHeads, hidden / heads);
        }
    }

    private static final Module AS_IT_IS = x -> x;

    private final Linear query;
    private final Linear key;
    private final Linear value;
    private final Linear output;
    private final Module queryNorm; // of [B, H, T, E]
    private final Module keyNorm;
    private final Shape shape;

    SelfAttention(Shape c, Weights w, boolean qkvBias, String output, boolean outputBias) {
        this(c, w, qkvBias, output, outputBias, AS_IT_IS, AS_IT_IS);
    }

    /**
     * @param output what the checkpoint calls the projection behind the attention
     * @param queryNorm of the heads of queries, {@code [B, H, T, E]}
     * @param keyNorm of the heads of keys, {@code [B, G, T, E]}
     */
    public SelfAttention(
            Shape c, Weights w, boolean qkvBias, String output, boolean outputBias, Module queryNorm, Module keyNorm) {
        query = new Linear(w.at("q_proj"), c.hidden, (long) c.heads * c.size, qkvBias);
        key = new Linear(w.at("k_proj"), c.hidden, (long) c.keyValueHeads * c.size, qkvBias);
        value = new Linear(w.at("v_proj"), c.hidden, (long) c.keyValueHeads * c.size, qkvBias);
        this.output = new Linear(w.at(output), (long) c.heads * c.size, c.hidden, outputBias);
        this.queryNorm = queryNorm;
        this.keyNorm = keyNorm;
        shape = c;
    }

    /** {@code [B, T, D] -> [B, T, D]}. */
    public Tensor forward(Tensor x, Pass pass) {
        try (Scope s = Scope.open()) {
            Tensor q = queryNorm.forward(Heads.split(query.forward(x), shape.heads)); // [B, H, T, E]
            Tensor k = keyNorm.forward(Heads.split(key.forward(x), shape.keyValueHeads)); // [B, G, T, E]
            Tensor v = Heads.split(value.forward(x), shape.keyValueHeads);
            Tensor y = pass.attend(pass.turn(q), pass.turn(k), v, null);
            return s.keep(output.forward(Heads.merge(y))); // [B, T, D]
        }
    }
}
