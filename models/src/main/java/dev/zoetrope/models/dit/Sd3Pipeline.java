package dev.zoetrope.models.dit;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.ldm.Guidance;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.t5.T5Encoder;
import dev.zoetrope.models.t5.T5Prompts;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Stable Diffusion 3 and 3.5, arXiv:2403.03206: two CLIP towers and T5 in front of {@link Sd3Transformer}. T5 may be
 * missing from the folder, which saves most of the memory; zeros stand for its tokens then.
 *
 * <p>Not for use by several threads at once.
 */
public final class Sd3Pipeline implements TextPipeline {
    private final Scheduler scheduler;
    private final List<Prompts.Tower> towers = new ArrayList<>();
    private final @Nullable T5Prompts t5;
    private final Sd3Transformer transformer;
    private final Canvas canvas;
    private final Parts parts;

    private Sd3Pipeline(PipelineFolder f, Parts parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        for (String number : List.of("", "_2")) {
            towers.add(new Prompts.Tower(
                    parts.add(Tokenizer.open(f.part("tokenizer" + number))),
                    parts.add(ClipText.load(f.part("text_encoder" + number)))));
        }
        t5 = f.names("text_encoder_3")
                ? new T5Prompts(
                        parts.add(Tokenizer.open(f.part("tokenizer_3"))),
                        parts.add(T5Encoder.load(f.part("text_encoder_3"))))
                : null;
        transformer = parts.add(Sd3Transformer.load(f.part("transformer")));
        AutoencoderKl vae = parts.add(AutoencoderKl.load(f.part("vae")));
        Sd3Transformer.Config c = transformer.config();
        canvas = new Canvas(vae, c.side(), c.patch());
    }

    public static Sd3Pipeline load(Path folder) {
        return load(PipelineFolder.open(folder));
    }

    static Sd3Pipeline load(PipelineFolder f) {
        List.of("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "transformer", "vae", "scheduler")
                .forEach(f::part);
        Parts parts = new Parts();
        try {
            return new Sd3Pipeline(f, parts);
        } catch (RuntimeException e) {
            parts.close();
            throw e;
        }
    }

    @Override
    public Settings defaults(String prompt) {
        return Settings.of(prompt).withSteps(28).withGuidance(7, 0);
    }

    @Override
    public int textLength() {
        return 256;
    }

    @Override
    public Tensor generate(Settings settings, int textLength, Draws draws, Denoising.Observer observer) {
        Settings s = canvas.sized(settings, "Stable Diffusion 3");
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                Run run = scheduler.start(Plan.of(s.steps()).withMu(mu(s)))) {
            Denoising.Network network = network(s, textLength);
            Tensor start = canvas.noise(s, draws).mul(run.initialScale());
            return scope.keep(canvas.picture(s, Denoising.run(run, start, network, draws, observer)));
        }
    }

    private @Nullable Double mu(Settings s) {
        int patch = transformer.config().patch();
        return FluxPipeline.mu(scheduler, canvas.rows(s) / patch * (canvas.columns(s) / patch));
    }

    private Denoising.Network network(Settings s, int textLength) {
        Guidance guidance = new Guidance(s.guidance(), 0);
        Prompts.Features wanted = encode(s.prompt(), s.clipSkip(), textLength);
        Prompts.Features all = wanted;
        if (guidance.isOn()) {
            Prompts.Features free = encode(s.negative() == null ? "" : s.negative(), 0, textLength);
            all = new Prompts.Features(
                    Tensor.cat(0, free.tokens(), wanted.tokens()), Tensor.cat(0, free.pooled(), wanted.pooled()));
        }
        Tensor text = all.tokens().repeatInterleave(s.count(), 0);
        Tensor pooled = all.pooled().repeatInterleave(s.count(), 0);
        long rows = text.size(0);
        return (x, timestep) -> {
            Tensor input = guidance.isOn() ? Tensor.cat(0, x, x) : x;
            Tensor answer = transformer.forward(input, Tensor.full(timestep, rows), text, pooled);
            return guidance.isOn() ? guidance.of(answer) : answer;
        };
    }

    /** CLIP's tokens, both towers side by side and filled up with zeros to T5's width, then T5's. */
    private Prompts.Features encode(String text, int skip, int textLength) {
        List<Tensor> states = new ArrayList<>();
        List<Tensor> pooled = new ArrayList<>();
        for (Prompts.Tower tower : towers) {
            ClipText encoder = tower.encoder();
            int length =
                    Math.min(tower.tokenizer().maxLength(), encoder.config().positions());
            Tensor ids = tower.ids(List.of(text), length);
            states.add(encoder.hiddenState(ids, null, -2 - skip));
            pooled.add(encoder.projected(encoder.pooled(ids, encoder.forward(ids, null))));
        }
        Tensor clip = Tensor.cat(-1, states); // [1, T, both widths]
        int width = transformer.config().textChannels();
        Tensor tokens = t5 == null
                ? Tensor.zeros(1, textLength, width)
                : t5.encode(List.of(text), textLength, false).states();
        Tensor wide = Functional.pad(clip, 0, 0, width - clip.size(2));
        return new Prompts.Features(Tensor.cat(1, wide, tokens), Tensor.cat(-1, pooled));
    }

    @Override
    public void close() {
        parts.close();
    }
}
