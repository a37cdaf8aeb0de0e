package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.GatedMlp;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Pass;
import dev.zoetrope.models.language.SelfAttention;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The language model over tokens of video and sound, after VideoPoet (arXiv:2312.14125): one vocabulary, a prefix that sees
 * itself whole, and an output of which each token sees what came before. A video token's code is said in K parts, each
 * knowing those before it (arXiv:2310.05737); the Q codes of a frame of sound are said each a step later than the one
 * before (arXiv:2306.05284).
 *
 * <p>B rows, T places of a sequence, n of them video or sound, D width, K and N parts of a video token and codes of each,
 * Q and A codebooks of sound and codes of each, L words.
 */
public final class TokenTransformer {
    /** Of the vocabulary's first ids, which stand for themselves. */
    static final int SPECIAL = 256;

    private static final double SPACE_BASE = 50;
    private static final double TIME_BASE = 100;
    private static final double EPS = 1e-6;

    /**
     * @param width D
     * @param intermediate width inside the feed-forward layers
     * @param textWidth of a caption's words
     * @param visualParts K
     * @param visualCodes N
     * @param audioCodebooks Q
     * @param audioCodes A
     * @param timeFactor frames of a plane
     * @param stepsPerFrame frames of sound in one of video
     * @param maxPlanes most planes of a sequence
     * @param maxSide most rows, and most columns
     * @param maxSteps most steps of sound
     */
    public record Config(
            int width,
            int layers,
            int heads,
            int intermediate,
            int textWidth,
            int visualParts,
            int visualCodes,
            int audioCodebooks,
            int audioCodes,
            int timeFactor,
            double stepsPerFrame,
            int maxPlanes,
            int maxSide,
            int maxSteps) {
        public Config {
            Check.divides(heads, width, "heads", "width");
            Check.divides(4, width / heads, "4", "width / heads");
            Check.positive(layers, "layers");
            Check.positive(visualParts, "visual_parts");
            Check.positive(audioCodebooks, "audio_codebooks");
        }

        public static Config of(Json j) {
            int width = j.get("width", 256);
            return new Config(
                    width,
                    j.get("layers", 6),
                    j.get("heads", 4),
                    j.get("intermediate", width * 11 / 4),
                    j.get("text_width", 128),
                    j.get("visual_parts", 2),
                    j.get("visual_codes", 512),
                    j.get("audio_codebooks", 4),
                    j.get("audio_codes", 256),
                    j.get("time_factor", 4),
                    j.get("steps_per_frame", 5.),
                    j.get("max_planes", 16),
                    j.get("max_side", 16),
                    j.get("max_steps", 128));
        }

        /** Entries of the vocabulary: special ones, then video's, then sound's, codebook by codebook. */
        public int vocabulary() {
            return audio(audioCodebooks);
        }

        private int visual(int part) {
            return SPECIAL + part * visualCodes;
        }

        private int audio(int codebook) {
            return visual(visualParts) + codebook * audioCodes;
        }

        /** Places of the sound of so many frames: the last codebook is so many steps late. */
        int audioPlaces(int steps) {
            return steps + audioCodebooks - 1;
        }
    }

    private final Config config;
    private final Embedding table;
    private final Linear pooledIn;
    private final Linear wordsIn;
    private final Places own;
    private final Places next;
    private final List<Block> blocks;
    private final RmsNorm norm;
    private final List<Part> parts;
    private final Tensor head; // [V, D]

    public TokenTransformer(Config c, Weights w) {
        config = c;
        int d = c.width();
        table = new Embedding(w.at("embed_tokens"), c.vocabulary(), d, Init.normal(.5));
        pooledIn = new Linear(w.at("pooled_in"), c.textWidth(), d);
        wordsIn = new Linear(w.at("words_in"), c.textWidth(), d);
        own = new Places(c, w.at("places"));
        next = new Places(c, w.at("next_places"));
        blocks = w.at("layers").stack(c.layers(), at -> new Block(c, at));
        norm = new RmsNorm(w.at("norm"), d, EPS);
        parts = w.at("parts").stack(c.visualParts() - 1, at -> new Part(at, d));
        head = w.tensor("lm_head.weight", Init.normal(.02), c.vocabulary(), d);
    }

    public Config config() {
        return config;
    }

    /** Vector of a special token, {@code [B, 1, D]}. */
    Tensor special(int id, long rows) {
        return table.forward(Tensor.of(new long[] {id}, 1, 1)).expand(rows, -1, -1);
    }

    /** A caption: what was pooled of it, then its words, {@code [B, queries + L, D]}. */
    Tensor text(CaptionEncoder.Encoded e) {
        return Tensor.cat(1, pooledIn.forward(e.pooled()), wordsIn.forward(e.words()));
    }

    /** Codes of video, {@code [B, n, K] -> [B, n, D]}. */
    Tensor visual(Tensor codes) {
        long[] from = new long[config.visualParts()];
        java.util.Arrays.setAll(from, config::visual);
        return table.forward(codes.add(Tensor.of(from, from.length))).sum(2);
    }

    /** Delayed codes of sound, {@code [B, n, Q] -> [B, n, D]}; below 0 where there is none. */
    Tensor audio(Tensor codes) {
        long[] from = new long[config.audioCodebooks()];
        java.util.Arrays.setAll(from, config::audio);
        Tensor ids = codes.add(Tensor.of(from, from.length)).maskedFill(codes.lt(0L), Special.NONE);
        return table.forward(ids).sum(2);
    }

    /** Vectors that say where places are and which come next, {@code [T, D]}. */
    Tensor places(List<Place> at, List<Place> following) {
        try (Scope s = Scope.open()) {
            return s.keep(own.forward(at).add(next.forward(following)));
        }
    }

    /** Turns of attention by moment, row and column, angles {@code [T, D / heads / 2]}. */
    Tensor angles(List<Place> at) {
        int pairs = config.width() / config.heads() / 2;
        int space = pairs * 5 / 16;
        float[] f = new float[at.size() * pairs];
        int i = 0;
        for (Place p : at) {
            i = turn(f, i, moment(p), pairs - 2 * space, TIME_BASE);
            i = turn(f, i, Math.max(0, p.row()), space, SPACE_BASE);
            i = turn(f, i, Math.max(0, p.column()), space, SPACE_BASE);
        }
        return Tensor.of(f, at.size(), pairs);
    }

    /** In steps of sound, the same for what is seen and heard together. */
    private double moment(Place p) {
        if (p.step() >= 0) {
            return p.step();
        }
        int t = config.timeFactor();
        return p.plane() <= 0 ? 0 : (p.plane() * t - (t - 1) / 2.) * config.stepsPerFrame();
    }

    private static int turn(float[] f, int from, double place, int pairs, double base) {
        for (int i = 0; i < pairs; i++) {
            f[from + i] = (float) (place / Math.pow(base, (double) i / pairs));
        }
        return from + pairs;
    }

    /**
     * @param embedded {@code [B, T, D]}
     * @param angles of these places
     * @param mask {@code [B, T, T']} or {@code [B, T']} INT64 as {@link Pass} takes it, or null; T' with the places in the cache
     * @return {@code [B, T, D]}, normalised
     */
    Tensor forward(Tensor embedded, Tensor angles, @Nullable Tensor mask, @Nullable KvCache cache) {
        try (Scope s = Scope.open()) {
            Pass pass = Pass.of(embedded.size(1), mask, Rotary.of(angles), cache, embedded.device());
            Tensor x = embedded;
            for (int i = 0; i < blocks.size(); i++) {
                Tensor y = blocks.get(i).forward(x, pass.at(i));
                x = x == embedded ? y : s.replace(x, y);
            }
            return s.keep(norm.forward(x));
        }
    }

    /**
     * Scores of one part of the video tokens that come next.
     *
     * @param hidden {@code [B, n, D]}
     * @param before codes of the parts before it, {@code [B, n, part]}
     * @return {@code [B, n, N]}
     */
    Tensor visualScores(Tensor hidden, int part, Tensor before) {
        try (Scope s = Scope.open()) {
            Tensor h = hidden;
            if (part > 0) {
                long[] from = new long[part];
                java.util.Arrays.setAll(from, config::visual);
                h = parts.get(part - 1)
                        .forward(
                                hidden,
                                table.forward(before.add(Tensor.of(from, part))).sum(2));
            }
            return s.keep(Functional.linear(h, head.narrow(0, config.visual(part), config.visualCodes()), null));
        }
    }

    /** Scores of all codebooks of the sound that comes next, {@code [B, n, D] -> [B, n, Q, A]}. */
    Tensor audioScores(Tensor hidden) {
        long n = (long) config.audioCodebooks() * config.audioCodes();
        return Functional.linear(hidden, head.narrow(0, config.audio(0), n), null)
                .unflatten(-1, config.audioCodebooks(), config.audioCodes());
    }

    /** Ids of special tokens. */
    static final class Special {
        static final int NONE = 0;
        static final int BEGIN = 1;
        static final int TEXT_IN = 3;
        static final int TEXT_IN_END = 4;
        static final int VIDEO_IN = 5;
        static final int VIDEO_IN_END = 6;
        static final int VIDEO_OUT = 9;
        static final int VIDEO_OUT_END = 10;
        static final int AUDIO_OUT = 11;

        private Special() {}
    }

    /** Where a place is; below 0 what does not apply. */
    record Place(int plane, int row, int column, int step) {
        static final Place NOWHERE = new Place(-1, -1, -1, -1);

        static Place seen(int plane, int row, int column) {
            return new Place(plane, row, column, -1);
        }

        static Place heard(int step) {
            return new Place(-1, -1, -1, step);
        }
    }

    /** A table for each axis; their sum tells a place. */
    private static final class Places {
        private final Embedding planes;
        private final Embedding rows;
        private final Embedding columns;
        private final Embedding steps;

        Places(Config c, Weights w) {
            Init init = Init.normal(.3);
            planes = new Embedding(w.at("planes"), 1L + c.maxPlanes(), c.width(), init);
            rows = new Embedding(w.at("rows"), 1L + c.maxSide(), c.width(), init);
            columns = new Embedding(w.at("columns"), 1L + c.maxSide(), c.width(), init);
            steps = new Embedding(w.at("steps"), 1L + c.maxSteps(), c.width(), init);
        }

        Tensor forward(List<Place> at) { // [T, D]
            return of(planes, at.stream().mapToLong(Place::plane).toArray(), "planes")
                    .add(of(rows, at.stream().mapToLong(Place::row).toArray(), "rows"))
                    .add(of(columns, at.stream().mapToLong(Place::column).toArray(), "columns"))
                    .add(of(steps, at.stream().mapToLong(Place::step).toArray(), "steps of sound"));
        }

        private static Tensor of(Embedding e, long[] index, String what) {
            for (int i = 0; i < index.length; i++) {
                index[i]++; // 0 is nowhere
                Check.atMost(e.weight().size(0) - 1, index[i], "what the model was made for,", "the number of " + what);
            }
            return e.forward(Tensor.of(index, index.length));
        }
    }

    /** Attention whose queries and keys are normalised, and a gated feed-forward layer. */
    private static final class Block {
        private final RmsNorm before;
        private final SelfAttention attention;
        private final RmsNorm after;
        private final GatedMlp mlp;

        Block(Config c, Weights w) {
            int head = c.width() / c.heads();
            before = new RmsNorm(w.at("input_layernorm"), c.width(), EPS);
            attention = new SelfAttention(
                    SelfAttention.Shape.of(c.width(), c.heads(), c.heads()),
                    w.at("self_attn"),
                    false,
                    "o_proj",
                    false,
                    new RmsNorm(w.at("self_attn.q_norm"), head, EPS),
                    new RmsNorm(w.at("self_attn.k_norm"), head, EPS));
            after = new RmsNorm(w.at("post_attention_layernorm"), c.width(), EPS);
            mlp = new GatedMlp(w.at("mlp"), c.width(), c.intermediate(), false, Act.SILU);
        }

        Tensor forward(Tensor x, Pass pass) { // [B, T, D]
            try (Scope s = Scope.open()) {
                Tensor h = x.add(attention.forward(before.forward(x), pass));
                return s.keep(h.add(mlp.forward(after.forward(h))));
            }
        }
    }

    /** What a later part of a code is said from: the state, and the parts said before. */
    private static final class Part {
        private final Linear in;
        private final Linear out;

        Part(Weights w, int width) {
            in = new Linear(w.at("in"), 2L * width, width);
            out = new Linear(w.at("out"), width, width);
        }

        Tensor forward(Tensor hidden, Tensor said) {
            return hidden.add(
                    out.forward(in.forward(Tensor.cat(-1, hidden, said)).silu()));
        }
    }
}
