package dev.zoetrope.models.zeroscope;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.models.ldm.Guidance;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.unet.VideoUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Videos from a text by ModelScope's network, arXiv:2308.06571: cerspense/zeroscope_v2_576w, ali-vilab/text-to-video-ms-1.7b.
 *
 * <p>Axes: F frames, H x W pixels. Not for use by several threads at once.
 */
public final class Zeroscope implements AutoCloseable {
    private final Scheduler scheduler;
    private final Prompts prompts;
    private final VideoUnet unet;
    private final AutoencoderKl vae;
    private final List<AutoCloseable> parts;

    private Zeroscope(PipelineFolder f, List<AutoCloseable> parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        prompts = open(Prompts.load(f, false));
        unet = open(VideoUnet.load(f.part("unet")));
        vae = open(AutoencoderKl.load(f.part("vae")));
    }

    private <T extends AutoCloseable> T open(T part) {
        parts.add(part);
        return part;
    }

    public static Zeroscope load(Path folder) {
        PipelineFolder f = PipelineFolder.open(folder);
        List.of("tokenizer", "text_encoder", "unet", "vae", "scheduler").forEach(f::part);
        List<AutoCloseable> parts = new ArrayList<>();
        try {
            return new Zeroscope(f, parts);
        } catch (RuntimeException e) {
            close(parts);
            throw e;
        }
    }

    /**
     * What is wanted.
     *
     * @param negative what to keep away from; empty for nothing
     * @param guidance how much the text counts; up to 1 there is no guidance
     */
    public record Request(
            String prompt, String negative, int frames, int height, int width, int steps, double guidance) {
        public Request {
            Check.positive(frames, "frames");
            Check.positive(steps, "steps");
        }

        /** 16 frames of 576 x 320, 40 steps, guidance 9. */
        public static Request of(String prompt) {
            return new Request(prompt, "", 16, 320, 576, 40, 9);
        }
    }

    /**
     * @param observer sees frames as a batch
     * @return {@code [1, 3, F, H, W]} in 0..1, owned by the innermost scope
     */
    public Tensor generate(Request r, Draws draws, Denoising.Observer observer) {
        try (Scope s = Scope.open()) {
            Guidance guidance = new Guidance(r.guidance, 0);
            List<String> texts = guidance.isOn() ? List.of(r.negative, r.prompt) : List.of(r.prompt);
            return s.keep(generate(encode(texts), r, draws, observer));
        }
    }

    /** What steers the network, {@code [B, T, D]}. */
    public Tensor encode(List<String> texts) {
        return prompts.encode(texts, 0).tokens();
    }

    /** @param text {@code [1, T, D]}, or that of the negative text and it, where there is guidance; instead of the request's */
    public Tensor generate(Tensor text, Request r, Draws draws, Denoising.Observer observer) {
        int factor = vae.config().factor();
        Check.divides(factor, r.height, "the autoencoder's factor", "height");
        Check.divides(factor, r.width, "the autoencoder's factor", "width");
        Guidance guidance = new Guidance(r.guidance, 0);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(r.steps))) {
            Tensor noise = draws.draw(
                    1, vae.config().latentChannels(), r.frames, r.height / factor, r.width / factor); // [1, C, F, h, w]
            Denoising.Network network = (x, timestep) -> {
                Tensor video = x.transpose(0, 1).unsqueeze(0); // [1, C, F, h, w]
                Tensor input = guidance.isOn() ? Tensor.cat(0, video, video) : video;
                Tensor answer = unet.forward(input, Tensor.full(timestep, input.size(0)), text);
                Tensor guided = guidance.isOn() ? guidance.of(answer) : answer;
                return guided.select(0, 0).transpose(0, 1).contiguous();
            };
            Tensor start = noise.select(0, 0).transpose(0, 1).contiguous().mul(run.initialScale()); // [F, C, h, w]
            Tensor latents = Denoising.run(run, start, network, draws, observer);
            List<Tensor> frames = new ArrayList<>();
            for (Tensor frame : latents.split(0, ones(r.frames))) {
                try (Scope one = Scope.open()) {
                    frames.add(one.keep(Pixels.unit(vae.decode(vae.unscaled(frame))))); // [1, 3, H, W]
                }
            }
            return s.keep(Tensor.stack(2, frames));
        }
    }

    private static long[] ones(int n) {
        long[] r = new long[n];
        java.util.Arrays.fill(r, 1);
        return r;
    }

    private static void close(List<AutoCloseable> parts) {
        Collections.reverse(parts);
        for (AutoCloseable part : parts) {
            try {
                part.close();
            } catch (Exception e) {
                throw new IllegalStateException(e); // none of them throws one
            }
        }
    }

    @Override
    public void close() {
        close(parts);
    }
}
