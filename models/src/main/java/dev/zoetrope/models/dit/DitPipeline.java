package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.schedulers.Ddpm;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
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
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Classes become pictures, arXiv:2212.09748: facebook/DiT-XL-2-256 and -512, and what the recipe {@code dit} leaves: a
 * folder with {@code autoencoder}, or with neither that nor {@code vae} where the transformer works on pixels.
 *
 * <p>Not for use by several threads at once.
 */
public final class DitPipeline implements AutoCloseable {
    private final Scheduler scheduler;
    private final Dit transformer;
    private final PictureCode code;
    private final Json names;
    private final Parts parts;

    private DitPipeline(PipelineFolder f, Parts parts) {
        this.parts = parts;
        scheduler = f.scheduler();
        transformer = parts.add(Dit.load(f.part("transformer")));
        code = parts.add(code(f));
        names = f.index().at("id2label");
    }

    public static DitPipeline load(Path folder) {
        PipelineFolder f = PipelineFolder.open(folder);
        List.of("transformer", "scheduler").forEach(f::part);
        Parts parts = new Parts();
        try {
            DitPipeline pipeline = new DitPipeline(f, parts);
            pipeline.weights()
                    .forEach((part, w) ->
                            PipelineFolder.requireFinite(folder.resolve(part).toString(), w));
            return pipeline;
        } catch (RuntimeException e) {
            parts.close();
            throw e;
        }
    }

    private static PictureCode code(PipelineFolder f) {
        if (f.names("autoencoder")) {
            return PictureCode.video(f.part("autoencoder"));
        }
        return f.names("vae") ? PictureCode.kl(f.part("vae")) : PictureCode.pixels();
    }

    /** A class by its number, or by one of the names that the checkpoint has for it, as "tench" or "Tinca tinca". */
    public int label(String nameOrNumber) {
        String wanted = nameOrNumber.strip().toLowerCase(Locale.ROOT);
        if (wanted.matches("\\d{1,9}")) {
            int label = Integer.parseInt(wanted);
            Check.between(0, transformer.config().classes() - 1.0, label, "class");
            return label;
        }
        List<String> near = new ArrayList<>();
        for (String id : names.keys()) {
            String all = names.get(id, "").toLowerCase(Locale.ROOT);
            if (Arrays.asList(all.split("\\s*,\\s*")).contains(wanted)) {
                return Integer.parseInt(id);
            }
            if (all.contains(wanted)) {
                near.add(names.get(id, ""));
            }
        }
        throw new UserError("class '" + nameOrNumber + "' is none of the "
                + transformer.config().classes()
                + " of this model; give a number from 0 to "
                + (transformer.config().classes() - 1)
                + (near.isEmpty() ? "" : ", or one of these names: " + near));
    }

    /**
     * Pictures of the size trained on, one for each class given.
     *
     * @param guidance how much the class counts; up to 1 there is no guidance
     * @return {@code [B, 3, H, W]} in 0..1, owned by the innermost scope
     */
    public Tensor generate(List<Integer> labels, int steps, double guidance, Draws draws, Denoising.Observer observer) {
        Dit.Config c = transformer.config();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor start = draws.draw(labels.size(), c.inChannels(), c.side(), c.side());
            Tensor latents = denoise(transformer, scheduler, start, labels, steps, guidance, draws, observer);
            return s.keep(Pixels.unit(code.decode(latents)));
        }
    }

    /**
     * From noise to latents. A scheduler of a learned variance gets the network's, others its noise alone.
     *
     * @param noise standard normal, {@code [B, C, H, W]}
     * @param observer under guidance sees both halves, those with their class first
     * @return {@code [B, C, H, W]}
     */
    public static Tensor denoise(
            Dit dit,
            Scheduler scheduler,
            Tensor noise,
            List<Integer> labels,
            int steps,
            double guidance,
            Noise draws,
            Denoising.Observer observer) {
        Dit.Config c = dit.config();
        boolean guided = guidance > 1;
        List<Integer> all = new ArrayList<>(labels);
        labels.forEach(label -> Check.between(0, c.classes(), label, "class"));
        if (guided) {
            all.addAll(Collections.nCopies(labels.size(), c.classes()));
        }
        boolean variance = scheduler instanceof Ddpm ddpm && ddpm.variance().learned();
        try (Scope s = Scope.open();
                Run run = scheduler.start(Plan.of(steps))) {
            Tensor rows = Tensor.of(all.stream().mapToLong(Integer::longValue).toArray(), all.size());
            Denoising.Network network = (x, timestep) -> {
                Tensor answer = dit.forward(x, Tensor.full(timestep, all.size()), rows);
                Tensor r = guided ? guided(answer, c.inChannels(), guidance) : answer;
                return variance || !c.learnsSigma() ? r : r.narrow(1, 0, c.inChannels());
            };
            Tensor scaled = noise.mul(run.initialScale());
            Tensor start = guided ? Tensor.cat(0, scaled, scaled) : scaled;
            Noise noises = guided ? shape -> doubledNoise(draws, shape) : draws;
            // Only the half with classes goes on, whatever variance the other has.
            Denoising.Anchor first = guided ? (r, x) -> doubled(x) : Denoising.Anchor.NONE;
            Tensor x = Denoising.run(run, start, network, noises, first, observer);
            return s.keep(guided ? x.chunk(2, 0).get(0) : x);
        }
    }

    /** One row a picture, as draws may have one generator for each. */
    private static Tensor doubledNoise(Noise draws, long... shape) {
        long[] half = shape.clone();
        half[0] /= 2;
        try (Scope s = Scope.open()) {
            Tensor one = draws.draw(half);
            return s.keep(Tensor.cat(0, one, one));
        }
    }

    private static Tensor doubled(Tensor x) {
        Tensor half = x.chunk(2, 0).get(0);
        return Tensor.cat(0, half, half);
    }

    /** All channels of the noise are guided; what belongs to the variance stays that of each half. */
    private static Tensor guided(Tensor answer, int channels, double scale) {
        List<Tensor> noise = answer.narrow(1, 0, channels).chunk(2, 0);
        Tensor to = noise.get(1).add(noise.get(0).sub(noise.get(1)).mul(scale));
        Tensor rest = answer.narrow(1, channels, answer.size(1) - channels);
        return Tensor.cat(1, Tensor.cat(0, to, to), rest);
    }

    /** Weights by the names that the folder gives to its parts. */
    public Map<String, Weights> weights() {
        Map<String, Weights> r = new LinkedHashMap<>(code.parts());
        r.put("transformer", transformer.weights());
        return r;
    }

    public Dit transformer() {
        return transformer;
    }

    @Override
    public void close() {
        parts.close();
    }
}
