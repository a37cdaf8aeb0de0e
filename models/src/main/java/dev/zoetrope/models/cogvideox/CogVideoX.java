package dev.zoetrope.models.cogvideox;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.cogvideox.CogVideoXAutoencoder.Tiling;
import dev.zoetrope.models.t5.T5Prompts;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.models.video.VideoPipeline;
import dev.zoetrope.models.video.VideoRequest;
import dev.zoetrope.models.video.VideoRequest.Defaults;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * CogVideoX from the folder that is published (THUDM/CogVideoX-2b, -5b, -5b-I2V, CogVideoX1.5-5B): text to video, image to
 * video where the transformer takes a picture, and video to video.
 *
 * <p>The text encoder, larger than all the rest, is in memory only while it encodes.
 */
public final class CogVideoX implements VideoPipeline {
    /** What image to video of 1.5 is told. */
    private static final double OFFSET = 2;

    /** Larger frames are decoded in tiles: the whole would take many gigabytes. */
    private static final long MOST_PIXELS = 512 * 512;

    private final Path folder;
    private final CogVideoXTransformer transformer;
    private final CogVideoXAutoencoder autoencoder;
    private final Scheduler scheduler;

    private CogVideoX(
            Path folder, CogVideoXTransformer transformer, CogVideoXAutoencoder autoencoder, Scheduler scheduler) {
        this.folder = folder;
        this.transformer = transformer;
        this.autoencoder = autoencoder;
        this.scheduler = scheduler;
    }

    public static CogVideoX load(Path folder) {
        Scheduler scheduler = Scheduler.of(Json.read(folder.resolve("scheduler/scheduler_config.json")));
        CogVideoXAutoencoder autoencoder = CogVideoXAutoencoder.load(folder.resolve("vae"));
        try {
            return new CogVideoX(
                    folder, CogVideoXTransformer.load(folder.resolve("transformer")), autoencoder, scheduler);
        } catch (RuntimeException e) {
            autoencoder.close();
            throw e;
        }
    }

    @Override
    public Defaults defaults() {
        var t = transformer.config();
        int ratio = autoencoder.config().spatialRatio();
        return new Defaults(
                t.sampleFrames(), t.sampleHeight() * ratio, t.sampleWidth() * ratio, 8, 50, 6, t.textLength());
    }

    @Override
    public int nearestFrames(int wanted) {
        int ratio = autoencoder.config().temporalRatio();
        return Math.max(0, Math.round((wanted - 1f) / ratio)) * ratio + 1;
    }

    @Override
    public Tensor sample(VideoRequest r, Noise noise, Listener listener) {
        check(r);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(r.steps()).from(r.skipped()))) {
            Tensor text = text(r);
            @Nullable Tensor image = r.image() == null ? null : condition(r, r.image(), noise); // [1, F, C, h, w]
            Tensor latents = r.video() == null
                    ? noise.draw(shape(r)).mul(run.initialScale())
                    : noised(r.video(), run, noise).mul(run.initialScale());
            @Nullable Tensor offset = transformer.config().offset() == 0 ? null : Tensor.full(OFFSET, 1);
            for (int step = 1, steps = r.steps() - r.skipped(); !run.done(); step++) {
                try (Scope one = Scope.open()) {
                    Tensor input = run.input(latents);
                    input = image == null ? input : Tensor.cat(2, input, image);
                    Tensor prediction = predict(r, input, run.timestep(), text, offset);
                    latents = one.keep(run.step(prediction, latents, noise));
                    listener.tell(step, steps, prediction, latents);
                }
            }
            int added = added(r);
            return s.keep(decode(latents.narrow(1, added, latents.size(1) - added)));
        }
    }

    @Override
    public void check(VideoRequest r) {
        boolean takesImage = transformer.config().takesImage();
        int side = autoencoder.config().spatialRatio() * transformer.config().patch();
        Check.divides(side, r.height(), "a patch's side", "height");
        Check.divides(side, r.width(), "a patch's side", "width");
        if (r.image() != null && !takesImage) {
            throw new UserError("this model makes videos from text and from videos; for a first frame take one that "
                    + "takes pictures, such as THUDM/CogVideoX-5b-I2V");
        }
        if (r.image() == null && takesImage) {
            throw new UserError("this model makes videos from a first frame and text; name a picture (--image)");
        }
        if (r.video() != null && added(r) != 0) {
            throw new UserError("a video of " + r.frames() + " frames does not fill the patches of this model; "
                    + "the number of latent frames, (frames - 1) / "
                    + autoencoder.config().temporalRatio()
                    + " + 1, must be a multiple of " + transformer.config().framesOfPatch());
        }
        if (r.skipped() >= r.steps()) {
            throw new UserError("strength " + r.strength() + " leaves none of the " + r.steps()
                    + " steps; raise the one or the other");
        }
    }

    /** Guidance's negative prompt first, {@code [1 or 2, L, D]}. No mask: the network was trained without. */
    private Tensor text(VideoRequest r) {
        try (T5Prompts prompts = T5Prompts.load(folder)) {
            return prompts.encode(
                            r.guided() ? List.of(r.negative(), r.prompt()) : List.of(r.prompt()), r.textLength(), false)
                    .states();
        }
    }

    /** Frames of latents that fill the first patch up and are cut off again. */
    private int added(VideoRequest r) {
        int q = transformer.config().framesOfPatch();
        return (q - autoencoder.config().latentFrames(r.frames()) % q) % q;
    }

    private long[] shape(VideoRequest r) {
        int ratio = autoencoder.config().spatialRatio();
        return new long[] {
            1,
            autoencoder.config().latentFrames(r.frames()) + added(r),
            transformer.config().outChannels(),
            r.height() / ratio,
            r.width() / ratio
        };
    }

    /** The first frame's latents, and zeros for the frames after it. */
    private Tensor condition(VideoRequest r, Image image, Noise noise) {
        double scale = autoencoder.config().scale();
        try (Scope s = Scope.open()) {
            Tensor first = sample(Frames.of(List.of(image), r.width(), r.height()), noise)
                    .mul(autoencoder.config().invertScale() ? 1 / scale : scale);
            return s.keep(Functional.pad(first, 0., 0, 0, 0, 0, 0, 0, 0, shape(r)[1] - 1));
        }
    }

    private Tensor noised(Tensor video, Run run, Noise noise) {
        try (Scope s = Scope.open()) {
            Tensor clean = sample(video, noise).mul(autoencoder.config().scale());
            return s.keep(run.addNoise(clean, noise.draw(clean.shape()), run.timestep()));
        }
    }

    /** Latents of a video {@code [3, T, H, W]}, not scaled: {@code [1, F, C, h, w]}. */
    private Tensor sample(Tensor video, Noise noise) {
        Tensor x = video.unsqueeze(0);
        Tiling tiling = Tiling.of(autoencoder.config());
        CogVideoXAutoencoder.Moments m =
                x.size(3) * x.size(4) > MOST_PIXELS ? autoencoder.encode(x, tiling) : autoencoder.encode(x);
        return m.sample(noise.draw(m.mean().shape())).transpose(1, 2);
    }

    private Tensor predict(VideoRequest r, Tensor input, double t, Tensor text, @Nullable Tensor offset) {
        if (!r.guided()) {
            return transformer.forward(input, Tensor.full(t, 1), text, offset);
        }
        List<Tensor> both = transformer
                .forward(Tensor.cat(0, input, input), Tensor.full(t, 2), text, offset)
                .chunk(2, 0);
        return both.get(0).add(both.get(1).sub(both.get(0)).mul(guidance(r, t)));
    }

    /** As the reference computes it: the time counts to a thousand, the steps do not. */
    private static double guidance(VideoRequest r, double t) {
        if (!r.dynamicGuidance()) {
            return r.guidanceScale();
        }
        double steps = r.steps() - r.skipped();
        return 1 + r.guidanceScale() * (1 - Math.cos(Math.PI * Math.pow((steps - t) / steps, 5))) / 2;
    }

    private Tensor decode(Tensor latents) { // [1, F, C, h, w] -> [1, 3, T, H, W]
        long ratio = autoencoder.config().spatialRatio();
        Tensor z = latents.transpose(1, 2).mul(1 / autoencoder.config().scale());
        boolean large = z.size(3) * z.size(4) * ratio * ratio > MOST_PIXELS;
        return large ? autoencoder.decode(z, Tiling.of(autoencoder.config())) : autoencoder.decode(z);
    }

    @Override
    public void close() {
        transformer.close();
        autoencoder.close();
    }
}
