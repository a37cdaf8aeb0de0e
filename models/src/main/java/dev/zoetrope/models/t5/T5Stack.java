package dev.zoetrope.models.t5;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of T5's encoder or decoder with the last norm. Norms come first in each layer and have no mean and no shift;
 * scores of attention are not scaled (the initial weights are), and what tells positions apart is a learned number for
 * each head and bucket of distances, added to the scores.
 *
 * <p>Axes: B rows, T tokens, P tokens decoded before these, K = P + T, S tokens of the encoder, D d_model, H heads, E d_kv.
 */
final class T5Stack {
    /** Scores that are not allowed: PyTorch's most negative float32, which leaves a row without any allowed one uniform. */
    private static final double NOT_ALLOWED = -Float.MAX_VALUE;

    private final boolean decoder;
    private final List<Block> blocks;
    private final RmsNorm norm;

    T5Stack(T5Config c, Weights w, boolean decoder) {
        this.decoder = decoder;
        List<Block> all = new ArrayList<>();
        for (int i = 0; i < (decoder ? c.decoderLayers() : c.layers()); i++) {
            Bias shared = i == 0 || c.biasPerLayer() ? null : all.get(0).bias;
            all.add(new Block(c, w.at("block").at(i), decoder, shared));
        }
        blocks = List.copyOf(all);
        norm = new RmsNorm(w.at("final_layer_norm"), c.hidden(), c.eps());
    }

    /** T5's own initial weights: scores of attention start small, as they are never scaled. */
    static Weights initialised(T5Config c, Weights w) {
        double inner = c.heads() * c.headSize();
        return w.initialised((name, init) -> {
            String[] path = name.split("\\.", -1);
            return switch (path[path.length - 2]) {
                case "q" -> Init.normal(Math.pow((double) c.hidden() * c.headSize(), -0.5));
                case "k", "v", "wi", "wi_0", "wi_1" -> Init.normal(Math.pow(c.hidden(), -0.5));
                case "o" -> Init.normal(Math.pow(inner, -0.5));
                case "wo" -> Init.normal(Math.pow(c.intermediate(), -0.5));
                case "shared", "lm_head" -> Init.normal(1);
                default -> init;
            };
        });
    }

    /** Keys and values of the tokens before and of the encoder; empty at the start of a text. */
    List<Cache> caches() {
        return blocks.stream().map(b -> new Cache()).toList();
    }

    /**
     * What comes out of each block, and last of all the normalised output, {@code [B, T, D]}.
     *
     * @param x {@code [B, T, D]}
     * @param mask {@code [B, T]} of the encoder's own tokens, not 0 for real ones; null where all are
     * @param encoded {@code [B, S, D]}, for the decoder
     * @param encodedMask {@code [B, S]}; null where all are real
     * @param caches one a block, for the decoder
     */
    List<Tensor> forward(
            Tensor x,
            @Nullable Tensor mask,
            @Nullable Tensor encoded,
            @Nullable Tensor encodedMask,
            @Nullable List<Cache> caches) {
        List<Tensor> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            long past = caches == null ? 0 : caches.get(0).length();
            Tensor hidden = forbidden(mask); // [B, 1, 1, T]
            if (decoder) {
                long t = x.size(1);
                hidden = Tensor.ones(t, past + t)
                        .triu(past + 1)
                        .ne(0L)
                        .unsqueeze(0)
                        .unsqueeze(0); // [1, 1, T, K]
            }
            Tensor crossBias = additive(forbidden(encodedMask)); // [B, 1, 1, S]
            Bias last = null;
            Tensor bias = null;
            for (int i = 0; i < blocks.size(); i++) {
                Block b = blocks.get(i);
                if (bias == null || b.bias != last) {
                    last = b.bias;
                    bias = b.bias.of(past, x.size(1)); // [1, H, T, K]
                    bias = hidden == null ? bias : bias.maskedFill(hidden, NOT_ALLOWED); // [B, H, T, K]
                }
                x = b.forward(x, bias, encoded, crossBias, caches == null ? null : caches.get(i));
                r.add(s.keep(x));
            }
            r.add(s.keep(norm.forward(x)));
        }
        return r;
    }

    private static @Nullable Tensor forbidden(@Nullable Tensor mask) {
        return mask == null ? null : mask.eq(0L).unsqueeze(1).unsqueeze(1);
    }

    private static @Nullable Tensor additive(@Nullable Tensor forbidden) {
        return forbidden == null ? null : Tensor.zeros().maskedFill(forbidden, NOT_ALLOWED);
    }

    /** Keys and values, {@code [B, H, N, E]}. */
    private record KeyValue(Tensor keys, Tensor values) {
        KeyValue detached() {
            Scope.detach(keys);
            Scope.detach(values);
            return this;
        }

        KeyValue select(Tensor rows) {
            KeyValue r = new KeyValue(keys.indexSelect(0, rows), values.indexSelect(0, rows)).detached();
            close();
            return r;
        }

        void close() {
            keys.close();
            values.close();
        }
    }

    /** What a decoder's block remembers between tokens; its tensors belong to no scope. */
    static final class Cache implements AutoCloseable {
        private @Nullable KeyValue own;
        private @Nullable KeyValue encoded;

        long length() {
            return own == null ? 0 : own.keys.size(2);
        }

        private KeyValue append(KeyValue next) {
            KeyValue before = own;
            KeyValue all = before == null
                    ? next
                    : new KeyValue(Tensor.cat(2, before.keys, next.keys), Tensor.cat(2, before.values, next.values));
            own = all.detached();
            if (before != null) {
                before.close();
            }
            return all;
        }

        private KeyValue encoded(Attention cross, Tensor context) {
            if (encoded == null) {
                encoded = cross.keyValue(context).detached();
            }
            return encoded;
        }

        /** Goes on with these rows, in this order. */
        void select(Tensor rows) {
            own = own == null ? null : own.select(rows);
            encoded = encoded == null ? null : encoded.select(rows);
        }

        @Override
        public void close() {
            if (own != null) {
                own.close();
            }
            if (encoded != null) {
                encoded.close();
            }
        }
    }

    /** A learned number for each head and bucket of distances between query and key. */
    private static final class Bias {
        private final Tensor table; // [buckets, H]
        private final boolean bidirectional;
        private final int maxDistance;

        Bias(T5Config c, Weights w, boolean decoder) {
            table = w.tensor("weight", Init.normal(1 / Math.sqrt(c.hidden())), c.buckets(), c.heads());
            bidirectional = !decoder;
            maxDistance = c.maxDistance();
        }

        /** {@code [1, H, T, past + T]}. */
        Tensor of(long past, long t) {
            Tensor keys = Tensor.arange(past + t).unsqueeze(0); // [1, K]
            Tensor queries = Tensor.arange(past, past + t, 1).unsqueeze(1); // [T, 1]
            Tensor bucket = bucket(keys.sub(queries)); // [T, K]
            return Functional.embedding(bucket, table).permute(2, 0, 1).unsqueeze(0);
        }

        /** Small distances have a bucket each, larger ones share buckets that widen with the logarithm. */
        private Tensor bucket(Tensor relative) {
            long n = bidirectional ? table.size(0) / 2 : table.size(0);
            Tensor distance = bidirectional
                    ? relative.abs()
                    : relative.neg().to(DType.FLOAT32).relu().to(DType.INT64);
            long exact = n / 2;
            // In float32 as the reference, whose rounding decides on which side of a boundary a distance falls.
            Tensor wide = distance.to(DType.FLOAT32)
                    .div((double) exact)
                    .log()
                    .div(Math.log((double) maxDistance / exact))
                    .mul((double) (n - exact))
                    .clamp(0, n - 1 - exact)
                    .to(DType.INT64)
                    .add(exact);
            Tensor bucket = Tensor.where(distance.lt(exact), distance, wide);
            return bidirectional ? bucket.add(relative.gt(0L).to(DType.INT64).mul(n)) : bucket;
        }
    }

    /** Attention to itself, in the decoder to the encoder's output, then feed-forward, each added to what came in. */
    private static final class Block {
        private final RmsNorm selfNorm;
        private final Attention self;
        private final Bias bias;
        private final @Nullable Cross cross;
        private final RmsNorm feedNorm;
        private final FeedForward feed;

        Block(T5Config c, Weights block, boolean decoder, @Nullable Bias shared) {
            Weights w = block.at("layer");
            self = new Attention(c, w.at("0.SelfAttention"));
            bias = shared != null ? shared : new Bias(c, w.at("0.SelfAttention.relative_attention_bias"), decoder);
            selfNorm = new RmsNorm(w.at("0.layer_norm"), c.hidden(), c.eps());
            cross = decoder ? new Cross(c, w.at(1)) : null;
            Weights last = w.at(decoder ? 2 : 1);
            feed = new FeedForward(c, last.at("DenseReluDense"));
            feedNorm = new RmsNorm(last.at("layer_norm"), c.hidden(), c.eps());
        }

        Tensor forward(
                Tensor x, Tensor bias, @Nullable Tensor encoded, @Nullable Tensor encodedBias, @Nullable Cache cache) {
            try (Scope s = Scope.open()) {
                Tensor h = selfNorm.forward(x);
                KeyValue own = self.keyValue(h);
                Tensor y = x.add(self.forward(h, cache == null ? own : cache.append(own), bias));
                if (cross != null && encoded != null) {
                    y = y.add(cross.forward(y, encoded, encodedBias, cache));
                }
                return s.keep(y.add(feed.forward(feedNorm.forward(y))));
            }
        }
    }

    /** The decoder's look at the encoder's output. */
    private static final class Cross {
        private final RmsNorm norm;
        private final Attention attention;

        Cross(T5Config c, Weights w) {
            attention = new Attention(c, w.at("EncDecAttention"));
            norm = new RmsNorm(w.at("layer_norm"), c.hidden(), c.eps());
            w.ignorable("EncDecAttention\\.relative_attention_bias\\.weight"); // in old files, never used
        }

        Tensor forward(Tensor x, Tensor encoded, @Nullable Tensor bias, @Nullable Cache cache) {
            KeyValue kv = cache == null ? attention.keyValue(encoded) : cache.encoded(attention, encoded);
            return attention.forward(norm.forward(x), kv, bias);
        }
    }

    private static final class Attention {
        private final Linear q;
        private final Linear k;
        private final Linear v;
        private final Linear o;
        private final int heads;

        Attention(T5Config c, Weights w) {
            int inner = c.heads() * c.headSize();
            q = new Linear(w.at("q"), c.hidden(), inner, false);
            k = new Linear(w.at("k"), c.hidden(), inner, false);
            v = new Linear(w.at("v"), c.hidden(), inner, false);
            o = new Linear(w.at("o"), inner, c.hidden(), false);
            heads = c.heads();
        }

        KeyValue keyValue(Tensor context) {
            return new KeyValue(
                    Heads.split(k.forward(context), heads), Heads.split(v.forward(context), heads)); // [B, H, N, E]
        }

        Tensor forward(Tensor x, KeyValue kv, @Nullable Tensor bias) {
            Tensor query = Heads.split(q.forward(x), heads); // [B, H, T, E]
            Tensor y = Functional.attention(query, kv.keys, kv.values, bias, false, 1.0);
            return o.forward(Heads.merge(y)); // [B, T, D]
        }
    }

    private static final class FeedForward {
        private final @Nullable Linear gate;
        private final Linear in;
        private final Linear out;
        private final Act activation;

        FeedForward(T5Config c, Weights w) {
            in = new Linear(w.at(c.gated() ? "wi_0" : "wi"), c.hidden(), c.intermediate(), false);
            gate = c.gated() ? new Linear(w.at("wi_1"), c.hidden(), c.intermediate(), false) : null;
            out = new Linear(w.at("wo"), c.intermediate(), c.hidden(), false);
            activation = c.activation();
        }

        Tensor forward(Tensor x) {
            Tensor h = activation.of(in.forward(x));
            return out.forward(gate == null ? h : h.mul(gate.forward(x)));
        }
    }
}
