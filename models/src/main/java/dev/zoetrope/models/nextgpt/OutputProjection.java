package dev.zoetrope.models.nextgpt;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * From what a language model thinks at its signal tokens to what steers a decoder: a small transformer that is asked with
 * learned queries. Names as in NExT-GPT's {@code gen_text_hidden_fcs}.
 *
 * <p>Axes: B answers, S signal tokens, L width of the language model, D hidden, Q places of the condition, C its width.
 */
public final class OutputProjection implements AutoCloseable {
    private static final double EPS = 1e-5;
    private static final int PUBLISHED_LAYERS = 4;

    /**
     * @param in L
     * @param hidden D
     * @param places Q
     * @param out C
     */
    public record Config(int in, int hidden, int heads, int places, int out) {
        public Config {
            Check.divides(heads, hidden, "nhead", "hidden_dim");
            Check.positive(places, "num_output_tokens");
        }
    }

    private final Weights weights;
    private final Linear fc;
    private final List<Layer> encoder;
    private final LayerNorm encoderNorm;
    private final List<Layer> decoder;
    private final LayerNorm decoderNorm;
    private final Linear model;
    private final Tensor queries;

    public OutputProjection(Config c, Weights w) {
        weights = w;
        fc = new Linear(w.at("fc"), c.in, c.hidden);
        Weights e = w.at("tfm.encoder");
        Weights d = w.at("tfm.decoder");
        encoder = e.at("layers").stack(layers(e), at -> new Layer(c, at, false));
        encoderNorm = new LayerNorm(e.at("norm"), c.hidden, EPS);
        decoder = d.at("layers").stack(layers(d), at -> new Layer(c, at, true));
        decoderNorm = new LayerNorm(d.at("norm"), c.hidden, EPS);
        model = new Linear(w.at("model"), c.hidden, c.out);
        queries = w.tensor("query_embs", Init.normal(1), 1, c.places, c.hidden);
    }

    /** Configurations do not say how many; files do. */
    private static int layers(Weights w) {
        int n = 0;
        while (w.has("layers." + n + ".norm1.weight")) {
            n++;
        }
        return n == 0 ? PUBLISHED_LAYERS : n;
    }

    /** A projection alone, with config.json beside it. */
    public static OutputProjection load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new OutputProjection(config(json, w), w));
    }

    private static Config config(Json j, Weights w) {
        j.expect("mode", "transformer");
        long[] fc = w.shapeOf("fc.weight");
        return new Config(
                fc == null ? 4096 : (int) fc[1],
                j.get("hidden_dim", 512),
                j.get("nhead", 4),
                j.get("num_output_tokens", 77),
                j.get("out_dim", 768));
    }

    /** What the parts make, last of all the condition. */
    public record Parts(Tensor fc, Tensor encoder, Tensor decoder, Tensor condition) {}

    /**
     * @param hidden last states of the language model at its signal tokens, {@code [B, S, L]}
     * @param embedded these tokens' vectors, {@code [B, S, L]}
     * @return {@code [B, Q, C]}
     */
    public Tensor forward(Tensor hidden, Tensor embedded) {
        try (Scope s = Scope.open()) {
            return s.keep(parts(hidden, embedded).condition);
        }
    }

    /** As {@link #forward}, with what comes before: {@code [B, S, D]}, {@code [B, S, D]}, {@code [B, Q, D]}. */
    public Parts parts(Tensor hidden, Tensor embedded) {
        Tensor in = fc.forward(hidden.add(embedded));
        Tensor memory = in;
        for (Layer layer : encoder) {
            memory = layer.forward(memory, null);
        }
        memory = encoderNorm.forward(memory);
        Tensor y = queries.expand(in.size(0), -1, -1);
        for (Layer layer : decoder) {
            y = layer.forward(y, memory);
        }
        y = decoderNorm.forward(y);
        return new Parts(in, memory, y, model.forward(y));
    }

    /** Attention, in the decoder to the encoder too, and a feed-forward layer, each behind its norm. */
    private static final class Layer {
        private final LayerNorm norm1;
        private final Packed self;
        private final LayerNorm norm2;
        private final @Nullable Packed cross;
        private final @Nullable LayerNorm norm3;
        private final Linear linear1;
        private final Linear linear2;

        Layer(Config c, Weights w, boolean decodes) {
            norm1 = new LayerNorm(w.at("norm1"), c.hidden, EPS);
            self = new Packed(c, w.at("self_attn"));
            norm2 = new LayerNorm(w.at("norm2"), c.hidden, EPS);
            cross = decodes ? new Packed(c, w.at("multihead_attn")) : null;
            norm3 = decodes ? new LayerNorm(w.at("norm3"), c.hidden, EPS) : null;
            linear1 = new Linear(w.at("linear1"), c.hidden, 4L * c.hidden);
            linear2 = new Linear(w.at("linear2"), 4L * c.hidden, c.hidden);
        }

        Tensor forward(Tensor x, @Nullable Tensor memory) {
            try (Scope s = Scope.open()) {
                Tensor h = norm1.forward(x);
                Tensor y = x.add(self.forward(h, h));
                LayerNorm last = norm2;
                if (cross != null && norm3 != null && memory != null) {
                    y = y.add(cross.forward(norm2.forward(y), memory));
                    last = norm3;
                }
                return s.keep(
                        y.add(linear2.forward(linear1.forward(last.forward(y)).relu())));
            }
        }
    }

    /** Attention whose three projections are one matrix. */
    private static final class Packed {
        private final Tensor weight;
        private final Tensor bias;
        private final Linear out;
        private final int heads;
        private final int width;

        Packed(Config c, Weights w) {
            width = c.hidden;
            heads = c.heads;
            weight = w.tensor("in_proj_weight", Init.xavier(), 3L * width, width);
            bias = w.tensor("in_proj_bias", Init.zeros(), 3L * width);
            out = new Linear(w.at("out_proj"), width, width);
        }

        Tensor forward(Tensor x, Tensor context) {
            try (Scope s = Scope.open()) {
                Tensor y = Functional.attention(part(x, 0), part(context, 1), part(context, 2), null, false, null);
                return s.keep(out.forward(Heads.merge(y)));
            }
        }

        private Tensor part(Tensor x, int i) {
            long from = (long) i * width;
            return Heads.split(Functional.linear(x, weight.narrow(0, from, width), bias.narrow(0, from, width)), heads);
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
