package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Latents cut into patches of p x p, and put together again. Axes: B pictures, C channels, H x W rows and columns,
 * N = (H / p) (W / p) patches, D hidden size.
 */
final class Patches {
    private final Conv2d proj;
    private final int channels;
    private final int patch;

    /** @param w path of {@code proj} */
    Patches(Weights w, int channels, int hidden, int patch) {
        this.proj = Conv2d.patches(w.at("proj"), channels, hidden, patch);
        this.channels = channels;
        this.patch = patch;
    }

    /** {@code [B, C, H, W] -> [B, N, D]}, without places. */
    Tensor forward(Tensor latents) {
        Check.shape(latents.shape(), "latents", -1, channels, -1, -1);
        Check.divides(patch, latents.size(2), "patch_size", "height of the latents");
        Check.divides(patch, latents.size(3), "patch_size", "width of the latents");
        return proj.forward(latents).flatten(2).transpose(1, 2);
    }

    int rows(Tensor latents) {
        return (int) latents.size(2) / patch;
    }

    int columns(Tensor latents) {
        return (int) latents.size(3) / patch;
    }

    /** {@code [B, N, p p O]}, a patch as (row, column, channel), to {@code [B, O, H, W]} of the latents' size. */
    Tensor together(Tensor patches, Tensor latents) {
        return patches.unflatten(2, patch, patch, -1)
                .unflatten(1, rows(latents), columns(latents)) // [B, H/p, W/p, p, p, O]
                .permute(0, 5, 1, 3, 2, 4)
                .flatten(4)
                .flatten(2, 3); // [B, O, H, W]
    }

    /** {@code [B, N, D]} with a place added to each patch of its own. */
    static Tensor placed(Tensor patches, Tensor places) {
        return patches.add(places.to(patches.dtype()).to(patches.device()));
    }

    /**
     * Sines and cosines of a patch's column (first half) and row, {@code [rows columns, D]}. Whatever their number, rows
     * and columns are spread over {@code reach}, the range of places trained on.
     */
    static Tensor places(int rows, int columns, int hidden, double reach) {
        long half = hidden / 2;
        try (Scope s = Scope.open()) {
            return s.keep(Tensor.cat(
                            -1,
                            waves(columns, hidden / 4, reach).unsqueeze(0).expand(rows, columns, half),
                            waves(rows, hidden / 4, reach).unsqueeze(1).expand(rows, columns, half))
                    .flatten(0, 1));
        }
    }

    /** {@code [n, 2 frequencies]}: sines, then cosines. */
    private static Tensor waves(int n, int frequencies, double reach) {
        float[] table = new float[n * 2 * frequencies];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < frequencies; k++) {
                double angle = i * reach / n / Math.pow(10000, (double) k / frequencies);
                table[2 * i * frequencies + k] = (float) Math.sin(angle);
                table[(2 * i + 1) * frequencies + k] = (float) Math.cos(angle);
            }
        }
        return Tensor.of(table, n, 2L * frequencies);
    }
}
