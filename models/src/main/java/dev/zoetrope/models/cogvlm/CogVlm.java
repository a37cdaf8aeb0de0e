package dev.zoetrope.models.cogvlm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Decoder;
import dev.zoetrope.models.language.Insertion;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Pass;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Rope;
import dev.zoetrope.models.language.SelfAttention;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * CogVLM, arXiv:2311.03079, and CogVLM2, arXiv:2408.16500: a picture's tokens go through weights of their own in every
 * layer of the language model, whose weights for words stay those of Vicuna or Llama 3. Names as in
 * THUDM/cogvlm-chat-hf and THUDM/cogvlm2-llama3-chat-19B.
 *
 * <p>Axes: B rows, T tokens, S side of a picture in pixels, N tokens of a picture, D hidden_size, V vocabulary.
 */
public final class CogVlm implements AutoCloseable {
    /**
     * @param intermediate width inside the feed-forward layers
     * @param positions longest row, a picture counting as three
     * @param visionBias whether the vision expert's queries, keys and values have a bias
     * @param start token before everything else
     * @param place token that keeps a place for one of a picture
     * @param template how a conversation is written, unless one is asked for
     * @param deviation of the initial weights
     */
    public record Config(
            int vocabularySize,
            SelfAttention.Shape attention,
            int intermediate,
            int layers,
            Act activation,
            int positions,
            double eps,
            double ropeTheta,
            boolean visionBias,
            int start,
            int place,
            CogVlmPrompt.Template template,
            double deviation,
            EvaVision.Config vision) {
        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
            Check.positive(ropeTheta, "rope_theta");
        }

        /** The second version is told by {@code num_multi_query_heads}: neither has a model type. */
        public static Config of(Json j) {
            j.expect("tie_word_embeddings", false);
            boolean second = j.has("num_multi_query_heads");
            int hidden = j.get("hidden_size", 4096);
            int heads = j.get("num_attention_heads", 32);
            int intermediate = j.get("intermediate_size", 11008);
            return new Config(
                    j.get("vocab_size", 32000),
                    SelfAttention.Shape.of(hidden, heads, j.get("num_multi_query_heads", heads)),
                    intermediate,
                    j.get("num_hidden_layers", 32),
                    j.get("hidden_act", Act.SILU, Act::of),
                    j.get("max_position_embeddings", 2048),
                    j.get("rms_norm_eps", 1e-6),
                    j.get("rope_theta", second ? 500000.0 : 10000.0), // written in the releases' code alone
                    second,
                    j.get("bos_token_id", 1),
                    j.get("pad_token_id", 0),
                    j.get("template_version", CogVlmPrompt.Template.CHAT),
                    j.get("initializer_range", 0.02),
                    EvaVision.Config.of(j, second, hidden, intermediate));
        }

        /** N: a picture's patches and the marks of its begin and end. */
        public int tokensPerImage() {
            return vision.patches() + 2;
        }
    }

    /**
     * Words, and the picture that stands among them.
     *
     * @param embedded {@code [B, T, D]}
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @param positions {@code [B, T]} INT64
     * @param reader the language model as it reads this row and what follows
     */
    public record Row(Tensor embedded, @Nullable Tensor mask, Tensor positions, LanguageModel reader) {
        /** Continues it; the cache stays the caller's. */
        public Steps start(KvCache cache) {
            return new Prompt(embedded, mask, positions).start(reader, cache);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Embedding words;
    private final List<ExpertLayer> layers;
    private final RmsNorm norm;
    private final EvaVision vision;
    private final Linear head;
    private final Rope rope;

    public CogVlm(Config c, Weights published) {
        Weights w = published.initialised((name, init) ->
                name.matches(".*(_proj|_expert_.*|lm_head)\\.weight") ? Init.normal(c.deviation) : init);
        int hidden = c.attention.hidden();
        weights = published;
        config = c;
        words = new Embedding(w.at("model.embed_tokens"), c.vocabularySize, hidden, Init.normal(c.deviation));
        layers = w.at("model.layers").stack(c.layers, l -> new ExpertLayer(c, l));
        norm = new RmsNorm(w.at("model.norm"), hidden, c.eps);
        vision = new EvaVision(c.vision, w.packed(null).at("model.vision"));
        head = new Linear(w.at("lm_head"), hidden, c.vocabularySize, false);
        rope = Rope.of(c.attention.size(), c.ropeTheta);
        w.ignorable("model\\.layers\\.\\d+\\.self_attn\\.rotary_emb\\.inv_freq"); // derived
    }

    /** Opens a release, in float32. */
    public static CogVlm load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static CogVlm load(Path folder, DType type) {
        return load(folder, type, null);
    }

    /** @param packing of the language model's matrices; null for none */
    public static CogVlm load(Path folder, DType type, PackedWeight.@Nullable Kind packing) {
        return Pretrained.load(
                folder, (json, w) -> new CogVlm(Config.of(json), w.as(type).packed(packing)));
    }

    public Config config() {
        return config;
    }

    public EvaVision vision() {
        return vision;
    }

    public Weights weights() {
        return weights;
    }

    /** A picture as tokens, {@code [B, 3, S, S] -> [B, N, D]}. */
    public Tensor imageTokens(Tensor pixels) {
        return vision.forward(pixels);
    }

    /** Words alone. {@code ids [B, T]} INT64. */
    public Row read(Tensor ids, @Nullable Tensor mask) {
        return read(ids, Tensor.zeros(DType.INT64, ids.device(), ids.shape()), mask, null);
    }

    /**
     * Words and a picture.
     *
     * @param ids {@code [B, T]} INT64; at a picture any token of the vocabulary
     * @param types {@code [B, T]} INT64, 1 at the N tokens of a row's picture, 0 elsewhere
     * @param mask {@code [B, T]}, not 0 for real tokens, which stand at the end; null where all are
     * @param images {@code [B, N, D]}, one a row; null where there is none
     */
    public Row read(Tensor ids, Tensor types, @Nullable Tensor mask, @Nullable Tensor images) {
        Check.shape(types.shape(), "token_type_ids", ids.shape());
        TokenTypes kinds = TokenTypes.of(types);
        try (Scope s = Scope.open()) {
            Tensor embedded = words.forward(ids.to(words.weight().device()));
            if (images != null) {
                embedded = Insertion.of(embedded, kinds.pictures(), images.flatten(0, 1), "tokens of pictures");
            } else if (kinds.pictures().any()) {
                throw new UserError("the row keeps places for a picture, but none was given");
            }
            Tensor positions = kinds.positions(mask).to(embedded.device());
            return new Row(s.keep(embedded), mask, s.keep(positions), new Reader(kinds));
        }
    }

    /** Scores of the next token at each place, {@code [B, T, V]}. */
    public Tensor logits(Row row) {
        try (Scope s = Scope.open()) {
            Tensor hidden = row.reader.forward(row.embedded, row.mask, row.positions, null);
            return s.keep(head.forward(hidden));
        }
    }

    /**
     * The attention of one layer alone.
     *
     * @param hidden {@code [B, T, D]}
     * @param positions {@code [B, T]} INT64
     */
    public Tensor attention(int layer, Tensor hidden, Tensor types, Tensor positions, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            Pass pass = Pass.of(hidden.size(1), mask, rope.at(positions), null, hidden.device());
            return s.keep(layers.get(layer).attention(hidden, pass, Experts.of(TokenTypes.of(types), 0, hidden)));
        }
    }

    /** The feed-forward part of one layer alone, {@code [B, T, D] -> [B, T, D]}. */
    public Tensor mlp(int layer, Tensor hidden, Tensor types) {
        try (Scope s = Scope.open()) {
            return s.keep(layers.get(layer).mlp(hidden, Experts.of(TokenTypes.of(types), 0, hidden)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }

    /** The language model for a row of which it is known what is picture; all that follows is words. */
    private final class Reader extends Decoder {
        Reader(TokenTypes types) {
            super(
                    weights,
                    new Parts(
                            words,
                            layers.stream()
                                    .<Block>map(l -> (x, pass) -> l.forward(x, pass, types))
                                    .toList(),
                            norm,
                            head,
                            rope,
                            config.positions));
        }

        @Override
        public void close() {} // the weights are the model's
    }
}
