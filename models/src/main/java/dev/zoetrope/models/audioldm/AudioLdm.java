package dev.zoetrope.models.audioldm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clap.ClapText;
import dev.zoetrope.models.hifigan.HifiGan;
import dev.zoetrope.models.ldm.Guidance;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
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
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Sound from a text, arXiv:2301.12503: diffusion on latents of a picture of bands, steered by one CLAP vector, and a
 * vocoder. cvssp/audioldm-l-full and its kin.
 *
 * <p>Axes: B sounds, C latent channels, N samples. Not for use by several threads at once.
 */
public final class AudioLdm implements AutoCloseable {
    private final Scheduler scheduler;
    private final Tokenizer tokenizer;
    private final ClapText text;
    private final ConditionalUnet unet;
    private final AutoencoderKl vae;
    private final HifiGan vocoder;
    private final List<AutoCloseable> parts;

    private AudioLdm(PipelineFolder f, List<AutoCloseable> parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        tokenizer = open(Tokenizer.open(f.part("tokenizer")));
        text = open(ClapText.load(f.part("text_encoder")));
        unet = open(ConditionalUnet.load(f.part("unet")));
        vae = open(AutoencoderKl.load(f.part("vae")));
        vocoder = open(HifiGan.load(f.part("vocoder")));
    }

    private <T extends AutoCloseable> T open(T part) {
        parts.add(part);
        return part;
    }

    public static AudioLdm load(Path folder) {
        PipelineFolder f = PipelineFolder.open(folder);
        List.of("tokenizer", "text_encoder", "unet", "vae", "vocoder", "scheduler")
                .forEach(f::part);
        List<AutoCloseable> parts = new ArrayList<>();
        try {
            return new AudioLdm(f, parts);
        } catch (RuntimeException e) {
            close(parts);
            throw e;
        }
    }

    /**
     * What is wanted.
     *
     * @param negative what to keep away from; empty for nothing
     * @param seconds of sound
     * @param guidance how much the text counts; up to 1 there is no guidance
     */
    public record Request(String prompt, String negative, double seconds, int steps, double guidance) {
        public Request {
            Check.positive(seconds, "seconds");
            Check.positive(steps, "steps");
        }

        /** Five seconds, 40 steps, guidance 2.5. */
        public static Request of(String prompt) {
            return new Request(prompt, "", 5, 40, 2.5);
        }
    }

    /**
     * One sound.
     *
     * @param mel logarithms of its bands, {@code [1, 1, frame, band]}
     * @param samples {@code [1, N]}
     */
    public record Sound(Tensor mel, Tensor samples, int rate) {
        public Audio audio() {
            try (Scope s = Scope.open()) {
                return Audio.mono(samples.select(0, 0).contiguous().toFloats(), rate);
            }
        }
    }

    public Sound generate(Request r, Draws draws, Denoising.Observer observer) {
        try (Scope s = Scope.open()) {
            Guidance guidance = new Guidance(r.guidance, 0);
            List<String> texts = guidance.isOn() ? List.of(r.negative, r.prompt) : List.of(r.prompt);
            Sound sound = generate(encode(texts), guidance, r.seconds, r.steps, draws, observer);
            return new Sound(s.keep(sound.mel), s.keep(sound.samples), sound.rate);
        }
    }

    /** What steers the network: {@code [B, E]}, of length 1. */
    public Tensor encode(List<String> texts) {
        int width = tokenizer.maxLength();
        List<long[]> rows = texts.stream().map(t -> tokenizer.encode(t, width)).toList();
        Tokenizer.Batch batch = tokenizer.pad(rows, width, tokenizer.paddingSide());
        try (Scope s = Scope.open()) {
            return s.keep(ClapText.unit(text.embed(tensor(batch.ids()), tensor(batch.mask()))));
        }
    }

    private static Tensor tensor(long[][] rows) {
        return Tensor.of(Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, rows[0].length);
    }

    /** @param condition of {@link #encode}, that of the negative text first where there is guidance */
    public Sound generate(
            Tensor condition, Guidance guidance, double seconds, int steps, Draws draws, Denoising.Observer observer) {
        HifiGan.Config v = vocoder.config();
        int factor = vae.config().factor();
        int frames = (int) (seconds / ((double) v.hop() / v.samplingRate()));
        int latentFrames = Math.max(1, (frames + factor - 1) / factor);
        int samples = (int) (seconds * v.samplingRate());
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(steps))) {
            Tensor noise = draws.draw(1, vae.config().latentChannels(), latentFrames, v.bands() / factor);
            Condition labels = Condition.ofLabels(condition);
            Denoising.Network network = (x, timestep) -> {
                Tensor input = guidance.isOn() ? Tensor.cat(0, x, x) : x;
                Tensor answer = unet.forward(input, Tensor.full(timestep, input.size(0)), labels);
                return guidance.isOn() ? guidance.of(answer) : answer;
            };
            Tensor latents = Denoising.run(run, noise.mul(run.initialScale()), network, draws, observer);
            Tensor mel = vae.decode(vae.unscaled(latents)); // [1, 1, frame, band]
            Tensor wave = vocoder.forward(mel.squeeze(1));
            return new Sound(s.keep(mel), s.keep(wave.narrow(1, 0, Math.min(samples, wave.size(1)))), v.samplingRate());
        }
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
