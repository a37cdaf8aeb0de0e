package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The whole text-to-video model: caption encoder, space-time transformer and video autoencoder, joined by flow matching.
 * A folder holds {@code model_index.json} and one folder a part, {@code tokenizer}, {@code text_encoder},
 * {@code transformer}, {@code autoencoder}, each with config.json and model.safetensors.
 *
 * <p>Time runs from 0 (noise) to 1 (picture): {@code z_t = (1 - t) noise + t clean}. The transformer predicts the clean
 * latents, from which the velocity is {@code (clean - z_t) / (1 - t)}.
 */
public final class Sora implements AutoCloseable {
    /** The token of a caption that says nothing, for guidance. */
    public static final String NO_CAPTION = "[NONE]";
    /** What words outside the vocabulary become. */
    public static final String UNKNOWN = "[UNK]";

    /** What {@code model_index.json} calls a model of this kind. */
    public static final String CLASS = "ZoetropeSora";

    /** Folders of the network: one of them is there. */
    public static final String TRANSFORMER = "transformer";

    public static final String UNET = "unet";

    /**
     * @param frames T, 1 for a picture
     * @param width in pixels, a multiple of 16
     * @param height in pixels, a multiple of 16
     * @param steps of the solver
     * @param guidanceScale how much the caption counts; 1 is none
     */
    public record Sampling(int frames, int width, int height, int steps, double guidanceScale) {
        public Sampling {
            Check.positive(frames, "frames");
            Check.positive(steps, "steps");
        }

        boolean guided() {
            return guidanceScale != 1;
        }
    }

    private final CaptionEncoder captionEncoder;
    private final SpaceTimeNetwork transformer;
    private final VideoAutoencoder autoencoder;
    private final Tokenizer tokenizer;
    private final long noCaption;
    private final List<Weights> weights;

    /** From parts that stand already, as training does; {@code weights} are closed with the model. */
    public Sora(
            CaptionEncoder captionEncoder,
            SpaceTimeNetwork transformer,
            VideoAutoencoder autoencoder,
            Tokenizer tokenizer,
            List<Weights> weights) {
        this.captionEncoder = captionEncoder;
        this.transformer = transformer;
        this.autoencoder = autoencoder;
        this.tokenizer = tokenizer;
        this.noCaption = tokenizer.id(NO_CAPTION);
        this.weights = weights;
    }

    public static Sora load(Path folder) {
        Path index = folder.resolve("model_index.json");
        if (!Files.isRegularFile(index)) {
            throw new UserError(folder + ": no model_index.json; expected the folder of a text-to-video model");
        }
        Json.read(index).expect("_class_name", CLASS);
        Weights text = weights(folder.resolve("text_encoder"));
        boolean unet = Files.isDirectory(folder.resolve(UNET));
        Path network = folder.resolve(unet ? UNET : TRANSFORMER);
        Weights patches = weights(network);
        Weights video = weights(folder.resolve("autoencoder"));
        return new Sora(
                new CaptionEncoder(CaptionEncoder.Config.of(config(folder.resolve("text_encoder"))), text),
                unet
                        ? new SpaceTimeUnet(config(network), patches)
                        : new SpaceTimeTransformer(SpaceTimeTransformer.Config.of(config(network)), patches),
                new VideoAutoencoder(VideoAutoencoder.Config.of(config(folder.resolve("autoencoder"))), video),
                Tokenizer.open(folder.resolve("tokenizer")),
                List.of(text, patches, video));
    }

    private static Json config(Path folder) {
        return Json.read(folder.resolve("config.json"));
    }

    private static Weights weights(Path folder) {
        return Weights.load(Checkpoint.open(folder));
    }

    public CaptionEncoder captionEncoder() {
        return captionEncoder;
    }

    public SpaceTimeNetwork transformer() {
        return transformer;
    }

    public VideoAutoencoder autoencoder() {
        return autoencoder;
    }

    /** Token ids {@code [B, L]} of captions; an empty one becomes the token for none. */
    public Tensor tokens(List<String> captions) {
        List<long[]> ids = new ArrayList<>(captions.size());
        for (String caption : captions) {
            ids.add(tokenizer.encodePlain(caption));
        }
        return captionEncoder.pad(ids, noCaption);
    }

    /** How many tokens a caption takes. */
    public int words(String caption) {
        return tokenizer.encodePlain(caption).length;
    }

    /** Words of a caption that the model has never seen. */
    public List<String> unknownWords(String caption) {
        return unknownWords(caption, tokenizer);
    }

    /** Words of a caption that a tokenizer of this kind does not have. */
    public static List<String> unknownWords(String caption, Tokenizer tokenizer) {
        long unknown = tokenizer.id(UNKNOWN);
        List<String> r = new ArrayList<>();
        for (String word : caption.split("[^\\p{L}\\p{N}]+")) {
            for (long id : word.isEmpty() ? new long[0] : tokenizer.encodePlain(word)) {
                if (id == unknown && !r.contains(word)) {
                    r.add(word);
                }
            }
        }
        return r;
    }

    /**
     * Clips for prompts, one seed each: a seed gives the same clip whatever stands beside it.
     *
     * @param negatives what to keep away from, one a prompt; empty for nothing
     * @param progress told (step, steps) after each step; false stops
     * @return {@code [B, 3, T, H, W]} in -1..1, owned by the innermost scope
     * @throws CancellationException when progress says stop
     */
    public Tensor sample(
            List<String> prompts,
            List<String> negatives,
            long[] seeds,
            Sampling p,
            BiPredicate<Integer, Integer> progress) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> noise = new ArrayList<>();
            for (long seed : seeds) {
                try (RandomSource random = RandomSource.of(seed)) {
                    noise.add(random.normal(latentShape(p, autoencoder.config().groups(p.frames()))));
                }
            }
            CaptionEncoder.Encoded captions = encode(prompts, p.guided() ? negatives : List.of());
            Observer observer = (step, steps, clean) -> progress.test(step, steps);
            Tensor z = denoise(Tensor.stack(0, noise), captions, p, 0, null, observer); // [B, K, G, h, w]
            return s.keep(autoencoder.decode(z).narrow(2, 0, p.frames()).clamp(-1, 1));
        }
    }

    /**
     * Latent frames that are not to be made.
     *
     * @param clean {@code [B, K, G, h, w]}; values elsewhere do not matter
     * @param known BOOL {@code [G]}
     * @param until time, 0 (noise) to 1 (video), up to which they are held; from then on they may move
     * @param first whether only the first picture of each is known, of which these are the latents standing still
     */
    public record Given(Tensor clean, Tensor known, double until, boolean first) {}

    /** What a network that is told given frames is told, {@code [B, K + MARKS, G, h, w]}. */
    private static Tensor told(Given g) {
        Tensor known = g.known().unsqueeze(0);
        Tensor none = Tensor.of(new boolean[(int) known.size(1)], 1, known.size(1));
        return g.first()
                ? SpaceTimeNetwork.given(g.clean(), none, known)
                : SpaceTimeNetwork.given(g.clean(), known, none);
    }

    /** {@code [K, G, h, w]}. */
    long[] latentShape(Sampling p, int groups) {
        return new long[] {autoencoder.config().latentChannels(), groups, p.height() / 8, p.width() / 8};
    }

    /**
     * From noise, or from a noised video, to clean latents. What is given goes the straight way from its noise to itself:
     * the network's prediction is overruled there, and at every time it sees those frames as noisy as the others.
     *
     * @param start latents at the time of the first step, {@code [B, K, G, h, w]}
     * @param captions as {@link #encode} makes them
     * @param from steps that are left out, because the start is not all noise
     * @return {@code [B, K, G, h, w]}, owned by the innermost scope
     */
    Tensor denoise(
            Tensor start,
            CaptionEncoder.Encoded captions,
            Sampling p,
            int from,
            @Nullable Given given,
            Observer observer) {
        try (Scope s = Scope.open()) {
            boolean tells = given != null && transformer.givenFrames();
            @Nullable Tensor told = given != null && tells ? told(given) : null;
            // A first picture is no latent frame: a network that is told of it decides itself what moves in its frame.
            boolean holds = given != null && !(tells && given.first());
            @Nullable
            Tensor known = given == null || !holds ? null : given.known().reshape(1, 1, -1, 1, 1);
            Tensor z = start;
            for (int i = from; i < p.steps(); i++) {
                double t = time(i, p);
                try (Scope step = Scope.open()) {
                    Tensor clean = predict(z, t, captions, told, p);
                    if (given != null && known != null && t < given.until()) {
                        clean = Tensor.where(known, given.clean(), clean);
                    }
                    // Euler along (clean - z) / (1 - t)
                    z = step.keep(z.add(clean.sub(z).mul((time(i + 1, p) - t) / (1 - t))));
                    if (!observer.step(i + 1 - from, p.steps() - from, clean)) {
                        throw new CancellationException("stopped after step " + (i + 1 - from));
                    }
                }
            }
            return s.keep(z);
        }
    }

    /** A clean video as it is seen before step {@code from}. */
    Tensor noised(Tensor clean, Tensor noise, int from, Sampling p) {
        double t = time(from, p);
        return noise.mul(1 - t).add(clean.mul(t));
    }

    /** Sees each step on the way from noise to latents. */
    @FunctionalInterface
    public interface Observer {
        /**
         * @param step steps done
         * @param steps steps in all
         * @param clean what the network now takes for the end, {@code [B, K, G, h, w]}; gone after the call
         * @return whether to go on
         */
        boolean step(int step, int steps, Tensor clean);
    }

    /** Captions, then what to keep away from, one each where guidance needs it. */
    CaptionEncoder.Encoded encode(List<String> prompts, List<String> negatives) {
        List<String> all = new ArrayList<>(prompts);
        all.addAll(negatives);
        return captionEncoder.encode(tokens(all));
    }

    private Tensor predict(Tensor z, double t, CaptionEncoder.Encoded captions, @Nullable Tensor told, Sampling p) {
        if (!p.guided()) {
            return transformer.forward(z, Tensor.full(t, z.size(0)), captions, told);
        }
        @Nullable Tensor twice = told == null ? null : Tensor.cat(0, told, told);
        Tensor both = transformer.forward(Tensor.cat(0, z, z), Tensor.full(t, 2 * z.size(0)), captions, twice);
        Tensor with = both.narrow(0, 0, z.size(0));
        Tensor without = both.narrow(0, z.size(0), z.size(0));
        return without.add(with.sub(without).mul(p.guidanceScale()));
    }

    private double time(int step, Sampling p) {
        return shifted((double) step / p.steps());
    }

    /** Moves a time towards the noise, where the caption decides: 0 and 1 stay, the middle goes to 1 / (1 + shift). */
    public double shifted(double u) {
        double shift = transformer.flowShift();
        return u / (shift - (shift - 1) * u);
    }

    /** No negative prompts. */
    public static List<String> none(int n) {
        return Collections.nCopies(n, "");
    }

    @Override
    public void close() {
        weights.forEach(Weights::close);
        tokenizer.close();
    }
}
