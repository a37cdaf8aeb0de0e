package dev.zoetrope.models.dit;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.t5.T5Encoder;
import dev.zoetrope.models.t5.T5Prompts;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.FlowMatchEuler;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Flux.1: CLIP's pooled text and T5's tokens in front of {@link FluxTransformer}, whose tokens are patches of 2 x 2
 * latents. Guidance is a number that the network reads (dev) or is not wanted (schnell), so each step calls it once.
 *
 * <p>Not for use by several threads at once.
 */
public final class FluxPipeline implements TextPipeline {
    private static final int PATCH = 2;
    private static final int SIDE = 128; // latents of pictures of 1024 x 1024

    private final Scheduler scheduler;
    private final Prompts.Tower clip;
    private final T5Prompts t5;
    private final FluxTransformer transformer;
    private final Canvas canvas;
    private final Parts parts;

    private FluxPipeline(PipelineFolder f, Parts parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        clip = new Prompts.Tower(
                parts.add(Tokenizer.open(f.part("tokenizer"))), parts.add(ClipText.load(f.part("text_encoder"))));
        t5 = new T5Prompts(
                parts.add(Tokenizer.open(f.part("tokenizer_2"))), parts.add(T5Encoder.load(f.part("text_encoder_2"))));
        transformer = parts.add(FluxTransformer.load(f.part("transformer")));
        AutoencoderKl vae = parts.add(AutoencoderKl.load(f.part("vae")));
        canvas = new Canvas(vae, SIDE, PATCH);
    }

    public static FluxPipeline load(Path folder) {
        return load(PipelineFolder.open(folder));
    }

    static FluxPipeline load(PipelineFolder f) {
        List.of("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "transformer", "vae", "scheduler")
                .forEach(f::part);
        Parts parts = new Parts();
        try {
            return new FluxPipeline(f, parts);
        } catch (RuntimeException e) {
            parts.close();
            throw e;
        }
    }

    @Override
    public Settings defaults(String prompt) {
        boolean dev = transformer.config().guidance();
        return Settings.of(prompt).withSteps(dev ? 28 : 4).withGuidance(dev ? 3.5 : 0, 0);
    }

    @Override
    public int textLength() {
        return transformer.config().guidance() ? 512 : 256;
    }

    @Override
    public Tensor generate(Settings settings, int textLength, Draws draws, Denoising.Observer observer) {
        Settings s = canvas.sized(settings, "Flux");
        if (s.negative() != null && !s.negative().isEmpty()) {
            throw new UserError("Flux is distilled from guidance and takes no negative prompt");
        }
        int rows = canvas.rows(s);
        int columns = canvas.columns(s);
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                Run run = scheduler.start(plan(s, rows / PATCH * (columns / PATCH)))) {
            Denoising.Network network = network(s, textLength, rows / PATCH, columns / PATCH);
            Tensor start = packed(canvas.noise(s, draws)).mul(run.initialScale());
            Tensor latents = Denoising.run(run, start, network, draws, observer);
            return scope.keep(canvas.picture(s, unpacked(latents, rows, columns)));
        }
    }

    private Plan plan(Settings s, int tokens) {
        List<Double> sigmas = new ArrayList<>();
        for (int i = 0; i < s.steps(); i++) {
            sigmas.add(s.steps() == 1 ? 1 : 1 - i * (1 - 1.0 / s.steps()) / (s.steps() - 1));
        }
        return Plan.ofSigmas(sigmas).withMu(mu(scheduler, tokens));
    }

    /** The shift of a picture of so many tokens; null for schedulers that do not ask for it. */
    static @Nullable Double mu(Scheduler scheduler, int tokens) {
        return scheduler instanceof FlowMatchEuler flow && flow.dynamicShift() ? Double.valueOf(flow.mu(tokens)) : null;
    }

    private Denoising.Network network(Settings s, int textLength, int rows, int columns) {
        int length =
                Math.min(clip.tokenizer().maxLength(), clip.encoder().config().positions());
        Tensor ids = clip.ids(List.of(s.prompt()), length);
        Tensor one = clip.encoder().pooled(ids, clip.encoder().forward(ids, null));
        Tensor pooled = one.repeatInterleave(s.count(), 0);
        Tensor text = t5.encode(List.of(s.prompt()), textLength, false).states().repeatInterleave(s.count(), 0);
        Tensor pictureIds = ids(rows, columns);
        Tensor textIds = Tensor.zeros(textLength, 3);
        Tensor guidance = transformer.config().guidance() ? Tensor.full(s.guidance(), s.count()) : null;
        return (x, timestep) -> transformer.forward(new FluxTransformer.Input(
                x, Tensor.full(timestep / 1000, s.count()), text, pooled, pictureIds, textIds, guidance));
    }

    /** Time, row and column of each token, {@code [N, 3]}. */
    private static Tensor ids(int rows, int columns) {
        long[] ids = new long[rows * columns * 3];
        for (int i = 0; i < rows * columns; i++) {
            ids[3 * i + 1] = i / columns;
            ids[3 * i + 2] = i % columns;
        }
        return Tensor.of(ids, (long) rows * columns, 3).to(DType.FLOAT32);
    }

    /** {@code [B, C, h, w]} to tokens {@code [B, (h / 2) (w / 2), 4 C]}, each a patch as (channel, row, column). */
    public static Tensor packed(Tensor latents) {
        return latents.unflatten(3, -1, PATCH)
                .unflatten(2, -1, PATCH) // [B, C, h/2, 2, w/2, 2]
                .permute(0, 2, 4, 1, 3, 5)
                .flatten(3)
                .flatten(1, 2);
    }

    /** The way back of {@link #packed}. */
    public static Tensor unpacked(Tensor tokens, int rows, int columns) {
        return tokens.unflatten(2, -1, PATCH, PATCH)
                .unflatten(1, rows / PATCH, columns / PATCH) // [B, h/2, w/2, C, 2, 2]
                .permute(0, 3, 1, 4, 2, 5)
                .flatten(4)
                .flatten(2, 3);
    }

    @Override
    public void close() {
        parts.close();
    }
}
