package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;

/**
 * Latent diffusion steered by classes, arXiv:2112.10752, section 4.3.1: the class is the one token that the U-Net attends
 * to, and the last row of the table says "no class", for guidance.
 */
public final class ClassConditional implements AutoCloseable {
    private record Classes(int count, Embedding table, Weights weights) {
        static Classes of(Json j, Weights w) {
            int count = j.requireInt("num_classes");
            Check.positive(count, "num_classes");
            return new Classes(count, new Embedding(w.at("embedding"), count + 1L, j.requireInt("embed_dim")), w);
        }
    }

    private final Scheduler scheduler;
    private final ConditionalUnet unet;
    private final AutoencoderKl vae;
    private final Classes classes;

    private ClassConditional(Scheduler scheduler, ConditionalUnet unet, AutoencoderKl vae, Classes classes) {
        this.scheduler = scheduler;
        this.unet = unet;
        this.vae = vae;
        this.classes = classes;
    }

    /** From a folder with the parts {@code scheduler, unet, vae, class_embedding}. */
    public static ClassConditional load(Path folder) {
        PipelineFolder f = PipelineFolder.ofParts(folder);
        Scheduler scheduler = f.scheduler();
        Classes classes = Pretrained.load(f.part("class_embedding"), Classes::of);
        return new ClassConditional(
                scheduler, ConditionalUnet.load(f.part("unet")), AutoencoderKl.load(f.part("vae")), classes);
    }

    public int classes() {
        return classes.count;
    }

    /** How many pixels a latent has in height and in width. */
    public int factor() {
        return vae.config().factor();
    }

    /** Height of the pictures trained on, in pixels. */
    public int height() {
        return unet.config().height() * factor();
    }

    /** Width of the pictures trained on, in pixels. */
    public int width() {
        return unet.config().width() * factor();
    }

    /**
     * @param labels {@code [B]} INT64
     * @param height in pixels, as {@code width} a multiple of the autoencoder's factor
     * @return {@code [B, 3, H, W]} in 0..1
     */
    public Tensor generate(
            Tensor labels, int height, int width, int steps, double scale, Draws draws, Denoising.Observer observer) {
        Check.shape(labels.shape(), "class_labels", -1);
        for (long label : labels.toLongs()) {
            if (label < 0 || label >= classes.count) {
                throw new UserError("class " + label + " is not between 0 and " + (classes.count - 1));
            }
        }
        Check.divides(vae.config().factor(), height, "the autoencoder's factor", "height");
        Check.divides(vae.config().factor(), width, "the autoencoder's factor", "width");
        Guidance guidance = new Guidance(scale, 0);
        long rows = labels.size(0);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(steps))) {
            Tensor none = Tensor.of(new long[] {classes.count}, 1).repeat(rows);
            Tensor ids = guidance.isOn() ? Tensor.cat(0, none, labels) : labels;
            Condition condition = Condition.ofText(classes.table.forward(ids).unsqueeze(1)); // [B, 1, F]
            int factor = vae.config().factor();
            Tensor noise = draws.draw(rows, unet.config().inChannels(), height / factor, width / factor);
            Tensor latents = Denoising.run(
                    run,
                    noise.mul(run.initialScale()),
                    (x, t) -> {
                        Tensor input = guidance.isOn() ? Tensor.cat(0, x, x) : x;
                        Tensor y = unet.forward(input, Tensor.full(t, ids.size(0)), condition);
                        return guidance.isOn() ? guidance.of(y) : y;
                    },
                    draws,
                    observer);
            return s.keep(Pixels.unit(decode(latents)));
        }
    }

    /** Latents as diffusion has them to pixels, about -1..1. */
    public Tensor decode(Tensor latents) {
        return vae.decode(vae.unscaled(latents));
    }

    @Override
    public void close() {
        unet.close();
        vae.close();
        classes.weights.close();
    }
}
