package dev.zoetrope.models.bert;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * BERT's encoder, arXiv:1810.04805 (google-bert/bert-base-uncased, sentence-transformers/all-MiniLM-L6-v2).
 *
 * <p>Axes: B rows, T tokens, D hidden_size.
 */
public final class Bert implements AutoCloseable {
    /**
     * @param vocabularySize rows of the word table
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param positions longest row
     * @param types segments that a token can belong to
     */
    public record Config(
            int vocabularySize,
            int hidden,
            int intermediate,
            int layers,
            int heads,
            int positions,
            int types,
            Act activation,
            double eps) {
        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            j.expect("model_type", "bert");
            j.expect("position_embedding_type", "absolute");
            j.expect("is_decoder", false);
            return new Config(
                    j.get("vocab_size", 30522),
                    j.get("hidden_size", 768),
                    j.get("intermediate_size", 3072),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("max_position_embeddings", 512),
                    j.get("type_vocab_size", 2),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-12));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Embedding words;
    private final Embedding positions;
    private final Embedding types;
    private final LayerNorm norm;
    private final List<Layer> layers;
    private final @Nullable Linear pooler;

    public Bert(Config c, Weights published) {
        Weights w = names(published);
        weights = published;
        config = c;
        Weights e = w.at("embeddings");
        words = new Embedding(e.at("word_embeddings"), c.vocabularySize, c.hidden, Init.normal(0.02));
        positions = new Embedding(e.at("position_embeddings"), c.positions, c.hidden, Init.normal(0.02));
        types = new Embedding(e.at("token_type_embeddings"), c.types, c.hidden, Init.normal(0.02));
        norm = new LayerNorm(e.at("LayerNorm"), c.hidden, c.eps);
        layers = w.at("encoder.layer").stack(c.layers, l -> new Layer(c, l));
        pooler = w.has("pooler.dense.weight") ? new Linear(w.at("pooler.dense"), c.hidden, c.hidden) : null;
        w.ignorable("(bert\\.)?embeddings\\.position_ids|cls\\..*");
    }

    public static Bert load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Bert(Config.of(json), w));
    }

    /** Releases that were trained with a head have everything under {@code bert.}; those of TensorFlow say gamma, beta. */
    private static Weights names(Weights w) {
        String path = w.path().isEmpty() ? "" : w.path() + ".";
        Weights r = w.has("bert.embeddings.word_embeddings.weight")
                ? w.renamed(n -> path + "bert." + n.substring(path.length()))
                : w;
        return r.has("embeddings.LayerNorm.gamma")
                ? r.renamed(n ->
                        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"))
                : r;
    }

    /**
     * @param ids {@code [B, T]} INT64
     * @param typeIds {@code [B, T]} INT64, the segment of each token; null for all 0
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, T, D]}
     */
    public Tensor forward(Tensor ids, @Nullable Tensor typeIds, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = hiddenStates(ids, typeIds, mask);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /** What goes into the first layer, then what comes out of each, {@code [B, T, D]}. */
    public List<Tensor> hiddenStates(Tensor ids, @Nullable Tensor typeIds, @Nullable Tensor mask) {
        return hiddenStates(ids, typeIds, mask, null);
    }

    /** @param places of the tokens, {@code [B, T]} INT64; null for 0, 1, 2 ... */
    public List<Tensor> hiddenStates(
            Tensor ids, @Nullable Tensor typeIds, @Nullable Tensor mask, @Nullable Tensor places) {
        long last = places == null ? ids.size(1) : (long) places.max().item() + 1;
        Check.atMost(config.positions, last, "max_position_embeddings", "the number of tokens");
        List<Tensor> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor type = typeIds == null ? types.weight().select(0, 0) : types.forward(typeIds); // [D] or [B, T, D]
            Tensor place = places == null
                    ? positions.weight().narrow(0, 0, ids.size(1))
                    : positions.forward(places); // [T, D] or [B, T, D]
            Tensor x = norm.forward(words.forward(ids).add(type).add(place)); // [B, T, D]
            r.add(s.keep(x));
            Tensor allowed = mask == null ? null : mask.ne(0L).unsqueeze(1).unsqueeze(1); // [B, 1, 1, T]
            for (Layer layer : layers) {
                x = layer.forward(x, allowed);
                r.add(s.keep(x));
            }
        }
        return r;
    }

    /** The sentence vector of BERT's own training, from the last hidden states: {@code [B, T, D] -> [B, D]}. */
    public Tensor pooled(Tensor hidden) {
        if (pooler == null) {
            throw new UserError("this checkpoint has no pooler.dense: average its hidden states instead");
        }
        return pooler.forward(hidden.select(1, 0)).tanh();
    }

    public Config config() {
        return config;
    }

    @Override
    public void close() {
        weights.close();
    }

    /** Attention, then feed-forward, each normalised after it is added. */
    private static final class Layer {
        private final Attention attention;
        private final LayerNorm attentionNorm;
        private final Linear intermediate;
        private final Linear output;
        private final LayerNorm outputNorm;
        private final Act activation;

        Layer(Config c, Weights w) {
            attention = Attention.of(
                    w.at("attention"), c.hidden, c.heads, true, "self.query", "self.key", "self.value", "output.dense");
            attentionNorm = new LayerNorm(w.at("attention.output.LayerNorm"), c.hidden, c.eps);
            intermediate = new Linear(w.at("intermediate.dense"), c.hidden, c.intermediate);
            output = new Linear(w.at("output.dense"), c.intermediate, c.hidden);
            outputNorm = new LayerNorm(w.at("output.LayerNorm"), c.hidden, c.eps);
            activation = c.activation;
        }

        Tensor forward(Tensor x, @Nullable Tensor allowed) {
            try (Scope s = Scope.open()) {
                Tensor h = attentionNorm.forward(x.add(attention.forward(x, x, allowed, false)));
                Tensor y = output.forward(activation.of(intermediate.forward(h)));
                return s.keep(outputNorm.forward(h.add(y)));
            }
        }
    }
}
