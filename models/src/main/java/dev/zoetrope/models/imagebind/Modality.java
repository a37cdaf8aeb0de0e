package dev.zoetrope.models.imagebind;

import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.Locale;

/** What {@link ImageBind} reads; pictures and video share a tower. */
public enum Modality {
    /** A picture {@code [B, 3, S, S]}, or clips of video {@code [B, clips, 3, frames, S, S]}. */
    VISION,
    /** Tokens {@code [B, T]} INT64. */
    TEXT,
    /** Clips of sound as pictures of their bands, {@code [B, clips, 1, bands, frames]}. */
    AUDIO,
    /** Disparity, {@code [B, 1, S, S]}. */
    DEPTH,
    /** {@code [B, 1, S, S]}. */
    THERMAL,
    /** Accelerometer and gyroscope, {@code [B, 6, samples]}. */
    IMU;

    /** Also {@code image} and {@code video}. */
    public static Modality of(String name) {
        String upper = name.toUpperCase(Locale.ROOT);
        if (upper.equals("IMAGE") || upper.equals("VIDEO")) {
            return VISION;
        }
        return Arrays.stream(values())
                .filter(m -> m.name().equals(upper))
                .findFirst()
                .orElseThrow(() -> new UserError("there is no modality '" + name
                        + "'; there are: image, video, text, audio, depth, thermal, imu"));
    }

    /** As the checkpoint's names have it. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }
}
