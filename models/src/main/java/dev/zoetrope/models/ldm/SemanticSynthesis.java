package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;

/**
 * Pictures from maps of classes, arXiv:2112.10752, section 4.3.2: the map, shrunk to the latents' size and mixed to few
 * channels, lies beside the latents at every step. The network is convolutional, so a map larger than those trained on
 * gives a larger picture.
 */
public final class SemanticSynthesis implements AutoCloseable {
    /** @param scale of the map on its way to the latents' size */
    private record Config(int classes, double scale, int channels) {
        static Config of(Json j) {
            Check.positive(j.requireInt("classes"), "classes");
            return new Config(j.requireInt("classes"), j.get("scale", 0.5), j.get("out_channels", 3));
        }
    }

    private record Mapper(Config config, Conv2d mix, Weights weights) {
        Mapper(Config c, Weights w) {
            this(c, new Conv2d(w.at("channel_mapper"), c.classes, c.channels, 1, 1, 0), w);
        }
    }

    private final Scheduler scheduler;
    private final PixelUnet unet;
    private final VqModel vae;
    private final Mapper mapper;

    private SemanticSynthesis(Scheduler scheduler, PixelUnet unet, VqModel vae, Mapper mapper) {
        this.scheduler = scheduler;
        this.unet = unet;
        this.vae = vae;
        this.mapper = mapper;
    }

    /** From a folder with the parts {@code scheduler, unet, vqvae, condition}. */
    public static SemanticSynthesis load(Path folder) {
        PipelineFolder f = PipelineFolder.ofParts(folder);
        Path condition = f.part("condition");
        LatentDiffusion both = LatentDiffusion.load(f);
        try {
            Mapper mapper = Pretrained.load(condition, (json, w) -> new Mapper(Config.of(json), w));
            return new SemanticSynthesis(both.scheduler(), both.unet(), both.vae(), mapper);
        } catch (RuntimeException e) {
            both.close();
            throw e;
        }
    }

    public int classes() {
        return mapper.config.classes;
    }

    /** What lies beside the latents: {@code [B, H, W]} INT64 -> {@code [B, channels, h, w]}. */
    public Tensor condition(Tensor map) {
        Config c = mapper.config;
        Check.shape(map.shape(), "segmentation", -1, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor ids = map.to(DType.INT64);
            if (ids.lt(0L).any() || ids.ge((long) c.classes).any()) {
                throw new UserError("the map names classes outside 0.." + (c.classes - 1));
            }
            Tensor places = Tensor.arange(c.classes).reshape(1, -1, 1, 1);
            Tensor oneHot = ids.unsqueeze(1).eq(places).to(DType.FLOAT32); // [B, classes, H, W]
            Tensor small = Functional.interpolate(
                    oneHot,
                    (long) Math.floor(map.size(1) * c.scale),
                    (long) Math.floor(map.size(2) * c.scale),
                    Functional.Interpolation.BILINEAR,
                    false,
                    false);
            return s.keep(mapper.mix.forward(small));
        }
    }

    /** Pictures of the map's size, {@code [B, 3, H, W]} in 0..1. */
    public Tensor generate(Tensor map, int steps, Draws draws, Denoising.Observer observer) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(steps))) {
            Tensor beside = condition(map);
            Tensor noise = draws.draw(map.size(0), unet.config().outChannels(), beside.size(2), beside.size(3));
            Tensor latents = Denoising.run(
                    run,
                    noise.mul(run.initialScale()),
                    (x, t) -> unet.forward(Tensor.cat(1, x, beside), Tensor.full(t, map.size(0)), null),
                    draws,
                    observer);
            return s.keep(Pixels.unit(vae.decode(latents.div(vae.config().scalingFactor()))));
        }
    }

    @Override
    public void close() {
        unet.close();
        vae.close();
        mapper.weights.close();
    }
}
