package dev.zoetrope.models.emu3;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Constrained;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Observer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Llama;
import dev.zoetrope.models.language.PictureWords;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Rope;
import dev.zoetrope.models.language.SelfAttention;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.nn.Act;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Emu3, arXiv:2409.18869: one language model that reads and writes words and the codes of pictures. Names as in
 * Emu3-community/Emu3-Gen-hf and Emu3-community/Emu3-Chat-hf.
 *
 * <p>Axes: B rows, T tokens, I pictures, H x W pixels, h x w codes of a picture, V vocabulary.
 */
public final class Emu3 implements AutoCloseable {
    /**
     * @param words which words stand for pictures
     * @param endOfLine token behind each row of codes
     */
    public record Config(Llama.Config text, Emu3Tokenizer.Config pictures, PictureWords words, int endOfLine) {
        private static final String CODE = "<|visual token ";

        public static Config of(Json j) {
            Json vocabulary = j.requireAt("vocabulary_map");
            Map<Integer, Integer> ids = new TreeMap<>();
            for (String name : vocabulary.keys()) {
                if (name.startsWith(CODE)) {
                    ids.put(number(j, name), vocabulary.requireInt(name));
                }
            }
            return new Config(
                    text(j.at("text_config")),
                    Emu3Tokenizer.Config.of(j.at("vq_config")),
                    PictureWords.of(j.get("image_token_id", vocabulary.get("<image>", 151646)), ids),
                    vocabulary.requireInt("<|extra_200|>"));
        }

        private static int number(Json j, String name) {
            String digits = name.substring(CODE.length(), name.length() - "|>".length());
            if (!digits.matches("\\d{1,9}")) {
                throw new UserError(j.name() + ": vocabulary_map: '" + name + "' has no number");
            }
            return Integer.parseInt(digits);
        }

        private static Llama.Config text(Json j) {
            int hidden = j.get("hidden_size", 4096);
            SelfAttention.Shape attention =
                    SelfAttention.Shape.of(hidden, j.get("num_attention_heads", 32), j.get("num_key_value_heads", 8));
            int positions = j.get("max_position_embeddings", 9216);
            Rope rope = j.has("rope_parameters") || j.has("rope_theta")
                    ? Rope.of(j, attention.size(), 1, positions)
                    : Rope.of(attention.size(), 1e6);
            boolean bias = j.get("attention_bias", false);
            return new Llama.Config(
                    j.get("vocab_size", 184622),
                    attention,
                    j.get("intermediate_size", 14336),
                    j.get("num_hidden_layers", 32),
                    j.get("hidden_act", Act.SILU, Act::of),
                    positions,
                    j.get("rms_norm_eps", 1e-5),
                    rope,
                    bias,
                    bias,
                    j.get("mlp_bias", false),
                    j.get("tie_word_embeddings", false),
                    j.get("initializer_range", 0.02));
        }
    }

    /** Tokens that end a line, a frame, a picture and the whole. */
    public record Marks(int endOfLine, int endOfFrame, int endOfImage, int end) {}

    private final Weights weights;
    private final Config config;
    private final Emu3Tokenizer pictures;
    private final LanguageModel language;

    public Emu3(Config c, Weights w) {
        weights = w;
        config = c;
        pictures = new Emu3Tokenizer(c.pictures, w.at("vqmodel"));
        language = new Llama(c.text, w.at("text_model"));
    }

    /** Opens a release, in float32. */
    public static Emu3 load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static Emu3 load(Path folder, DType type) {
        return Pretrained.load(folder, (json, w) -> new Emu3(Config.of(json), w.as(type)));
    }

    public Config config() {
        return config;
    }

    public LanguageModel language() {
        return language;
    }

    public Emu3Tokenizer pictures() {
        return pictures;
    }

    public Weights weights() {
        return weights;
    }

    /** Pictures as words, a row of each ends in a token of its own: {@code [I, 3, H, W] -> [I, h (w + 1)]} INT64. */
    public Tensor imageTokens(Tensor pixels) {
        try (Scope s = Scope.open()) {
            Tensor words = config.words.words(pictures.encodePicture(pixels).codes()); // [I, 1, h, w]
            Tensor ends = Tensor.full(config.endOfLine).to(DType.INT64).expand(words.size(0), 1, words.size(2), 1);
            return s.keep(Tensor.cat(-1, words, ends).flatten(1));
        }
    }

    /**
     * Writes a picture of h rows and w columns of codes, then its end.
     *
     * @param ids {@code [1, T]} INT64, ending where the picture begins
     * @return {@code [1, h (w + 1) + 3]} INT64
     */
    public Tensor write(Tensor ids, int height, int width, Marks marks, Generation.Options how) {
        int line = width + 1;
        int all = height * line;
        int[] codes = config.words.all();
        int[] ends = {marks.endOfFrame, marks.endOfImage, marks.end};
        Generation.Options o =
                new Generation.Options(all + ends.length, how.sampling(), 1, 1, false, Set.of(), how.pad(), how.seed());
        try (KvCache cache = new KvCache();
                Steps steps = new Constrained(
                        Prompt.of(language, ids, null).start(language, cache),
                        i -> i >= all
                                ? new int[] {ends[i - all]}
                                : i % line == width ? new int[] {marks.endOfLine} : codes)) {
            return Generation.run(steps, ids, o, Listener.NONE, Observer.NONE);
        }
    }

    /** The picture of what {@link #write} made, {@code [B, h (w + 1) + 3] -> [B, 3, H, W]}, about -1..1. */
    public Tensor picture(Tensor written, int height, int width) {
        try (Scope s = Scope.open()) {
            Tensor lines = written.narrow(1, 0, (long) height * (width + 1)).unflatten(1, height, width + 1);
            return s.keep(pictures.decodePicture(config.words.codes(lines.narrow(2, 0, width))));
        }
    }

    /** Scores of the next token at each place, {@code [B, T] -> [B, T, V]}. */
    public Tensor logits(Tensor ids) {
        try (Scope s = Scope.open()) {
            return s.keep(language.logits(language.forward(language.embed(ids), null, null, null)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
