package dev.zoetrope.models.chameleon;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Decoder;
import dev.zoetrope.models.language.GatedMlp;
import dev.zoetrope.models.language.Pass;
import dev.zoetrope.models.language.PictureWords;
import dev.zoetrope.models.language.Rope;
import dev.zoetrope.models.language.SelfAttention;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Chameleon, arXiv:2405.09818: a language model that reads words and the codes of pictures; the releases write words only.
 * Names as in facebook/chameleon-7b.
 *
 * <p>Axes: B rows, T tokens, D hidden, I pictures, h x w codes of a picture, V vocabulary.
 */
public final class Chameleon extends Decoder {
    /**
     * @param swin whether what comes out of attention and of the feed-forward part is normalised, not what goes in: the 34B
     *     model
     * @param words which words stand for pictures
     */
    public record Config(
            int vocabularySize,
            SelfAttention.Shape attention,
            int intermediate,
            int layers,
            Act activation,
            int positions,
            double eps,
            Rope rope,
            boolean attentionBias,
            boolean mlpBias,
            boolean tied,
            boolean swin,
            double deviation,
            PictureWords words,
            ChameleonTokenizer.Config pictures) {
        private static final String CODE = "IMGIMG";

        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
        }

        public static Config of(Json j) {
            int heads = j.get("num_attention_heads", 32);
            SelfAttention.Shape attention =
                    SelfAttention.Shape.of(j.get("hidden_size", 4096), heads, j.get("num_key_value_heads", heads));
            int positions = j.get("max_position_embeddings", 4096);
            Json vocabulary = j.requireAt("vocabulary_map");
            return new Config(
                    j.get("vocab_size", 65536),
                    attention,
                    j.get("intermediate_size", 11008),
                    j.get("num_hidden_layers", 32),
                    j.get("hidden_act", Act.SILU, Act::of),
                    positions,
                    j.get("rms_norm_eps", 1e-5),
                    Rope.of(j, attention.size(), 1, positions),
                    j.get("attention_bias", false),
                    j.get("mlp_bias", false),
                    j.get("tie_word_embeddings", false),
                    j.get("swin_norm", false),
                    j.get("initializer_range", 0.02),
                    PictureWords.of(j.get("image_token_id", vocabulary.get("<image>", 8711)), codes(vocabulary)),
                    ChameleonTokenizer.Config.of(j.at("vq_config")));
        }

        /** Names are IMGIMG, the code with A to J for digits, Z. */
        private static Map<Integer, Integer> codes(Json vocabulary) {
            Map<Integer, Integer> r = new TreeMap<>();
            for (String name : vocabulary.keys()) {
                if (name.matches(CODE + "[A-J]{1,9}Z")) {
                    int code = 0;
                    for (char digit :
                            name.substring(CODE.length(), name.length() - 1).toCharArray()) {
                        code = 10 * code + digit - 'A';
                    }
                    r.put(code, vocabulary.requireInt(name));
                }
            }
            return r;
        }
    }

    private final Config config;
    private final ChameleonTokenizer pictures;
    private final Tensor unsayable; // [V], where no word is

    public Chameleon(Config c, Weights w) {
        super(w, parts(c, w));
        config = c;
        pictures = new ChameleonTokenizer(c.pictures, w.at("model.vqmodel"));
        boolean[] codes = new boolean[c.vocabularySize];
        for (int word : c.words.all()) {
            codes[word] = true;
        }
        unsayable = Scope.detach(Tensor.of(codes, codes.length));
    }

    /** Opens a release, in float32. */
    public static Chameleon load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static Chameleon load(Path folder, DType type) {
        return Pretrained.load(folder, (json, w) -> new Chameleon(Config.of(json), w.as(type)));
    }

    private static Parts parts(Config c, Weights published) {
        Weights w =
                published.initialised((name, init) -> name.endsWith("_proj.weight") ? Init.normal(c.deviation) : init);
        int hidden = c.attention.hidden();
        Weights table = w.at("model.embed_tokens");
        Embedding words = new Embedding(table, c.vocabularySize, hidden, Init.normal(c.deviation));
        List<Layer> layers = w.at("model.layers").stack(c.layers, l -> new Layer(c, l));
        RmsNorm norm = new RmsNorm(w.at("model.norm"), hidden, c.eps);
        Linear head = head(w, c.tied, table, words, false);
        w.ignorable("model\\.layers\\.\\d+\\.self_attn\\.rotary_emb\\.inv_freq"); // derived
        return new Parts(words, layers, norm, head, c.rope, c.positions);
    }

    public Config config() {
        return config;
    }

    /** Pictures as words, {@code [I, 3, H, W] -> [I, h w]} INT64. */
    public Tensor imageTokens(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(config.words.words(pictures.encode(pixels)).flatten(1));
        }
    }

    /** Scores of the next token; those of codes of pictures are so low that none is ever written. */
    @Override
    public Tensor logits(Tensor hidden) {
        try (Scope s = Scope.open()) {
            Tensor scores = super.logits(hidden);
            return s.keep(scores.maskedFill(unsayable.to(scores.device()), -Float.MAX_VALUE));
        }
    }

    @Override
    public void close() {
        unsayable.close();
        super.close();
    }

    private static final class Layer implements Block {
        private final RmsNorm inputNorm;
        private final SelfAttention attention;
        private final RmsNorm attentionNorm;
        private final GatedMlp mlp;
        private final boolean swin;

        Layer(Config c, Weights w) {
            int hidden = c.attention.hidden();
            inputNorm = new RmsNorm(w.at("input_layernorm"), hidden, c.eps);
            Weights a = w.at("self_attn");
            attention = new SelfAttention(
                    c.attention,
                    a,
                    c.attentionBias,
                    "o_proj",
                    c.attentionBias,
                    new HeadNorm(a.at("q_norm"), c.attention.heads(), c.attention.size()),
                    new HeadNorm(a.at("k_norm"), c.attention.keyValueHeads(), c.attention.size()));
            attentionNorm = new RmsNorm(w.at("post_attention_layernorm"), hidden, c.eps);
            mlp = new GatedMlp(w.at("mlp"), hidden, c.intermediate, c.mlpBias, c.activation);
            swin = c.swin;
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                if (swin) {
                    Tensor h = x.add(inputNorm.forward(attention.forward(x, pass)));
                    return s.keep(h.add(attentionNorm.forward(mlp.forward(h))));
                }
                Tensor h = x.add(attention.forward(inputNorm.forward(x), pass));
                return s.keep(h.add(mlp.forward(attentionNorm.forward(h))));
            }
        }
    }

    /** Layer norm over each head, with a scale and a shift for each. */
    private static final class HeadNorm implements Module {
        private static final double EPS = 1e-5; // not rms_norm_eps

        private final Tensor weight;
        private final Tensor bias;
        private final long size;

        HeadNorm(Weights w, int heads, int size) {
            weight = w.tensor("weight", Init.ones(), heads, size);
            bias = w.tensor("bias", Init.zeros(), heads, size);
            this.size = size;
        }

        @Override
        public Tensor forward(Tensor x) { // [B, heads, T, size]
            try (Scope s = Scope.open()) {
                Tensor y = Functional.layerNorm(x, null, null, new long[] {size}, EPS);
                return s.keep(y.mul(weight.unsqueeze(1)).add(bias.unsqueeze(1)));
            }
        }
    }
}
