package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;

/**
 * The noise of a diffusion process by timestep, arXiv:2006.11239: {@code x_t = sqrt(acp_t) x_0 + sqrt(1 - acp_t) noise},
 * where acp is the cumulative product of {@code 1 - beta}. Everything is in float32, as the networks were trained with:
 * near t = 0 its rounding shows.
 */
public final class NoiseTable {
    /** How beta grows with the timestep. */
    public enum Betas {
        LINEAR,
        /** Linear in its square root. */
        SCALED_LINEAR,
        /** By a squared cosine, arXiv:2102.09672. */
        SQUAREDCOS_CAP_V2,
        SIGMOID,
        LAPLACE,
        EXP
    }

    private static final double MAX_BETA = 0.999;

    private final float[] betas;
    private final float[] alphasCumprod;

    private NoiseTable(float[] betas, float[] alphasCumprod) {
        this.betas = betas;
        this.alphasCumprod = alphasCumprod;
    }

    /** From a scheduler_config.json with DDPM's defaults. */
    public static NoiseTable of(Json j) {
        return of(j, 0.0001, 0.02, Betas.LINEAR);
    }

    static NoiseTable of(Json j, double start, double end, Betas schedule) {
        try (Scope s = Scope.open()) {
            Tensor b = betas(j, start, end, schedule, DType.FLOAT32);
            if (j.get("rescale_betas_zero_snr", false)) {
                b = withZeroTerminalSnr(b);
            }
            return new NoiseTable(b.toFloats(), b.rsub(1).cumprod(0).toFloats());
        }
    }

    static Tensor betas(Json j, double defaultStart, double defaultEnd, Betas schedule, DType scaledLinear) {
        double[] trained = j.get("trained_betas", new double[0]);
        if (trained.length > 0) {
            return Tensor.of(trained, trained.length).to(DType.FLOAT32);
        }
        int n = j.get("num_train_timesteps", 1000);
        Check.positive(n, "num_train_timesteps");
        double start = j.get("beta_start", defaultStart);
        double end = j.get("beta_end", defaultEnd);
        return switch (j.get("beta_schedule", schedule)) {
            case LINEAR -> Tensor.linspace(start, end, n);
            case SCALED_LINEAR ->
                Tensor.linspace(Math.sqrt(start), Math.sqrt(end), n, scaledLinear)
                        .square();
            case SQUAREDCOS_CAP_V2 ->
                ofAlphaBar(n, t -> {
                    double cos = Math.cos((t + 0.008) / 1.008 * Math.PI / 2);
                    return cos * cos;
                });
            case EXP -> ofAlphaBar(n, t -> Math.exp(-12 * t));
            case LAPLACE ->
                ofAlphaBar(n, t -> {
                    double lambda = -0.5 * Math.signum(0.5 - t) * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6);
                    return Math.sqrt(1 / (1 + Math.exp(-lambda)));
                });
            case SIGMOID -> Tensor.linspace(-6, 6, n).sigmoid().mul(end - start).add(start);
        };
    }

    /** Betas whose cumulative product follows a function of t / n, each at most 0.999. */
    private static Tensor ofAlphaBar(int n, DoubleUnaryOperator alphaBar) {
        float[] betas = new float[n];
        for (int i = 0; i < n; i++) {
            double ratio = alphaBar.applyAsDouble((i + 1.0) / n) / alphaBar.applyAsDouble((double) i / n);
            betas[i] = (float) Math.min(1 - ratio, MAX_BETA);
        }
        return Tensor.of(betas, n);
    }

    /** arXiv:2305.08891: the square root of acp is moved so that the last is 0, and stretched so that the first stays. */
    private static Tensor withZeroTerminalSnr(Tensor betas) {
        Tensor acp = rescaled(betas.rsub(1).cumprod(0));
        Tensor alphas = Tensor.cat(
                0, acp.narrow(0, 0, 1), acp.narrow(0, 1, acp.size(0) - 1).div(acp.narrow(0, 0, acp.size(0) - 1)));
        return alphas.rsub(1);
    }

    static Tensor rescaled(Tensor alphasCumprod) {
        Tensor root = alphasCumprod.sqrt();
        Tensor first = root.select(0, 0);
        Tensor last = root.select(0, root.size(0) - 1);
        return root.sub(last).mul(first.div(first.sub(last))).square();
    }

    /** As this, but with an acp of 2^-24 instead of 0 at the end, so that noise levels stay finite. */
    NoiseTable finiteAtTheEnd() {
        float[] acp = alphasCumprod.clone();
        acp[acp.length - 1] = 0x1p-24f;
        return new NoiseTable(betas, acp);
    }

    /** Number of timesteps that the network was trained with. */
    public int size() {
        return betas.length;
    }

    public float beta(int t) {
        return betas[check(t)];
    }

    public float alphaCumprod(int t) {
        return alphasCumprod[check(t)];
    }

    /** Signal to noise ratio, acp / (1 - acp). */
    public double snr(int t) {
        float acp = alphaCumprod(t);
        return acp / (1.0 - acp);
    }

    /** Noise over signal, sqrt((1 - acp) / acp). */
    float sigma(int t) {
        float acp = alphaCumprod(t);
        return (float) Math.sqrt((1 - acp) / acp);
    }

    /** Of every timestep. */
    float[] sigmas() {
        float[] r = new float[size()];
        for (int t = 0; t < r.length; t++) {
            r[t] = sigma(t);
        }
        return r;
    }

    Level level(int t) {
        return Level.of(alphaCumprod(t));
    }

    private int check(int t) {
        if (t < 0 || t >= betas.length) {
            throw new UserError("timestep " + t + " is not between 0 and " + (betas.length - 1));
        }
        return t;
    }

    /** {@code [timestep]}. */
    public Tensor betas() {
        return Tensor.of(betas, betas.length);
    }

    /** {@code [timestep]}. */
    public Tensor alphasCumprod() {
        return Tensor.of(alphasCumprod, alphasCumprod.length);
    }

    /**
     * The noised sample that training begins from.
     *
     * @param clean {@code [B, C, ...]}
     * @param noise standard normal, like clean
     * @param timesteps {@code [B]} INT64
     */
    public Tensor addNoise(Tensor clean, Tensor noise, Tensor timesteps) {
        return mixed(clean, 1, noise, timesteps);
    }

    /** What a network of {@link Prediction#V_PREDICTION} learns, like clean. */
    public Tensor velocity(Tensor clean, Tensor noise, Tensor timesteps) {
        return mixed(noise, -1, clean, timesteps);
    }

    /** sqrt(acp) a + sign sqrt(1 - acp) b. */
    private Tensor mixed(Tensor a, int sign, Tensor b, Tensor timesteps) {
        long[] t = timesteps.toLongs();
        double[] alpha = new double[t.length];
        double[] sigma = new double[t.length];
        for (int i = 0; i < t.length; i++) {
            Level level = level(Math.toIntExact(t[i]));
            alpha[i] = level.alpha();
            sigma[i] = sign * level.sigma();
        }
        try (Scope s = Scope.open()) {
            return s.keep(a.mul(perRow(alpha, a)).add(b.mul(perRow(sigma, b))));
        }
    }

    /** A number for each row of x, in its element type, {@code [B, 1, ...]}. */
    static Tensor perRow(double[] numbers, Tensor x) {
        long[] shape = new long[x.dim()];
        Arrays.fill(shape, 1);
        shape[0] = numbers.length;
        return Tensor.of(numbers, shape).to(x.dtype()).to(x.device());
    }
}
