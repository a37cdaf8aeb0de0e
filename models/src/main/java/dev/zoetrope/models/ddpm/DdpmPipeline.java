package dev.zoetrope.models.ddpm;

import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.unet.PixelUnet;
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
import org.jspecify.annotations.Nullable;

/** Pictures from noise in pixels, arXiv:2006.11239: google/ddpm-cifar10-32 and its kin, with DDPM's steps or DDIM's. */
public final class DdpmPipeline implements AutoCloseable {
    private final Scheduler scheduler;
    private final PixelUnet unet;

    public DdpmPipeline(Scheduler scheduler, PixelUnet unet) {
        this.scheduler = scheduler;
        this.unet = unet;
    }

    /** From a folder with model_index.json. */
    public static DdpmPipeline load(Path folder) {
        PipelineFolder f = PipelineFolder.open(folder);
        Scheduler scheduler = f.scheduler();
        PixelUnet unet = PixelUnet.load(f.part("unet"));
        PipelineFolder.requireFinite(folder.resolve("unet").toString(), unet.weights());
        return new DdpmPipeline(scheduler, unet);
    }

    /** The same pipeline with another scheduler; they share the network, and closing one closes both. */
    public DdpmPipeline with(Scheduler other) {
        return new DdpmPipeline(other, unet);
    }

    public PixelUnet unet() {
        return unet;
    }

    public Scheduler scheduler() {
        return scheduler;
    }

    /**
     * @param labels {@code [B]} INT64 for networks with classes; null exactly for those without
     * @param height of the pictures; 0 for the size trained on
     * @param eta how much fresh noise DDIM adds
     * @return {@code [B, 3, H, W]} in 0..1
     */
    public Tensor generate(
            int count,
            @Nullable Tensor labels,
            int height,
            int width,
            int steps,
            double eta,
            Draws draws,
            Denoising.Observer observer) {
        PixelUnet.Config c = unet.config();
        int rows = height == 0 ? c.height() : height;
        int columns = width == 0 ? c.width() : width;
        if (rows <= 0 || columns <= 0) {
            throw new UserError("unet/config.json: sample_size is not given, so the size of the picture must be");
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(steps).with(StepOptions.DEFAULT.withEta(eta)))) {
            Tensor noise = draws.draw(count, c.inChannels(), rows, columns);
            Tensor pixels = Denoising.run(
                    run,
                    noise.mul(run.initialScale()),
                    (x, t) -> unet.forward(x, Tensor.full(t, count), labels),
                    draws,
                    observer);
            return s.keep(Pixels.unit(pixels));
        }
    }

    @Override
    public void close() {
        unet.close();
    }
}
