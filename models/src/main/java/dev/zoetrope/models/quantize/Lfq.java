package dev.zoetrope.models.quantize;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Lookup-free quantisation, arXiv:2310.05737: of each number only the sign is kept, and the signs are the bits of the
 * index, the first the most significant.
 *
 * <p>Axes: B rows, C channels, then any axes, N codebooks, D bits of each, K = 2^D entries.
 */
public final class Lfq {
    /**
     * @param dim C
     * @param bits D
     * @param codebooks N, each of which has D numbers of its own
     * @param scale of the quantised numbers
     * @param spherical whether vectors are brought to the length {@code scale} before and after
     */
    public record Config(int dim, int bits, int codebooks, double scale, boolean spherical) {
        private static final int MOST_BITS = 30;

        public Config {
            Check.positive(dim, "dim");
            Check.between(1, MOST_BITS, bits, "bits of an index (the logarithm of codebook_size)");
            Check.positive(codebooks, "num_codebooks");
            Check.positive(scale, "codebook_scale");
        }

        public static Config of(Json j) {
            int codebooks = j.get("num_codebooks", 1);
            int bits;
            if (j.has("codebook_size")) {
                int size = j.get("codebook_size", 0);
                bits = Integer.numberOfTrailingZeros(size);
                if (size < 2 || Integer.bitCount(size) != 1) {
                    throw j.unsupported("codebook_size", "powers of two");
                }
            } else {
                bits = j.requireInt("dim");
            }
            return new Config(
                    j.get("dim", bits * codebooks),
                    bits,
                    codebooks,
                    j.get("codebook_scale", 1.0),
                    j.get("spherical", false));
        }
    }

    /**
     * What training adds to the loss.
     *
     * @param perSample how undecided a vector is between the entries: to be small
     * @param batch how evenly the entries are used: to be large
     * @param commitment how far vectors are from what they become
     * @param total of all, weighted
     */
    public record Losses(Tensor perSample, Tensor batch, Tensor commitment, Tensor total) {}

    /**
     * How the losses count.
     *
     * @param inverseTemperature of the choice between entries
     * @param diversity weight of the batch's entropy against the sample's
     * @param entropyWeight of both entropies
     * @param commitmentWeight of the commitment
     */
    public record LossWeights(
            double inverseTemperature, double diversity, double entropyWeight, double commitmentWeight) {
        /** As published. */
        public static final LossWeights DEFAULT = new LossWeights(100, 1, 0.1, 0.25);
    }

    private static final double LEAST_PROBABILITY = 1e-5;

    private final Config config;
    private final Projections projections;

    public Lfq(Config c, Weights w) {
        config = c;
        projections = new Projections(w, c.dim, c.bits * c.codebooks);
    }

    public Config config() {
        return config;
    }

    /** {@code [B, C, ...]} to values {@code [B, C, ...]} and indices {@code [B, ...]}, or {@code [B, ..., N]}. */
    public Quantized quantize(Tensor features) {
        try (Scope s = Scope.open()) {
            Tensor x = numbers(features); // [B, ..., N, D]
            Tensor q = quantized(x);
            Tensor values = Quantized.straightThrough(x, q).flatten(x.dim() - 2);
            return new Quantized(
                    s.keep(Projections.channelsFirst(projections.out(values))),
                    s.keep(folded(x.gt(0.).to(DType.INT64).mul(powers(x)).sum(-1))));
        }
    }

    /** From indices back to values, {@code [B, C, ...]}. */
    public Tensor decode(Tensor indices) {
        try (Scope s = Scope.open()) {
            Tensor all = (config.codebooks == 1 ? indices.unsqueeze(-1) : indices).unsqueeze(-1); // [B, ..., N, 1]
            Tensor powers = powers(all);
            Tensor bits = all.remainder(powers.mul(2L)).ge(powers).to(DType.FLOAT32); // [B, ..., N, D]
            Tensor signs = bits.mul(2.0).sub(1.0);
            Tensor values = normalised(signs.mul(config.scale)).flatten(signs.dim() - 2);
            return s.keep(Projections.channelsFirst(projections.out(values)));
        }
    }

    /** Of features {@code [B, C, ...]}. Holds all K entries for each vector, so K must be moderate. */
    public Losses losses(Tensor features, LossWeights weights) {
        try (Scope s = Scope.open()) {
            Tensor x = numbers(features);
            Tensor commitment = Functional.mseLoss(x, quantized(x).detach());
            Tensor scores = x.matmul(entries(x).transpose(0, 1)).mul(2 * weights.inverseTemperature);
            Tensor p = scores.softmax(-1).flatten(0, scores.dim() - 3); // [vectors, N, K]
            Tensor perSample = entropy(p).mean();
            Tensor batch = entropy(p.mean(0)).mean();
            Tensor total = perSample
                    .sub(batch.mul(weights.diversity))
                    .mul(weights.entropyWeight)
                    .add(commitment.mul(weights.commitmentWeight));
            return new Losses(s.keep(perSample), s.keep(batch), s.keep(commitment), s.keep(total));
        }
    }

    private Tensor numbers(Tensor features) { // [B, C, ...] -> [B, ..., N, D]
        Tensor x = projections.in(Projections.channelsLast(features));
        return normalised(x.unflatten(-1, config.codebooks, config.bits));
    }

    private Tensor quantized(Tensor x) {
        Tensor signs = x.gt(0.).to(x.dtype()).mul(2 * config.scale).sub(config.scale);
        return normalised(signs);
    }

    private Tensor normalised(Tensor x) {
        return config.spherical ? Codebook.unit(x).mul(config.scale) : x;
    }

    /** Without the axis of the codebooks where there is only one. */
    private Tensor folded(Tensor indices) {
        return config.codebooks == 1 ? indices.squeeze(-1) : indices;
    }

    private Tensor powers(Tensor like) { // [D]
        long[] r = new long[config.bits];
        for (int i = 0; i < r.length; i++) {
            r[i] = 1L << (r.length - 1 - i);
        }
        return Tensor.of(r, r.length).to(like.device());
    }

    private Tensor entries(Tensor like) { // [K, D]
        Tensor powers = powers(like);
        Tensor all = Tensor.arange(1L << config.bits).to(like.device()).unsqueeze(-1);
        Tensor bits = all.remainder(powers.mul(2L)).ge(powers).to(like.dtype());
        return normalised(bits.mul(2 * config.scale).sub(config.scale));
    }

    private static Tensor entropy(Tensor p) {
        return p.mul(p.clamp(LEAST_PROBABILITY, 1).log()).sum(-1).neg();
    }
}
