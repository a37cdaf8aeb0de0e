package dev.zoetrope.models.wan;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.models.clip.ClipVision;
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
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Wan from the folder that is published (Wan-AI/Wan2.1-T2V-1.3B-Diffusers, Wan2.1-I2V-14B-480P-Diffusers,
 * Wan2.2-TI2V-5B-Diffusers, Wan2.2-T2V-A14B-Diffusers): text to video, image to video and video to video.
 *
 * <p>The text encoder is in memory only while it encodes.
 */
public final class Wan implements VideoPipeline {
    private static final double TRAINED_TIMES = 1000;

    /** Larger frames go through the autoencoder in tiles: the whole would take many gigabytes. */
    private static final long MOST_PIXELS = 512 * 512;

    private final Path folder;
    private final WanTransformer transformer;
    private final @Nullable WanTransformer lowNoise;
    private final WanAutoencoder autoencoder;
    private final Scheduler scheduler;
    private final double boundary;
    private final boolean timePerPatch;

    private Wan(
            Path folder,
            WanTransformer transformer,
            @Nullable WanTransformer lowNoise,
            WanAutoencoder autoencoder,
            Scheduler scheduler,
            double boundary,
            boolean timePerPatch) {
        this.folder = folder;
        this.transformer = transformer;
        this.lowNoise = lowNoise;
        this.autoencoder = autoencoder;
        this.scheduler = scheduler;
        this.boundary = boundary;
        this.timePerPatch = timePerPatch;
    }

    public static Wan load(Path folder) {
        Json index = Json.read(folder.resolve("model_index.json"));
        double boundary = index.get("boundary_ratio", 0.0);
        Scheduler scheduler = Scheduler.of(Json.read(folder.resolve("scheduler/scheduler_config.json")));
        WanAutoencoder autoencoder = WanAutoencoder.load(folder.resolve("vae"));
        try {
            WanTransformer transformer = WanTransformer.load(folder.resolve("transformer"));
            try {
                return new Wan(
                        folder,
                        transformer,
                        boundary == 0 ? null : WanTransformer.load(folder.resolve("transformer_2")),
                        autoencoder,
                        scheduler,
                        boundary,
                        index.get("expand_timesteps", false));
            } catch (RuntimeException e) {
                transformer.close();
                throw e;
            }
        } catch (RuntimeException e) {
            autoencoder.close();
            throw e;
        }
    }

    @Override
    public Defaults defaults() {
        boolean large = autoencoder.config().spatialRatio() > 8; // Wan 2.2 of 5 billion parameters makes 720p
        return large
                ? new Defaults(121, 704, 1280, 24, 50, 5, WanTransformer.TEXT_LENGTH)
                : new Defaults(81, 480, 832, 16, 50, 5, WanTransformer.TEXT_LENGTH);
    }

    @Override
    public int nearestFrames(int wanted) {
        int ratio = autoencoder.config().temporalRatio();
        return Math.max(0, Math.round((wanted - 1f) / ratio)) * ratio + 1;
    }

    /** Whether a picture's latents and a mask go in beside the noisy latents. */
    private boolean joinsImage() {
        var a = autoencoder.config();
        return transformer.config().inChannels() == 2 * a.latentChannels() + a.temporalRatio();
    }

    @Override
    public Tensor sample(VideoRequest r, Noise noise, Listener listener) {
        check(r);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(r.steps()).from(r.skipped()))) {
            List<Tensor> texts = texts(r);
            @Nullable Tensor seen = r.image() == null || transformer.config().imageSize() == 0 ? null : seen(r.image());
            Tensor latents = r.video() == null ? noise.draw(shape(r)) : noised(r.video(), run, noise);
            @Nullable Tensor image = r.image() == null ? null : condition(r, r.image());
            for (int step = 1, steps = r.steps() - r.skipped(); !run.done(); step++) {
                try (Scope one = Scope.open()) {
                    Tensor input = joined(run.input(latents), image);
                    Tensor prediction = predict(r, input, run.timestep(), texts, seen);
                    latents = one.keep(run.step(prediction, latents, noise));
                    listener.tell(step, steps, prediction, latents);
                }
            }
            Tensor made = timePerPatch && image != null ? firstFrame(latents, image) : latents;
            return s.keep(decode(made));
        }
    }

    @Override
    public void check(VideoRequest r) {
        var a = autoencoder.config();
        if (nearestFrames(r.frames()) != r.frames()) {
            throw new UserError("this model makes one frame and a multiple of " + a.temporalRatio() + ", not "
                    + r.frames() + "; the nearest is " + nearestFrames(r.frames()));
        }
        Check.divides(a.spatialRatio() * transformer.config().patch().get(1), r.height(), "a patch's side", "height");
        Check.divides(a.spatialRatio() * transformer.config().patch().get(2), r.width(), "a patch's side", "width");
        if (r.image() != null && !timePerPatch && !joinsImage()) {
            throw new UserError("this model makes videos from text and from videos; for a first frame take one that "
                    + "takes pictures, such as Wan-AI/Wan2.1-I2V-14B-480P-Diffusers");
        }
        if (r.image() == null && joinsImage()) {
            throw new UserError("this model makes videos from a first frame and text; name a picture (--image)");
        }
        if (r.video() != null && r.image() != null) {
            throw new UserError("a video to start from and a first frame do not go together");
        }
        if (r.skipped() >= r.steps()) {
            throw new UserError("strength " + r.strength() + " leaves none of the " + r.steps()
                    + " steps; raise the one or the other");
        }
    }

    /** The prompt, then the negative one where guidance needs it: {@code [1, L, D]}, zeros behind the last token. */
    private List<Tensor> texts(VideoRequest r) {
        try (T5Prompts prompts = T5Prompts.load(folder)) {
            List<String> texts = r.guided() ? List.of(r.prompt(), r.negative()) : List.of(r.prompt());
            T5Prompts.Encoded e =
                    prompts.encode(texts.stream().map(Wan::cleaned).toList(), r.textLength(), true);
            return e.states()
                    .mul(e.mask().unsqueeze(-1).to(e.states().dtype()))
                    .split(0, texts.stream().mapToLong(t -> 1).toArray());
        }
    }

    /** As captions were cleaned in training: entities of HTML resolved, one space between words. */
    private static String cleaned(String text) {
        return Entities.resolved(Entities.resolved(text)).strip().replaceAll("\\s+", " ");
    }

    private long[] shape(VideoRequest r) {
        var a = autoencoder.config();
        return new long[] {
            1,
            a.latentChannels(),
            a.latentFrames(r.frames()),
            r.height() / a.spatialRatio(),
            r.width() / a.spatialRatio()
        };
    }

    /** What the vision encoder sees in the first frame, {@code [1, P, D]}: the state before its last block. */
    private Tensor seen(Image image) {
        ImageProcessor processor =
                ImageProcessor.of(Json.read(folder.resolve("image_processor/preprocessor_config.json")));
        ImageProcessor.Pixels p = processor.process(image);
        try (ClipVision tower = ClipVision.load(folder.resolve("image_encoder"))) {
            return tower.hiddenState(Tensor.of(p.values(), 1, 3, p.height(), p.width()), -2);
        }
    }

    /** Mask and latents of the first frame, followed by grey; or its latents alone where they stand in for the noise. */
    private Tensor condition(VideoRequest r, Image image) {
        try (Scope s = Scope.open()) {
            Tensor first = Frames.of(List.of(image), r.width(), r.height()).unsqueeze(0); // [1, 3, 1, H, W]
            if (timePerPatch) {
                return s.keep(encode(first));
            }
            Tensor grey = Tensor.zeros(1, 3, r.frames() - 1L, r.height(), r.width());
            Tensor latents = encode(Tensor.cat(2, first, grey)); // [1, K, F, h, w]
            long[] shape = latents.shape();
            shape[1] = autoencoder.config().temporalRatio();
            Tensor mask = Tensor.zeros(shape);
            mask.narrow(2, 0, 1).fillInPlace(1);
            return s.keep(Tensor.cat(1, mask, latents));
        }
    }

    private Tensor noised(Tensor video, Run run, Noise noise) {
        try (Scope s = Scope.open()) {
            Tensor clean = encode(video.unsqueeze(0));
            return s.keep(run.addNoise(clean, noise.draw(clean.shape()), run.timestep()));
        }
    }

    private Tensor encode(Tensor video) {
        boolean large = video.size(3) * video.size(4) > MOST_PIXELS;
        var m = large ? autoencoder.encodeTiled(video) : autoencoder.encode(video);
        return autoencoder.normalised(m.mean());
    }

    private Tensor joined(Tensor latents, @Nullable Tensor image) {
        if (image == null) {
            return latents;
        }
        return timePerPatch ? firstFrame(latents, image) : Tensor.cat(1, latents, image);
    }

    /** With the picture's latents in place of the first frame's. */
    private static Tensor firstFrame(Tensor latents, Tensor image) {
        return Tensor.cat(2, image, latents.narrow(2, 1, latents.size(2) - 1));
    }

    private Tensor predict(VideoRequest r, Tensor input, double t, List<Tensor> texts, @Nullable Tensor seen) {
        boolean high = lowNoise == null || t >= boundary * TRAINED_TIMES;
        WanTransformer network = high || lowNoise == null ? transformer : lowNoise;
        Tensor times = timePerPatch ? times(r, input, t) : Tensor.full(t, 1);
        Tensor with = network.forward(input, times, texts.get(0), seen);
        if (!r.guided()) {
            return with;
        }
        Tensor without = network.forward(input, times, texts.get(1), seen);
        return without.add(with.sub(without).mul(r.guidanceScale()));
    }

    /** A time for each patch: none has passed in a first frame that is given. */
    private static Tensor times(VideoRequest r, Tensor input, double t) {
        Tensor times = Tensor.full(t, input.size(2), (input.size(3) + 1) / 2, (input.size(4) + 1) / 2);
        if (r.image() != null) {
            times.narrow(0, 0, 1).fillInPlace(0);
        }
        return times.reshape(1, -1).to(DType.FLOAT32);
    }

    private Tensor decode(Tensor latents) {
        Tensor z = autoencoder.restored(latents);
        long ratio = autoencoder.config().spatialRatio();
        boolean large = z.size(3) * z.size(4) * ratio * ratio > MOST_PIXELS;
        return large ? autoencoder.decodeTiled(z) : autoencoder.decode(z);
    }

    @Override
    public void close() {
        transformer.close();
        if (lowNoise != null) {
            lowNoise.close();
        }
        autoencoder.close();
    }
}
