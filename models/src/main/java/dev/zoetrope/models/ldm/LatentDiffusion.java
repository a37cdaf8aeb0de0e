package dev.zoetrope.models.ldm;

import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.schedulers.StepOptions;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;

/**
 * Latent diffusion without text, arXiv:2112.10752: CompVis/ldm-celebahq-256, which draws from noise alone, and
 * CompVis/ldm-super-resolution-4x-openimages, which enlarges a picture that lies beside the latents.
 */
public final class LatentDiffusion implements AutoCloseable {
    private final Scheduler scheduler;
    private final PixelUnet unet;
    private final VqModel vae;

    public LatentDiffusion(Scheduler scheduler, PixelUnet unet, VqModel vae) {
        this.scheduler = scheduler;
        this.unet = unet;
        this.vae = vae;
    }

    /** From a folder with model_index.json. */
    public static LatentDiffusion load(Path folder) {
        return load(PipelineFolder.open(folder));
    }

    static LatentDiffusion load(PipelineFolder f) {
        Scheduler scheduler = f.scheduler();
        Path autoencoder = f.part("vqvae");
        PixelUnet unet = PixelUnet.load(f.part("unet"));
        try {
            VqModel vae = VqModel.load(autoencoder);
            LatentDiffusion r = new LatentDiffusion(scheduler, unet, vae);
            PipelineFolder.requireFinite(f.folder().resolve("unet").toString(), unet.weights());
            PipelineFolder.requireFinite(autoencoder.toString(), vae.weights());
            return r;
        } catch (RuntimeException e) {
            unet.close();
            throw e;
        }
    }

    /** The same pipeline with another scheduler; they share their parts, and closing one closes both. */
    public LatentDiffusion with(Scheduler other) {
        return new LatentDiffusion(other, unet, vae);
    }

    public PixelUnet unet() {
        return unet;
    }

    public VqModel vae() {
        return vae;
    }

    public Scheduler scheduler() {
        return scheduler;
    }

    /** Whether it enlarges a picture; else it draws from noise alone. */
    public boolean enlarges() {
        return unet.config().inChannels() > unet.config().outChannels();
    }

    /** What height and width of a picture that is enlarged must be multiples of. */
    public int unit() {
        return 1 << (unet.config().channels().size() - 1);
    }

    /** How many times larger a picture becomes. */
    public int factor() {
        return vae.config().factor();
    }

    /**
     * Pictures from noise alone, of the size trained on: {@code [B, 3, H, W]} in 0..1.
     *
     * @param eta how much fresh noise DDIM adds
     */
    public Tensor generate(int count, int steps, double eta, Draws draws, Denoising.Observer observer) {
        if (enlarges()) {
            throw new UserError("this pipeline enlarges pictures: give it one");
        }
        PixelUnet.Config c = unet.config();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = start(steps, eta)) {
            Tensor noise = draws.draw(count, c.inChannels(), c.height(), c.width());
            Tensor latents = Denoising.run(
                    run,
                    noise.mul(run.initialScale()),
                    (x, t) -> unet.forward(x, Tensor.full(t, count), null),
                    draws,
                    observer);
            return s.keep(Pixels.unit(vae.decode(latents.div(vae.config().scalingFactor()))));
        }
    }

    /**
     * @param picture {@code [1, 3, h, w]} in -1..1
     * @return {@code [1, 3, H, W]} in 0..1, H = h times {@link #factor}
     */
    public Tensor enlarge(Tensor picture, int steps, double eta, Draws draws, Denoising.Observer observer) {
        if (!enlarges()) {
            throw new UserError("this pipeline draws from noise alone; open one that enlarges, such as "
                    + "CompVis/ldm-super-resolution-4x-openimages");
        }
        long[] shape = picture.shape();
        shape[1] = unet.config().inChannels() - picture.size(1);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = start(steps, eta)) {
            Tensor latents = Denoising.run(
                    run,
                    draws.draw(shape).mul(run.initialScale()),
                    (x, t) -> unet.forward(Tensor.cat(1, x, picture), Tensor.full(t, picture.size(0)), null),
                    draws,
                    observer);
            return s.keep(Pixels.unit(vae.decode(latents))); // this kind was trained on unscaled latents
        }
    }

    private Run start(int steps, double eta) {
        return scheduler.start(Plan.of(steps).with(StepOptions.DEFAULT.withEta(eta)));
    }

    @Override
    public void close() {
        unet.close();
        vae.close();
    }
}
