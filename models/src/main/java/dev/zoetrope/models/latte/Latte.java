package dev.zoetrope.models.latte;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.t5.T5Prompts;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.video.VideoPipeline;
import dev.zoetrope.models.video.VideoRequest;
import dev.zoetrope.models.video.VideoRequest.Defaults;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Latte from the folder that is published (maxin-cn/Latte-1): text to video, frame by frame through an autoencoder of
 * pictures. The text encoder is in memory only while it encodes.
 */
public final class Latte implements VideoPipeline {
    private final Path folder;
    private final LatteTransformer transformer;
    private final AutoencoderKl autoencoder;
    private final Scheduler scheduler;
    private final boolean learnedVariance;
    private final boolean cutsText;

    private Latte(
            Path folder, LatteTransformer transformer, AutoencoderKl autoencoder, Json scheduler, boolean cutsText) {
        this.folder = folder;
        this.transformer = transformer;
        this.autoencoder = autoencoder;
        this.scheduler = Scheduler.of(scheduler);
        this.learnedVariance = scheduler.get("variance_type", "").startsWith("learned");
        this.cutsText = cutsText;
    }

    public static Latte load(Path folder) {
        return load(folder, true);
    }

    /** @param cutsText whether what stands behind the prompt's last token is cut off (the reference's mask_feature) */
    public static Latte load(Path folder, boolean cutsText) {
        Json scheduler = Json.read(folder.resolve("scheduler/scheduler_config.json"));
        AutoencoderKl autoencoder = AutoencoderKl.load(folder.resolve("vae"));
        try {
            return new Latte(
                    folder, LatteTransformer.load(folder.resolve("transformer")), autoencoder, scheduler, cutsText);
        } catch (RuntimeException e) {
            autoencoder.close();
            throw e;
        }
    }

    @Override
    public Defaults defaults() {
        var t = transformer.config();
        int side = t.side() * autoencoder.config().factor();
        return new Defaults(t.frames(), side, side, 8, 50, 7.5, 120);
    }

    @Override
    public int nearestFrames(int wanted) {
        return wanted == 1 ? 1 : transformer.config().frames();
    }

    @Override
    public void check(VideoRequest r) {
        int side = autoencoder.config().factor() * transformer.config().patch();
        Check.divides(side, r.height(), "a patch's side", "height");
        Check.divides(side, r.width(), "a patch's side", "width");
        if (r.image() != null || r.video() != null) {
            throw new UserError("Latte makes videos from text alone");
        }
        if (r.frames() != nearestFrames(r.frames())) {
            throw new UserError("this model makes videos of "
                    + transformer.config().frames() + " frames, or one frame, not " + r.frames());
        }
    }

    @Override
    public Tensor sample(VideoRequest r, Noise noise, Listener listener) {
        check(r);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(r.steps()))) {
            Tensor text = text(r);
            Tensor latents = noise.draw(shape(r)).mul(run.initialScale());
            for (int step = 1; !run.done(); step++) {
                try (Scope one = Scope.open()) {
                    Tensor prediction = predict(r, run.input(latents), run.timestep(), text);
                    latents = one.keep(run.step(prediction, latents, noise));
                    listener.tell(step, r.steps(), prediction, latents);
                }
            }
            return s.keep(decode(latents));
        }
    }

    private long[] shape(VideoRequest r) {
        int factor = autoencoder.config().factor();
        return new long[] {1, transformer.config().inChannels(), r.frames(), r.height() / factor, r.width() / factor};
    }

    /** Guidance's negative prompt first, {@code [1 or 2, L, D]}; both are cut to the tokens of the prompt. */
    private Tensor text(VideoRequest r) {
        List<String> texts = r.guided() ? List.of(r.negative(), r.prompt()) : List.of(r.prompt());
        try (Scope s = Scope.open();
                T5Prompts prompts = T5Prompts.load(folder)) {
            T5Prompts.Encoded e = prompts.encode(
                    texts.stream().map(t -> t.toLowerCase(Locale.ROOT).strip()).toList(), r.textLength(), true);
            long kept = (long) e.mask().select(0, texts.size() - 1).sum().item();
            return s.keep(cutsText ? e.states().narrow(1, 0, kept) : e.states());
        }
    }

    private Tensor predict(VideoRequest r, Tensor input, double t, Tensor text) {
        Tensor out = r.guided()
                ? transformer.forward(Tensor.cat(0, input, input), Tensor.full(t, 2), text, true)
                : transformer.forward(input, Tensor.full(t, 1), text, true);
        if (r.guided()) {
            List<Tensor> both = out.chunk(2, 0);
            out = both.get(0).add(both.get(1).sub(both.get(0)).mul(r.guidanceScale()));
        }
        return learnedVariance ? out : out.chunk(2, 1).get(0);
    }

    private Tensor decode(Tensor latents) { // [1, C, F, h, w] -> [1, 3, F, H, W]
        try (Scope s = Scope.open()) {
            Tensor z = autoencoder.unscaled(latents.transpose(1, 2).flatten(0, 1)); // [F, C, h, w]
            List<Tensor> frames = new ArrayList<>();
            for (long i = 0; i < z.size(0); i++) { // one at a time: a picture's memory, not a video's
                frames.add(autoencoder.decode(z.narrow(0, i, 1)));
            }
            return s.keep(Tensor.stack(2, frames));
        }
    }

    @Override
    public void close() {
        transformer.close();
        autoencoder.close();
    }
}
