package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.opensora.Buckets;
import dev.zoetrope.models.opensora.MaskStrategy;
import dev.zoetrope.models.opensora.RectifiedFlow;
import dev.zoetrope.models.opensora.Stdit3;
import dev.zoetrope.models.opensora.Stdit3.Condition;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Open-Sora 1.2: the transformer, its sampling and loss with given frames, buckets. */
final class OpenSoraEntries {
    private OpenSoraEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("opensora.forward", OpenSoraEntries::forward);
        entries.put("opensora.sample", OpenSoraEntries::sample);
        entries.put("opensora.loss", OpenSoraEntries::loss);
        entries.put("opensora.bucket", OpenSoraEntries::bucket);
        entries.put("opensora.mask_strategy", OpenSoraEntries::maskStrategy);
    }

    private static Condition condition(Case c) {
        return new Condition(
                c.input("y").squeeze(1),
                c.input("mask"),
                c.input("fps"),
                c.input("height").toDoubles()[0],
                c.input("width").toDoubles()[0]);
    }

    private static void forward(Case c, Answers answers) {
        Tensor x = c.input("x");
        Tensor t = c.input("timestep");
        Condition condition = condition(c);
        try (Stdit3 model = Stdit3.load(c.model())) {
            List<Tensor> blocks = model.firstBlocks(x, t, condition);
            answers.put("t_block", model.modulation(t, condition.fps()).flatten(1));
            answers.put("position_embedding", model.positions(x, condition).unsqueeze(0));
            answers.put("patches", model.patches(x).flatten(1, 2));
            answers.put("spatial0", blocks.get(0).flatten(1, 2));
            answers.put("temporal0", blocks.get(1).flatten(1, 2));
            answers.put("output", model.forward(x, t, condition, c.optionalInput("x_mask")));
        }
    }

    private static void sample(Case c, Answers answers) {
        Json p = c.params();
        Tensor latents = c.input("latents");
        RectifiedFlow flow = new RectifiedFlow(
                p.requireInt("steps"), p.get("use_discrete_timesteps", false), p.get("use_timestep_transform", true));
        Condition condition = condition(c);
        int frames = (int) c.input("num_frames").toLongs()[0];
        double[] times = flow.times(condition.height(), condition.width(), frames);
        float[] all = new float[times.length];
        for (int i = 0; i < all.length; i++) {
            all[i] = (float) times[i];
        }
        answers.put("timesteps", Tensor.of(all, all.length, 1).expand(all.length, latents.size(0)));
        try (Stdit3 model = Stdit3.load(c.model())) {
            answers.put(
                    "samples",
                    flow.sample(
                            model,
                            latents,
                            condition,
                            frames,
                            p.get("guidance", 7.0),
                            c.optionalInput("frame_mask"),
                            draws(c.optionalInput("noise"))));
        }
    }

    private static Noise draws(@Nullable Tensor noise) {
        Iterator<Tensor> next =
                noise == null ? List.<Tensor>of().iterator() : noise.unbind(0).iterator();
        return shape -> next.next();
    }

    private static void loss(Case c, Answers answers) {
        Tensor x = c.input("x");
        Tensor noise = c.input("noise");
        Tensor t = c.input("timestep");
        Condition condition = condition(c);
        long[] frames = c.input("num_frames").toLongs();
        double[] heights = c.input("height").toDoubles();
        double[] widths = c.input("width").toDoubles();
        double[] times = t.toDoubles();
        for (int i = 0; i < times.length; i++) {
            times[i] = RectifiedFlow.transformed(times[i], heights[i], widths[i], (int) frames[i]);
        }
        answers.put("transformed", times);
        answers.put("x_t", RectifiedFlow.noised(x, noise, t));
        try (Stdit3 model = Stdit3.load(c.model())) {
            answers.put("loss", RectifiedFlow.loss(model, x, noise, t, condition, null));
            answers.put("loss_masked", RectifiedFlow.loss(model, x, noise, t, condition, c.input("x_mask")));
        }
    }

    private static void bucket(Case c, Answers answers) {
        Json p = c.params();
        Buckets buckets = Buckets.of(p.requireAt("bucket_config"), Json.read(c.file("tables")));
        List<@Nullable Object> found = new ArrayList<>();
        List<long[]> sizes = new ArrayList<>();
        for (Tensor sample : c.input("sizes").unbind(0)) {
            long[] s = sample.toLongs();
            Optional<Buckets.Bucket> b = buckets.find((int) s[0], (int) s[1], (int) s[2], () -> 0);
            found.add(b.<Object>map(v -> Arrays.asList(v.resolution(), v.frames(), v.ratio(), v.batch()))
                    .orElse(null));
            sizes.add(b.map(v ->
                            new long[] {v.frames(), v.size().height(), v.size().width()})
                    .orElse(new long[] {-1, -1, -1}));
        }
        answers.equal("buckets", Objects.requireNonNull(p.value("buckets")), found);
        answers.put("thw", sizes, 0);
    }

    private static void maskStrategy(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        List<String> strategies = c.params().get("strategies", List.of());
        for (int loop = 0; c.params().keys().contains("align_loop" + loop); loop++) {
            int align = c.params().get("align_loop" + loop, 1);
            List<Tensor> applied = new ArrayList<>();
            List<Tensor> made = new ArrayList<>();
            for (int row = 0; row < strategies.size(); row++) {
                List<Tensor> references = new ArrayList<>();
                for (int i = 0; c.optionalInput("ref_" + row + "_" + i) != null; i++) {
                    references.add(c.input("ref_" + row + "_" + i));
                }
                MaskStrategy.Applied a =
                        MaskStrategy.of(strategies.get(row)).apply(latents.select(0, row), references, loop, align);
                applied.add(a.latents());
                made.add(a.made());
            }
            answers.put("latents_loop" + loop, Tensor.stack(0, applied));
            answers.put("mask_loop" + loop, Tensor.stack(0, made));
        }
    }
}
