package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.videopoet.TokenTransformer.Place;
import dev.zoetrope.models.videopoet.TokenTransformer.Special;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Video with sound from one language model over discrete tokens, after VideoPoet (arXiv:2312.14125). A folder holds
 * {@code model_index.json} and one folder a part, {@code tokenizer}, {@code text_encoder}, {@code vision_tokenizer},
 * {@code sound_tokenizer}, {@code transformer} and, it may be, {@code upscaler}, each with config.json and model.safetensors. The text encoder is frozen:
 * it is that of {@link Sora}.
 *
 * <p>Axes as in {@link TokenTransformer}, {@link VisionTokenizer} and {@link SoundTokenizer}.
 */
public final class VideoPoet implements AutoCloseable {
    /** What {@code model_index.json} calls a model of this kind. */
    public static final String CLASS = "ZoetropeVideoPoet";

    private static final long NOT_SAID = -100;
    private static final int UPSCALE_STEPS = 12;

    /**
     * The clips that the model was trained on.
     *
     * @param frames T
     * @param width in pixels
     * @param height in pixels
     * @param fps frames a second
     */
    public record Format(int frames, int width, int height, double fps) {
        public Format {
            Check.positive(frames, "frames");
            Check.positive(width, "width");
            Check.positive(height, "height");
            Check.positive(fps, "fps");
        }

        public static Format of(Json j) {
            return new Format(j.get("frames", 9), j.get("width", 32), j.get("height", 32), j.get("fps", 8.));
        }

        public double seconds() {
            return frames / fps;
        }
    }

    private final CaptionEncoder captionEncoder;
    private final Tokenizer tokenizer;
    private final VisionTokenizer vision;
    private final SoundTokenizer sound;
    private final TokenTransformer transformer;
    private final @Nullable TokenUpscaler upscaler;
    private final Format format;
    private final List<Weights> weights;

    /** From parts that stand already, as training does; {@code weights} are closed with the model. */
    public VideoPoet(
            CaptionEncoder captionEncoder,
            Tokenizer tokenizer,
            VisionTokenizer vision,
            SoundTokenizer sound,
            TokenTransformer transformer,
            @Nullable TokenUpscaler upscaler,
            Format format,
            List<Weights> weights) {
        this.captionEncoder = captionEncoder;
        this.tokenizer = tokenizer;
        this.vision = vision;
        this.sound = sound;
        this.transformer = transformer;
        this.upscaler = upscaler;
        this.format = format;
        this.weights = weights;
        TokenTransformer.Config c = transformer.config();
        Check.equal(vision.config().codes(), c.visualCodes(), "codes of the vision tokenizer", "visual_codes");
        Check.equal(vision.config().codebooks(), c.visualParts(), "codebooks of the vision tokenizer", "visual_parts");
        Check.equal(sound.config().codebookSize(), c.audioCodes(), "codes of the sound tokenizer", "audio_codes");
        Check.equal(
                sound.config().codebooks(), c.audioCodebooks(), "codebooks of the sound tokenizer", "audio_codebooks");
    }

    public static VideoPoet load(Path folder) {
        Path index = folder.resolve("model_index.json");
        if (!Files.isRegularFile(index)) {
            throw new UserError(folder + ": no model_index.json; expected the folder of a VideoPoet");
        }
        Json json = Json.read(index);
        json.expect("_class_name", CLASS);
        Weights text = Weights.load(Checkpoint.open(folder.resolve("text_encoder")));
        Weights tokens = Weights.load(Checkpoint.open(folder.resolve("transformer")));
        List<Weights> weights = new ArrayList<>(List.of(text, tokens));
        @Nullable TokenUpscaler upscaler = null;
        if (Files.isDirectory(folder.resolve("upscaler"))) {
            Weights w = Weights.load(Checkpoint.open(folder.resolve("upscaler")));
            weights.add(w);
            upscaler = new TokenUpscaler(TokenUpscaler.Config.of(config(folder.resolve("upscaler"))), w);
        }
        return new VideoPoet(
                new CaptionEncoder(CaptionEncoder.Config.of(config(folder.resolve("text_encoder"))), text),
                Tokenizer.open(folder.resolve("tokenizer")),
                VisionTokenizer.load(folder.resolve("vision_tokenizer")),
                SoundTokenizer.load(folder.resolve("sound_tokenizer")),
                new TokenTransformer(TokenTransformer.Config.of(config(folder.resolve("transformer"))), tokens),
                upscaler,
                Format.of(json.at("format")),
                weights);
    }

    private static Json config(Path folder) {
        return Json.read(folder.resolve("config.json"));
    }

    public CaptionEncoder captionEncoder() {
        return captionEncoder;
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    public VisionTokenizer vision() {
        return vision;
    }

    public SoundTokenizer sound() {
        return sound;
    }

    public TokenTransformer transformer() {
        return transformer;
    }

    /** What makes clips of twice the size; null where the model has none. */
    public @Nullable TokenUpscaler upscaler() {
        return upscaler;
    }

    /**
     * Codes of clips at twice their height and width.
     *
     * @param codes {@code [B, P, h, w, K]}
     * @param seed of what is drawn
     */
    public Tensor enlarge(Tensor codes, List<String> prompts, double guidanceScale, long seed) {
        @Nullable TokenUpscaler model = upscaler;
        if (model == null) {
            throw new UserError("this model has no upscaler; it makes " + format.width() + "x" + format.height());
        }
        try (RandomSource random = RandomSource.of(seed)) {
            return model.enlarge(
                    codes, encode(prompts), encode(Sora.none(prompts.size())), guidanceScale, UPSCALE_STEPS, random);
        }
    }

    public Format format() {
        return format;
    }

    /** The tokens of the clips trained on. */
    public Canvas canvas() {
        int factor = vision.config().spaceFactor();
        return new Canvas(
                vision.config().planes(format.frames()), format.height() / factor, format.width() / factor, steps());
    }

    private int steps() {
        return sound.config().frames(samples());
    }

    /** Samples of the sound of a clip. */
    public int samples() {
        return (int) Math.round(format.seconds() * sound.config().rate());
    }

    /** How many tokens a caption takes. */
    public int words(String caption) {
        return tokenizer.encodePlain(caption).length;
    }

    /** Words of a caption that the model has never seen. */
    public List<String> unknownWords(String caption) {
        return Sora.unknownWords(caption, tokenizer);
    }

    /** Captions as the transformer reads them; an empty one says nothing. Without a gradient. */
    public CaptionEncoder.Encoded encode(List<String> captions) {
        List<long[]> ids = new ArrayList<>(captions.size());
        for (String caption : captions) {
            ids.add(tokenizer.encodePlain(caption));
        }
        try (var off = Autograd.off()) {
            return captionEncoder.encode(captionEncoder.pad(ids, tokenizer.id(Sora.NO_CAPTION)));
        }
    }

    /**
     * What training makes small.
     *
     * @param video mean cross-entropy of a part of a video token; null where none is said
     * @param audio likewise of a code of sound
     */
    public record Losses(@Nullable Tensor video, @Nullable Tensor audio) {}

    /**
     * How well the output is foretold.
     *
     * @param caption null for none
     * @param given video codes of the prefix {@code [B, P, h, w, K]}; null for none
     * @param video codes of the output {@code [B, P, h, w, K]}, left out where the task has none
     * @param audio codes of the output {@code [B, Q, F]}, likewise
     */
    public Losses losses(
            Task task, CaptionEncoder.@Nullable Encoded caption, @Nullable Tensor given, Tensor video, Tensor audio) {
        Canvas canvas = new Canvas((int) video.size(1), (int) video.size(2), (int) video.size(3), (int) audio.size(2));
        Sequence q = Sequence.prefix(transformer, task, canvas, video.size(0), caption, given);
        Tensor flat = video.flatten(1, 3); // [B, n, K]
        Tensor delayed = Sequence.delayed(audio);
        int videoAt = task.seen() ? q.video(flat) : -1;
        int audioAt = task.heard() ? q.sound(delayed) : -1;
        Tensor hidden = transformer.forward(q.embedded(), q.angles(), q.mask(), null);
        @Nullable Tensor ofVideo = videoAt < 0 ? null : videoLoss(hidden.narrow(1, videoAt, flat.size(1)), flat);
        @Nullable Tensor ofAudio = audioAt < 0 ? null : audioLoss(hidden.narrow(1, audioAt, delayed.size(1)), delayed);
        return new Losses(ofVideo, ofAudio);
    }

    private Tensor videoLoss(Tensor hidden, Tensor codes) {
        Tensor sum = Tensor.scalarOf(0);
        int parts = transformer.config().visualParts();
        for (int k = 0; k < parts; k++) {
            Tensor scores = transformer.visualScores(hidden, k, codes.narrow(2, 0, k));
            sum = sum.add(Functional.crossEntropy(
                    scores.flatten(0, 1).to(DType.FLOAT32), codes.select(2, k).flatten(0)));
        }
        return sum.div(parts);
    }

    private Tensor audioLoss(Tensor hidden, Tensor delayed) {
        Tensor scores = transformer.audioScores(hidden).flatten(0, 2).to(DType.FLOAT32); // [B n Q, A]
        Tensor target = delayed.maskedFill(delayed.lt(0L), NOT_SAID).flatten(0);
        return Functional.crossEntropy(scores, target, NOT_SAID, 0);
    }

    /**
     * What is wanted, of B clips at once.
     *
     * @param prompts one a clip; empty says nothing
     * @param negatives what to keep away from, one a clip
     * @param seeds one a clip: a seed gives the same clip whatever stands beside it
     * @param given codes for the prefix {@code [B, P, h, w, K]}; null for none
     * @param video codes that the output has {@code [B, P, h, w, K]}, below 0 where they are open; null where all are
     * @param audio likewise {@code [B, Q, F]}
     * @param guidanceScale how much the prompt counts; 1 is none
     */
    public record Wish(
            Task task,
            List<String> prompts,
            List<String> negatives,
            long[] seeds,
            @Nullable Tensor given,
            @Nullable Tensor video,
            @Nullable Tensor audio,
            double guidanceScale,
            Sampling videoSampling,
            Sampling audioSampling) {}

    /** The settings with which clips come out best. */
    public static final double GUIDANCE = 2;

    public static final Sampling VIDEO_SAMPLING = Sampling.of(.8).withTopP(.95);
    public static final Sampling AUDIO_SAMPLING = Sampling.of(.7).withTopP(.9);

    /** A clip with sound for each prompt, as the model was trained. */
    public static Wish wish(List<String> prompts, long[] seeds) {
        return new Wish(
                Task.VIDEO,
                prompts,
                Sora.none(prompts.size()),
                seeds,
                null,
                null,
                null,
                GUIDANCE,
                VIDEO_SAMPLING,
                AUDIO_SAMPLING);
    }

    /**
     * Tokens that the model said.
     *
     * @param video {@code [B, P, h, w, K]}; null where the task has none
     * @param audio {@code [B, Q, F]}; likewise
     */
    public record Said(@Nullable Tensor video, @Nullable Tensor audio) {}

    /**
     * Says tokens one after the other; owned by the innermost scope.
     *
     * @param progress told (place, places) after each; false stops
     * @throws CancellationException when progress says stop
     */
    public Said say(Wish w, BiPredicate<Integer, Integer> progress) {
        Canvas canvas = w.task() == Task.IMAGE ? canvas().picture() : canvas();
        boolean guided = w.guidanceScale() != 1 && w.task() != Task.SOUND;
        try (var off = Autograd.off();
                Scope s = Scope.open();
                KvCache cache = new KvCache()) {
            List<String> captions = new ArrayList<>(w.prompts());
            if (guided) {
                captions.addAll(w.negatives());
            }
            @Nullable Tensor given = w.given();
            Sequence prefix = Sequence.prefix(
                    transformer,
                    w.task(),
                    canvas,
                    captions.size(),
                    w.task() == Task.SOUND ? null : encode(captions),
                    given == null || !guided ? given : Tensor.cat(0, given, given));
            try (Speaker speaker = new Speaker(w, canvas, prefix, cache, guided, progress)) {
                Said said = said(w, canvas, speaker);
                keep(s, said.video());
                keep(s, said.audio());
                return said;
            }
        }
    }

    private static void keep(Scope s, @Nullable Tensor t) {
        if (t != null) {
            s.keep(t);
        }
    }

    private Said said(Wish w, Canvas canvas, Speaker speaker) {
        int n = w.prompts().size();
        @Nullable Tensor video = null;
        if (w.task().seen()) {
            @Nullable Tensor wanted = w.video();
            Tensor codes =
                    speaker.video(wanted == null ? open(n, canvas.visual(), codesOfVideo()) : wanted.flatten(1, 3));
            video = codes.unflatten(1, canvas.planes(), canvas.rows(), canvas.columns());
        }
        @Nullable Tensor audio = null;
        if (w.task().heard()) {
            @Nullable Tensor wanted = w.audio();
            Tensor codes = wanted == null ? open(n, transformer.config().audioCodebooks(), canvas.steps()) : wanted;
            audio = Sequence.together(speaker.audio(Sequence.delayed(codes)));
        }
        return new Said(video, audio);
    }

    private int codesOfVideo() {
        return transformer.config().visualParts();
    }

    private static Tensor open(long... shape) {
        return Tensor.full(-1, DType.INT64, Device.CPU, shape);
    }

    /** Says the output place by place; rows are the clips, and behind them, guided, the same with what to keep away from. */
    private final class Speaker implements AutoCloseable {
        private final Wish wish;
        private final KvCache cache;
        private final boolean guided;
        private final int rows;
        private final BiPredicate<Integer, Integer> progress;
        private final List<Place> places;
        private final Tensor told; // [T, D], of the output
        private final Tensor angles;
        private final Tensor present; // [B, C + T]
        private final int prefix;
        private final List<RandomSource> random = new ArrayList<>();
        private int at;

        Speaker(
                Wish wish,
                Canvas canvas,
                Sequence sequence,
                KvCache cache,
                boolean guided,
                BiPredicate<Integer, Integer> progress) {
            this.wish = wish;
            this.cache = cache;
            this.guided = guided;
            this.progress = progress;
            rows = wish.prompts().size();
            prefix = sequence.length();
            places = output(wish.task(), sequence);
            told = transformer.places(places, Sequence.following(places, 0));
            angles = transformer.angles(places);
            present = sequence.present(prefix + places.size());
            transformer.forward(sequence.embedded(), sequence.angles(), sequence.mask(), cache);
            for (long seed : wish.seeds()) {
                random.add(RandomSource.of(seed));
            }
        }

        /** The places of the output, marks included, in the order of {@link Sequence}. */
        private List<Place> output(Task task, Sequence q) {
            List<Place> r = new ArrayList<>();
            if (task.seen()) {
                r.add(Place.NOWHERE);
                r.addAll(q.seen());
            }
            if (task.heard()) {
                if (task.seen()) {
                    r.add(Place.NOWHERE);
                }
                r.add(Place.NOWHERE);
                r.addAll(q.heard());
            }
            return r;
        }

        @Override
        public void close() {
            random.forEach(RandomSource::close);
        }

        Tensor video(Tensor wanted) { // [B, n, K]
            int parts = codesOfVideo();
            int n = (int) wanted.size(1);
            long[] codes = wanted.toLongs();
            Tensor vector = transformer.special(Special.VIDEO_OUT, all());
            for (int i = 0; i < n; i++) {
                try (Scope s = Scope.open()) {
                    Tensor hidden = next(vector);
                    Tensor before = Tensor.of(new long[0], rows, 1, 0);
                    for (int k = 0; k < parts; k++) {
                        Tensor scores = transformer
                                .visualScores(hidden, k, both(before))
                                .squeeze(1);
                        long[] drawn = draw(scores, wish.videoSampling());
                        for (int b = 0; b < rows; b++) {
                            int place = (b * n + i) * parts + k;
                            codes[place] = codes[place] < 0 ? drawn[b] : codes[place];
                            drawn[b] = codes[place];
                        }
                        before = Tensor.cat(2, before, Tensor.of(drawn, rows, 1, 1));
                    }
                    vector = s.keep(transformer.visual(both(before)));
                }
            }
            next(vector);
            return Tensor.of(codes, rows, n, parts);
        }

        Tensor audio(Tensor wanted) { // [B, n, Q]
            int q = transformer.config().audioCodebooks();
            int n = (int) wanted.size(1);
            int steps = n - q + 1;
            long[] codes = wanted.toLongs();
            if (at > 0) {
                next(transformer.special(Special.VIDEO_OUT_END, all()));
            }
            Tensor vector = transformer.special(Special.AUDIO_OUT, all());
            for (int i = 0; i < n; i++) {
                try (Scope s = Scope.open()) {
                    Tensor scores = transformer.audioScores(next(vector)).squeeze(1); // [B, Q, A]
                    for (int k = 0; k < q; k++) {
                        if (i < k || i - k >= steps) {
                            continue; // nothing of this codebook stands here
                        }
                        long[] drawn = draw(scores.select(1, k), wish.audioSampling());
                        for (int b = 0; b < rows; b++) {
                            int place = (b * n + i) * q + k;
                            codes[place] = codes[place] < 0 ? drawn[b] : codes[place];
                        }
                    }
                    Tensor said = Tensor.of(codes, rows, n, q).narrow(1, i, 1);
                    vector = s.keep(transformer.audio(both(said)));
                }
            }
            return Tensor.of(codes, rows, n, q);
        }

        private long all() {
            return guided ? 2L * rows : rows;
        }

        private Tensor both(Tensor t) {
            return guided ? Tensor.cat(0, t, t) : t;
        }

        /** Puts one more token behind; returns the state from which the next is said, {@code [B, 1, D]}. */
        private Tensor next(Tensor vector) {
            try (Scope s = Scope.open()) {
                Tensor x = vector.add(told.narrow(0, at, 1));
                Tensor mask = present.narrow(1, 0, prefix + at + 1);
                Tensor hidden = transformer.forward(x, angles.narrow(0, at, 1), mask, cache);
                at++;
                if (!progress.test(at, places.size())) {
                    throw new CancellationException("stopped at token " + at + " of " + places.size());
                }
                return s.keep(hidden);
            }
        }

        /** One code a clip from scores {@code [B, codes]}. */
        private long[] draw(Tensor scores, Sampling sampling) {
            Tensor x = scores;
            if (guided) {
                Tensor without = scores.narrow(0, rows, rows);
                x = without.add(scores.narrow(0, 0, rows).sub(without).mul(wish.guidanceScale()));
            }
            Tensor narrowed = sampling.apply(x, Tensor.of(new long[0], rows, 0));
            if (sampling.isGreedy()) {
                return narrowed.argmax(-1).toLongs();
            }
            float[] p = narrowed.softmax(-1).toFloats();
            int n = p.length / rows;
            long[] r = new long[rows];
            for (int b = 0; b < rows; b++) {
                double u = random.get(b).nextDouble();
                int chosen = -1;
                for (int i = 0; i < n && (u >= 0 || chosen < 0); i++) {
                    u -= p[b * n + i];
                    chosen = p[b * n + i] > 0 ? i : chosen;
                }
                r[b] = chosen;
            }
            return r;
        }
    }

    /** A clip of codes, {@code [B, P, h, w, K]} to {@code [B, 3, T, H, W]} in -1..1. */
    public Tensor show(Tensor codes) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            return s.keep(vision.decode(codes).clamp(-1, 1));
        }
    }

    /** The sound of codes, {@code [B, Q, F]} to {@code [B, L]} in -1..1, as long as a clip. */
    public Tensor play(Tensor codes) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor y = sound.decode(codes);
            return s.keep(y.narrow(1, 0, Math.min(y.size(1), samples())).clamp(-1, 1));
        }
    }

    @Override
    public void close() {
        weights.forEach(Weights::close);
        vision.close();
        sound.close();
        tokenizer.close();
    }
}
