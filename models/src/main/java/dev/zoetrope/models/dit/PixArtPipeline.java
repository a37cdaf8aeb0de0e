package dev.zoetrope.models.dit;

import dev.zoetrope.models.ldm.Guidance;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.t5.T5Prompts;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.schedulers.StepOptions;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * PixArt-alpha, arXiv:2310.00426: PixArt-alpha/PixArt-XL-2-512x512 and its kin. Pictures have the size that is asked
 * for; the reference rounds it to one of its training sizes and scales back.
 *
 * <p>Not for use by several threads at once.
 */
public final class PixArtPipeline implements TextPipeline {
    private final Scheduler scheduler;
    private final T5Prompts prompts;
    private final PixArtTransformer transformer;
    private final Canvas canvas;
    private final Parts parts;

    private PixArtPipeline(PipelineFolder f, Parts parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        prompts = parts.add(T5Prompts.load(f.folder()));
        transformer = parts.add(PixArtTransformer.load(f.part("transformer")));
        AutoencoderKl vae = parts.add(AutoencoderKl.load(f.part("vae")));
        PixArtTransformer.Config c = transformer.config();
        canvas = new Canvas(vae, c.side(), c.patch());
    }

    public static PixArtPipeline load(Path folder) {
        return load(PipelineFolder.open(folder));
    }

    static PixArtPipeline load(PipelineFolder f) {
        List.of("tokenizer", "text_encoder", "transformer", "vae", "scheduler").forEach(f::part);
        Parts parts = new Parts();
        try {
            return new PixArtPipeline(f, parts);
        } catch (RuntimeException e) {
            parts.close();
            throw e;
        }
    }

    @Override
    public Settings defaults(String prompt) {
        return Settings.of(prompt).withSteps(20).withGuidance(4.5, 0);
    }

    @Override
    public int textLength() {
        return 120;
    }

    @Override
    public Tensor generate(Settings settings, int textLength, Draws draws, Denoising.Observer observer) {
        Settings s = canvas.sized(settings, "PixArt");
        Plan plan = Plan.of(s.steps()).with(StepOptions.DEFAULT.withEta(s.eta()));
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                Run run = scheduler.start(plan)) {
            Denoising.Network network = network(s, textLength);
            Tensor start = canvas.noise(s, draws).mul(run.initialScale());
            return scope.keep(canvas.picture(s, Denoising.run(run, start, network, draws, observer)));
        }
    }

    private Denoising.Network network(Settings s, int textLength) {
        Guidance guidance = new Guidance(s.guidance(), 0);
        List<String> texts = guidance.isOn()
                ? List.of(simplified(s.negative() == null ? "" : s.negative()), simplified(s.prompt()))
                : List.of(simplified(s.prompt()));
        T5Prompts.Encoded encoded = prompts.encode(texts, textLength, true);
        Tensor text = encoded.states().repeatInterleave(s.count(), 0);
        Tensor mask = encoded.mask().repeatInterleave(s.count(), 0);
        long rows = text.size(0);
        boolean conditions = transformer.config().conditions();
        Tensor size = conditions ? row(rows, s.height(), s.width()) : null;
        Tensor ratio = conditions ? row(rows, (float) s.height() / s.width()) : null;
        long channels = transformer.config().inChannels();
        boolean learnsSigma = transformer.config().outChannels() == 2 * channels;
        return (x, timestep) -> {
            Tensor input = guidance.isOn() ? Tensor.cat(0, x, x) : x;
            Tensor answer = transformer.forward(
                    new PixArtTransformer.Input(input, Tensor.full(timestep, rows), text, mask, size, ratio));
            Tensor guided = guidance.isOn() ? guidance.of(answer) : answer;
            return learnsSigma ? guided.narrow(1, 0, channels) : guided;
        };
    }

    private static @Nullable Tensor row(long rows, float... values) {
        return Tensor.of(values, 1, values.length).repeat(rows, 1);
    }

    private static String simplified(String text) {
        return text.toLowerCase(Locale.ROOT).strip();
    }

    @Override
    public void close() {
        parts.close();
    }
}
