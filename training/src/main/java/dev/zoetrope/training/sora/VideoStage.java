package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.navit.Packing;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.sora.SpaceTimeTransformer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
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
    private volatile int shares = 1;
    private final double nearNoise;
    private final double dropped;
    private final double given;
    private final int row;

    VideoStage(Sora sora, SoraData data, Json j) {
        this.sora = sora;
        this.data = data;
        this.nearNoise = j.get("near_noise", .4);
        this.dropped = j.get("caption_dropout", .1);
        this.given = sora.transformer().givenFrames() ? j.get("given", 0.) : 0;
        this.row = j.get("packed_row", 0);
        int size = j.get("pool", 1024);
        int uses = j.get("uses", 6);
        for (Bucket b : data.buckets()) {
            int clips = (int) Math.max(2L * b.batch(), Math.round(size * b.weight() * b.batch() / share(data)));
            pools.add(new LatentPool(data.world(b), b, sora.autoencoder()::encode, clips, uses, given > 0));
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
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        shares = share.of();
        Random draws = new Random(share.number());
        if (row == 0) {
            int bucket = data.bucketOf(share.step());
            Drawn d = draw(bucket, before(bucket, share.step()) * share.of() + share.index(), random, draws);
            return weighed(errors(d), d.times(), bucket, metrics);
        }
        // A batch of every bucket, side by side in rows.
        List<Drawn> all = new ArrayList<>();
        for (int b = 0; b < pools.size(); b++) {
            all.add(draw(b, share.number(), random, draws));
        }
        List<Tensor> errors = packedErrors(all, row, metrics);
        Tensor loss = Tensor.scalarOf(0);
        int clips = all.stream().mapToInt(d -> d.times().length).sum();
        for (int b = 0; b < errors.size(); b++) {
            double[] times = all.get(b).times();
            loss = loss.add(weighed(errors.get(b), times, b, metrics).mul((double) times.length / clips));
        }
        return loss;
    }

    /** Clips with all that is drawn for them. */
    @SuppressWarnings("ArrayRecordComponent")
    record Drawn(Tensor clean, Tensor noise, double[] times, List<String> captions, GivenFrames given) {}

    Drawn draw(int bucket, long number, RandomSource random, Random draws) {
        LatentPool.Batch batch = pools.get(bucket).batch(number);
        List<String> captions = SoraData.captions(batch.scenes(), batch.pass(), dropped, draws);
        double[] times = new double[captions.size()];
        for (int i = 0; i < times.length; i++) {
            double u = 1 / (1 + Math.exp(-draws.nextGaussian()));
            times[i] = draws.nextDouble() < nearNoise ? draws.nextDouble() * .02 : sora.shifted(u);
        }
        GivenFrames known = GivenFrames.draw(batch.latents(), batch.stills(), given, draws);
        return new Drawn(batch.latents(), random.normal(batch.latents().shape()), times, captions, known);
    }

    private Tensor weighed(Tensor errors, double[] times, int bucket, Metrics metrics) {
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

    /** Mean square error of each clip's predicted clean latents where they are not given, {@code [B]}. */
    Tensor errors(Drawn d) {
        Tensor t = Tensor.of(d.times(), d.times().length).to(d.clean().dtype());
        CaptionEncoder.Encoded encoded = sora.captionEncoder().encode(sora.tokens(d.captions()));
        Tensor predicted =
                sora.transformer().forward(noisy(d, t), t, encoded, d.given().told());
        return errors(predicted, d);
    }

    private static Tensor noisy(Drawn d, Tensor t) {
        Tensor wide = t.reshape(-1, 1, 1, 1, 1);
        return d.noise().mul(wide.rsub(1)).add(d.clean().mul(wide));
    }

    private static Tensor errors(Tensor predicted, Drawn d) {
        return predicted.sub(d.clean()).square().mul(d.given().made()).mean(1, 2, 3, 4);
    }

    /** The same for several batches of unequal sizes, all clips packed into rows of so many tokens. */
    List<Tensor> packedErrors(List<Drawn> all, int rowTokens, Metrics metrics) {
        if (!(sora.transformer() instanceof SpaceTimeTransformer transformer)) {
            throw new UserError(
                    "packed_row: only a transformer takes clips of unequal sizes side by side, not a U-Net");
        }
        List<SpaceTimeTransformer.Piece> pieces = new ArrayList<>();
        for (Drawn d : all) {
            Tensor t = Tensor.of(d.times(), d.times().length).to(d.clean().dtype());
            Tensor noisy = noisy(d, t);
            Tensor told = d.given().told();
            CaptionEncoder.Encoded captions = sora.captionEncoder().encode(sora.tokens(d.captions()));
            long[] words = captions.present().to(DType.INT64).sum(1).toLongs();
            for (int i = 0; i < d.times().length; i++) {
                CaptionEncoder.Encoded caption = new CaptionEncoder.Encoded(
                        captions.words().narrow(0, i, 1).narrow(1, 0, words[i]),
                        captions.pooled().narrow(0, i, 1),
                        captions.present().narrow(0, i, 1).narrow(1, 0, words[i]));
                pieces.add(new SpaceTimeTransformer.Piece(
                        noisy.narrow(0, i, 1), t.narrow(0, i, 1), caption, told == null ? null : told.narrow(0, i, 1)));
            }
        }
        Packing packing = Packing.of(pieces.stream().map(transformer::tokens).toList(), rowTokens);
        metrics.add("fill", packing.fill());
        List<Tensor> predicted = transformer.packed(pieces, packing);
        List<Tensor> errors = new ArrayList<>();
        int from = 0;
        for (Drawn d : all) {
            int to = from + d.times().length;
            errors.add(errors(Tensor.cat(0, predicted.subList(from, to)), d));
            from = to;
        }
        return errors;
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
            LatentPool.Batch batch = pools.get(0).batch(before(0, counted) * shares);
            Tensor clean = batch.latents();
            Tensor noise = random.normal(clean.shape());
            GivenFrames nothing = GivenFrames.draw(clean, null, 0, new Random(5));
            List<String> right = SoraData.captions(batch.scenes(), 0, 0, new Random(5));
            List<String> wrong = new ArrayList<>(right);
            Collections.rotate(wrong, 1);
            Map<String, List<String>> captions = new LinkedHashMap<>();
            captions.put("right", right);
            captions.put("none", Sora.none(right.size()));
            captions.put("wrong", wrong);
            for (double time : new double[] {.01, .1, .3}) {
                double[] times = new double[right.size()];
                java.util.Arrays.fill(times, time);
                captions.forEach((name, c) -> r.put(
                        name + "_" + time,
                        errors(new Drawn(clean, noise, times, c, nothing))
                                .mean()
                                .item()));
            }
        }
        return r;
    }

    @Override
    public void close() {
        pools.forEach(LatentPool::close);
    }
}
