package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.function.DoubleUnaryOperator;

/**
 * The rotary position embedding of a language model, arXiv:2104.09864: how fast each pair of a head's first
 * {@code size} features turns with the position, stretched for texts longer than the model was trained on.
 */
public final class Rope {
    private final int size;
    private final double theta;
    private final DoubleUnaryOperator scaling;

    private Rope(int size, double theta, DoubleUnaryOperator scaling) {
        this.size = size;
        this.theta = theta;
        this.scaling = scaling;
    }

    /**
     * From a configuration of either form: {@code rope_parameters}, or {@code rope_theta} beside {@code rope_scaling}.
     *
     * @param headSize E
     * @param absentPartial the share of a head's features that turn, where the configuration says nothing
     * @param maxPositions where the configuration does not say for how many the model was trained before it was stretched
     */
    public static Rope of(Json j, int headSize, double absentPartial, int maxPositions) {
        Json newer = j.at("rope_parameters");
        Json scaling = j.has("rope_parameters") ? newer : j.at("rope_scaling");
        double theta = newer.get("rope_theta", j.get("rope_theta", 10000.0));
        double partial = newer.get("partial_rotary_factor", j.get("partial_rotary_factor", absentPartial));
        Check.positive(theta, "rope_theta");
        int size = (int) (headSize * partial);
        Check.divides(2, size, "2", "the number of rotary features of a head,");
        String key = scaling.has("rope_type") ? "rope_type" : "type"; // the latter in older releases
        double factor = scaling.get("factor", 1.0);
        return new Rope(
                size,
                theta,
                switch (scaling.get(key, "default")) {
                    case "default" -> frequency -> frequency;
                    case "linear" -> frequency -> frequency / factor;
                    case "llama3" ->
                        llama3(
                                factor,
                                scaling.get("low_freq_factor", 1.0),
                                scaling.get("high_freq_factor", 4.0),
                                scaling.get("original_max_position_embeddings", maxPositions));
                    default -> throw scaling.unsupported(key, "default, linear, llama3");
                });
    }

    /** Plain, with all features of a head turning. */
    public static Rope of(int headSize, double theta) {
        return new Rope(headSize, theta, frequency -> frequency);
    }

    /** Fast features stay as they are, slow ones are stretched, and between the two it goes over smoothly. */
    private static DoubleUnaryOperator llama3(double factor, double low, double high, double trained) {
        return frequency -> {
            double turns = trained * frequency / (2 * Math.PI); // over the length that the model was trained on
            if (turns < low) {
                return frequency / factor;
            }
            if (turns > high) {
                return frequency;
            }
            double share = (turns - low) / (high - low);
            return (1 - share) * frequency / factor + share * frequency;
        };
    }

    /** The turns at these positions. {@code [B, T]} -> angles of {@code [B, 1, T, size / 2]}, float32. */
    public Rotary at(Tensor positions) {
        try (Scope s = Scope.open()) {
            float[] frequencies = new float[size / 2];
            for (int i = 0; i < frequencies.length; i++) {
                frequencies[i] = (float) scaling.applyAsDouble(1 / Math.pow(theta, 2.0 * i / size));
            }
            Tensor angles = positions
                    .to(DType.FLOAT32)
                    .unsqueeze(-1)
                    .mul(Tensor.of(frequencies, frequencies.length).to(positions.device())); // [B, T, size / 2]
            Rotary r = Rotary.of(angles.unsqueeze(1));
            s.keep(r.cos());
            s.keep(r.sin());
            return r;
        }
    }
}
