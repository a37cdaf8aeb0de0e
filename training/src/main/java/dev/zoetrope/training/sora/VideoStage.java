package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Trains the transformer, and gently the caption encoder, by flow matching: from (1 - t) noise + t clean and the caption
 * to the clean latents. Times lean to the noise, where the caption decides; the error is weighted by 1 / (1 - t).
 */
final class VideoStage implements Trainer.Objective, AutoCloseable {
    private final Sora sora;
    private final SoraData data;
    private final List<LatentPool> pools = new ArrayList<>();
    private final long[] used;
    private long counted;
    private final int workers;
    private final double nearNoise;
    private final double dropped;

    VideoStage(Sora sora, SoraData data, Json j) {
        this.sora = sora;
        this.data = data;
        this.workers = j.get("workers", 2);
        this.nearNoise = j.get("near_noise", .4);
        this.dropped = j.get("caption_dropout", .1);
        int size = j.get("pool", 1024);
        int uses = j.get("uses", 6);
        for (Bucket b : data.buckets()) {
            int clips = (int) Math.max(2L * b.batch(), Math.round(size * b.weight() * b.batch() / share(data)));
            pools.add(new LatentPool(data.world(b), b, sora.autoencoder()::encode, clips, uses));
        }
        used = new long[pools.size()];
    }

    /** So that the pools together hold what the recipe says, in the ratio in which they are used. */
    private static double share(SoraData data) {
        return data.buckets().stream()
                .mapToDouble(b -> b.weight() * b.batch())
                .max()
                .orElseThrow();
    }

    @Override
    public Tensor loss(long step, int worker, RandomSource random, Metrics metrics) {
        int bucket = data.bucketOf(step);
        LatentPool.Batch batch = pools.get(bucket).batch(before(bucket, step) * workers + worker);
        Tensor clean = batch.latents();
        Random words = new Random(step * 64 + worker);
        List<String> captions = SoraData.captions(batch.scenes(), batch.pass(), dropped, words);
        double[] times = new double[captions.size()];
        for (int i = 0; i < times.length; i++) {
            double u = 1 / (1 + Math.exp(-words.nextGaussian()));
            times[i] = words.nextDouble() < nearNoise ? words.nextDouble() * .02 : sora.shifted(u);
        }
        Tensor noise = random.normal(clean.shape());
        Tensor errors = errors(clean, noise, times, captions);
        double sum = 0;
        float[] weights = new float[times.length];
        float[] e = errors.detach().toFloats();
        for (int i = 0; i < times.length; i++) {
            weights[i] = (float) (1 / Math.max(.1, 1 - times[i]) / times.length);
            sum += e[i];
        }
        metrics.add("error" + (data.buckets().get(bucket).frames() == 1 ? "_picture" : "_clip"), sum / times.length);
        return errors.mul(Tensor.of(weights, times.length)).sum();
    }

    /** Mean square error of each clip's predicted clean latents, {@code [B]}. */
    private Tensor errors(Tensor clean, Tensor noise, double[] times, List<String> captions) {
        Tensor t = Tensor.of(times, times.length).to(clean.dtype());
        Tensor wide = t.reshape(-1, 1, 1, 1, 1);
        Tensor noisy = noise.mul(wide.rsub(1)).add(clean.mul(wide));
        CaptionEncoder.Encoded encoded = sora.captionEncoder().encode(sora.tokens(captions));
        Tensor predicted = sora.transformer().forward(noisy, t, encoded);
        return predicted.sub(clean).square().mean(1, 2, 3, 4);
    }

    /** How many steps before this one used the same bucket. */
    private synchronized long before(int bucket, long step) {
        if (step < counted) {
            java.util.Arrays.fill(used, 0);
            counted = 0;
        }
        while (counted < step) {
            used[data.bucketOf(counted++)]++;
        }
        return used[bucket];
    }

    /**
     * The error with the right caption, none, and another clip's, at several times: the only early sign of whether the
     * words are used. The loss curve does not show it.
     */
    Map<String, Double> probe() {
        Map<String, Double> r = new LinkedHashMap<>();
        try (var off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(9)) {
            LatentPool.Batch batch = pools.get(0).batch(before(0, counted) * workers);
            Tensor noise = random.normal(batch.latents().shape());
            List<String> right = SoraData.captions(batch.scenes(), 0, 0, new Random(5));
            List<String> wrong = new ArrayList<>(right);
            Collections.rotate(wrong, 1);
            for (double time : new double[] {.01, .1, .3}) {
                double[] times = new double[right.size()];
                java.util.Arrays.fill(times, time);
                r.put(
                        "right_" + time,
                        errors(batch.latents(), noise, times, right).mean().item());
                r.put(
                        "none_" + time,
                        errors(batch.latents(), noise, times, Sora.none(right.size()))
                                .mean()
                                .item());
                r.put(
                        "wrong_" + time,
                        errors(batch.latents(), noise, times, wrong).mean().item());
            }
        }
        return r;
    }

    @Override
    public void close() {
        pools.forEach(LatentPool::close);
    }
}
