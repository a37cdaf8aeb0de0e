package dev.zoetrope.models.musicgen;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.encodec.EnCodec;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Pass;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.t5.T5Config;
import dev.zoetrope.models.t5.T5Encoder;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * MusicGen, arXiv:2306.05284: a transformer that writes the codes of EnCodec, several codebooks a step, each delayed
 * against the one before; the text comes from T5 by cross attention. Names as in facebook/musicgen-small.
 *
 * <p>Axes: B sounds, K codebooks, T steps, F frames, L text tokens, D hidden, V codes of a codebook.
 */
public final class MusicGen implements AutoCloseable {
    /**
     * @param codes V
     * @param positions longest sequence that was trained on
     * @param stereo whether codebooks of left and right take turns
     * @param start token before the first code and in all places that a delay leaves open
     * @param projects whether the text's vectors are brought to the decoder's width
     */
    public record Config(
            T5Config text,
            EnCodec.Config codec,
            int codes,
            int positions,
            int layers,
            int feed,
            int heads,
            Act activation,
            int hidden,
            int codebooks,
            boolean stereo,
            int start,
            boolean projects) {
        private static final int LEAST_HIDDEN = 4; // two frequencies

        public Config {
            Check.positive(codes, "vocab_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(feed, "ffn_dim");
            Check.positive(codebooks, "num_codebooks");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
            Check.atMost(hidden, LEAST_HIDDEN, "hidden_size", "the least hidden_size,");
        }

        public static Config of(Json j) {
            Json d = j.requireAt("decoder");
            T5Config text = T5Config.of(j.requireAt("text_encoder"));
            int hidden = d.get("hidden_size", 1024);
            int start = d.get("pad_token_id", 2048);
            if (d.has("cross_attention_hidden_size")) {
                throw d.unsupported("cross_attention_hidden_size", "null");
            }
            return new Config(
                    text,
                    EnCodec.Config.of(j.requireAt("audio_encoder")),
                    d.get("vocab_size", 2048),
                    d.get("max_position_embeddings", 2048),
                    d.get("num_hidden_layers", 24),
                    d.get("ffn_dim", 4096),
                    d.get("num_attention_heads", 16),
                    d.get("activation_function", Act.GELU, Act::of),
                    hidden,
                    d.get("num_codebooks", 4),
                    d.get("audio_channels", 1) == 2,
                    start,
                    text.hidden() != hidden);
        }
    }

    /**
     * How a sound is made.
     *
     * @param frames F
     * @param guidance how far to go from what would be said without the text; 1 for none
     * @param sampling how codes are chosen
     * @param seed of what is drawn
     */
    public record Options(int frames, double guidance, Sampling sampling, long seed) {
        public Options {
            Check.positive(frames, "frames");
        }
    }

    private final Weights weights;
    private final Config config;
    private final T5Encoder text;
    private final EnCodec codec;
    private final List<Embedding> words;
    private final Timesteps places;
    private final List<Layer> layers;
    private final LayerNorm norm;
    private final List<Linear> heads;
    private final @Nullable Linear textProjection;

    public MusicGen(Config c, Weights w) {
        weights = w;
        config = c;
        text = new T5Encoder(c.text, w.at("text_encoder"));
        codec = new EnCodec(c.codec, w.at("audio_encoder"));
        Weights d = w.at("decoder.model.decoder");
        words = d.at("embed_tokens")
                .stack(c.codebooks, e -> new Embedding(e, c.codes + 1L, c.hidden, Init.normal(0.02)));
        places = new Timesteps(c.hidden, true, 1);
        layers = d.at("layers").stack(c.layers, l -> new Layer(c, l));
        norm = new LayerNorm(d.at("layer_norm"), c.hidden, 1e-5);
        heads = w.at("decoder.lm_heads").stack(c.codebooks, h -> new Linear(h, c.hidden, c.codes, false));
        textProjection = c.projects ? new Linear(w.at("enc_to_dec_proj"), c.text.hidden(), c.hidden) : null;
        d.ignorable("embed_positions\\.weights"); // derived
    }

    public static MusicGen load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new MusicGen(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    public EnCodec codec() {
        return codec;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * The text as the decoder reads it, zero at padding.
     *
     * @param ids {@code [B, L]} INT64
     * @param mask {@code [B, L]}, not 0 for real tokens; null where all are
     * @return {@code [B, L, D]}
     */
    public Tensor read(Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            Tensor x = text.forward(ids, mask);
            Tensor y = textProjection == null ? x : textProjection.forward(x);
            return s.keep(mask == null ? y : y.mul(mask.ne(0L).to(y.dtype()).unsqueeze(-1)));
        }
    }

    /**
     * Scores of the next code of each codebook.
     *
     * @param codes {@code [B, K, T]} INT64, with the start token where a delay leaves a place open
     * @param text {@code [B, L, D]} of {@link #read}
     * @param mask {@code [B, L]} of the text; null for all of it
     * @param cache of the steps before, to which these are added; null for none
     * @return {@code [B, K, T, V]}
     */
    public Tensor logits(Tensor codes, Tensor text, @Nullable Tensor mask, @Nullable KvCache cache) {
        Check.shape(codes.shape(), "codes", -1, config.codebooks, -1);
        long past = cache == null ? 0 : cache.length();
        try (Scope s = Scope.open()) {
            Tensor x = words.get(0).forward(codes.select(1, 0));
            for (int k = 1; k < config.codebooks; k++) {
                x = x.add(words.get(k).forward(codes.select(1, k))); // [B, T, D]
            }
            long steps = codes.size(2);
            x = x.add(places.forward(Tensor.arange(past, past + steps, 1).to(x.device()))
                    .to(x.dtype()));
            Pass pass = Pass.of(steps, null, null, cache, x.device());
            Tensor allowed = mask == null ? null : mask.ne(0L).unsqueeze(1).unsqueeze(1); // [B, 1, 1, L]
            for (int i = 0; i < layers.size(); i++) {
                x = s.replace(x, layers.get(i).forward(x, pass.at(i), text, allowed));
            }
            Tensor last = norm.forward(x);
            return s.keep(
                    Tensor.stack(1, heads.stream().map(h -> h.forward(last)).toList()));
        }
    }

    /** The pattern of a sound of that many frames. */
    public DelayPattern pattern(int frames) {
        int delays = config.stereo ? config.codebooks / 2 : config.codebooks;
        return pattern(new DelayPattern(config.codebooks, frames + delays, config.stereo, config.start), frames);
    }

    /** A short sound has no delays and needs fewer steps. */
    private DelayPattern pattern(DelayPattern delayed, int frames) {
        return delayed.frames() == frames
                ? delayed
                : new DelayPattern(config.codebooks, frames + 1, config.stereo, config.start);
    }

    /**
     * Writes the codes of a sound.
     *
     * @param text {@code [B, L, D]} of {@link #read}
     * @param mask {@code [B, L]} of the text; null for all of it
     * @return {@code [B, K, F]} INT64
     */
    public Tensor write(Tensor text, @Nullable Tensor mask, DelayPattern pattern, Options o) {
        boolean guided = o.guidance > 1;
        int batch = (int) text.size(0);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                KvCache cache = new KvCache();
                RandomSource random = RandomSource.of(o.seed)) {
            Tensor texts = guided ? Tensor.cat(0, text, text.mul(0.0)) : text;
            // Without a text its vectors are zero: attending to all of them gives zero too.
            Tensor seen = mask == null || !guided
                    ? mask
                    : Tensor.cat(0, mask, mask.mul(0L).add(1L));
            long[][] rows = new long[pattern.length()][];
            rows[0] = new long[batch * config.codebooks];
            Arrays.fill(rows[0], config.start);
            for (int step = 1; step < rows.length; step++) {
                try (Scope one = Scope.open()) {
                    Tensor before = Tensor.of(rows[step - 1], batch, config.codebooks, 1);
                    Tensor in = guided ? Tensor.cat(0, before, before) : before;
                    Tensor scores = logits(in, texts, seen, cache).select(2, 0); // [B or 2 B, K, V]
                    rows[step] = chosen(guided ? guided(scores, o.guidance) : scores, o, random);
                    for (int i = 0; i < rows[step].length; i++) {
                        if (pattern.isStart(i % config.codebooks, step)) {
                            rows[step][i] = config.start;
                        }
                    }
                }
            }
            List<Tensor> columns = Arrays.stream(rows)
                    .map(r -> Tensor.of(r, batch, config.codebooks))
                    .toList();
            return s.keep(pattern.frames(Tensor.stack(2, columns)));
        }
    }

    private static Tensor guided(Tensor scores, double guidance) {
        List<Tensor> halves = scores.chunk(2, 0);
        return halves.get(1).add(halves.get(0).sub(halves.get(1)).mul(guidance));
    }

    private long[] chosen(Tensor scores, Options o, RandomSource random) { // [B, K, V] -> [B K]
        Tensor flat = scores.flatten(0, 1);
        if (o.sampling.isGreedy()) {
            return flat.argmax(-1).toLongs();
        }
        Tensor none = Tensor.of(new long[0], flat.size(0), 0);
        return random.multinomial(o.sampling.apply(flat, none).softmax(-1), 1, false)
                .toLongs();
    }

    /** The sound of codes, {@code [B, K, F] -> [B, A, samples]}, A 2 for stereo. */
    public Tensor sound(Tensor codes) {
        Check.shape(codes.shape(), "codes", -1, config.codebooks, -1);
        try (Scope s = Scope.open()) {
            if (!config.stereo) {
                return s.keep(sound(codes, 0, 1));
            }
            return s.keep(Tensor.cat(1, sound(codes, 0, 2), sound(codes, 1, 2)));
        }
    }

    private Tensor sound(Tensor codes, int from, int step) {
        Tensor own = codes.slice(1, from, codes.size(1), step).unsqueeze(0);
        return codec.decode(new EnCodec.Codes(own, null, 0));
    }

    @Override
    public void close() {
        weights.close();
    }

    /** Attention to the steps before, to the text, and a feed-forward part, each behind a norm. */
    private static final class Layer {
        private final LayerNorm selfNorm;
        private final Linear query;
        private final Linear key;
        private final Linear value;
        private final Linear out;
        private final LayerNorm textNorm;
        private final Attention toText;
        private final LayerNorm feedNorm;
        private final Mlp feed;
        private final int heads;

        Layer(Config c, Weights w) {
            heads = c.heads;
            Weights a = w.at("self_attn");
            query = new Linear(a.at("q_proj"), c.hidden, c.hidden, false);
            key = new Linear(a.at("k_proj"), c.hidden, c.hidden, false);
            value = new Linear(a.at("v_proj"), c.hidden, c.hidden, false);
            out = new Linear(a.at("out_proj"), c.hidden, c.hidden, false);
            selfNorm = new LayerNorm(w.at("self_attn_layer_norm"), c.hidden, 1e-5);
            Weights t = w.at("encoder_attn");
            toText = new Attention(
                    new Linear(t.at("q_proj"), c.hidden, c.hidden, false),
                    new Linear(t.at("k_proj"), c.hidden, c.hidden, false),
                    new Linear(t.at("v_proj"), c.hidden, c.hidden, false),
                    new Linear(t.at("out_proj"), c.hidden, c.hidden, false),
                    heads);
            textNorm = new LayerNorm(w.at("encoder_attn_layer_norm"), c.hidden, 1e-5);
            feed = new Mlp(
                    new Linear(w.at("fc1"), c.hidden, c.feed, false),
                    c.activation,
                    new Linear(w.at("fc2"), c.feed, c.hidden, false));
            feedNorm = new LayerNorm(w.at("final_layer_norm"), c.hidden, 1e-5);
        }

        Tensor forward(Tensor x, Pass pass, Tensor text, @Nullable Tensor allowed) { // [B, T, D]
            try (Scope s = Scope.open()) {
                Tensor h = selfNorm.forward(x);
                Tensor y = pass.attend(
                        Heads.split(query.forward(h), heads),
                        Heads.split(key.forward(h), heads),
                        Heads.split(value.forward(h), heads),
                        null);
                h = x.add(out.forward(Heads.merge(y)));
                h = h.add(toText.forward(textNorm.forward(h), text, allowed, false));
                return s.keep(h.add(feed.forward(feedNorm.forward(h))));
            }
        }
    }
}
