package dev.zoetrope.models.vae;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Tiles in which pictures of any size go through an autoencoder with the memory of one tile. Neighbours overlap and are
 * blended linearly, first with the tile above, then with the one on the left, each as blended before.
 *
 * @param pixels side of a tile of the picture
 * @param latents side of a tile of latents
 * @param overlap share of a tile that its neighbour covers too
 */
public record Tiling(int pixels, int latents, double overlap) {
    public Tiling {
        Check.positive(pixels, "tile_sample_min_size");
        Check.positive(latents, "tile_latent_min_size");
        Check.between(0, 0.5, overlap, "tile_overlap_factor");
    }

    /** A quarter overlaps. */
    public static Tiling of(int pixels, int factor) {
        return new Tiling(pixels, pixels / factor, 0.25);
    }

    Tensor encode(Tensor picture, Module encoder) {
        return run(picture, encoder, pixels, latents);
    }

    Tensor decode(Tensor z, Module decoder) {
        return run(z, decoder, latents, pixels);
    }

    /** @param from side of a tile that goes in; {@code to} of what comes out */
    private Tensor run(Tensor x, Module network, int from, int to) {
        int stride = (int) (from * (1 - overlap));
        int blend = (int) (to * overlap);
        try (Scope s = Scope.open()) {
            List<Tensor> above = List.of();
            List<Tensor> rows = new ArrayList<>();
            for (long i = 0; i < x.size(2); i += stride) {
                List<Tensor> row = new ArrayList<>();
                List<Tensor> cropped = new ArrayList<>();
                for (long j = 0; j < x.size(3); j += stride) {
                    Tensor tile = tile(x, network, i, j, from);
                    if (i > 0) {
                        tile = blended(above.get(row.size()), tile, 2, blend);
                    }
                    if (j > 0) {
                        tile = blended(row.get(row.size() - 1), tile, 3, blend);
                    }
                    row.add(tile);
                    cropped.add(tile.slice(2, 0, to - blend).slice(3, 0, to - blend));
                }
                rows.add(Tensor.cat(3, cropped));
                above = row;
            }
            return s.keep(Tensor.cat(2, rows));
        }
    }

    private static Tensor tile(Tensor x, Module network, long row, long column, long side) {
        try (Scope s = Scope.open()) {
            Tensor part = x.narrow(2, row, Math.min(side, x.size(2) - row))
                    .narrow(3, column, Math.min(side, x.size(3) - column));
            return s.keep(network.forward(part));
        }
    }

    /** {@code next}, whose first rows or columns pass over from the last ones of {@code before}. */
    private static Tensor blended(Tensor before, Tensor next, int axis, int extent) {
        long n = Math.min(extent, Math.min(before.size(axis), next.size(axis)));
        if (n == 0) {
            return next;
        }
        try (Scope s = Scope.open()) {
            Tensor share = Tensor.arange(n).to(next.dtype()).div((double) n).to(next.device());
            Tensor weight = axis == 2 ? share.unsqueeze(1) : share; // [n, 1] or [n]
            Tensor mixed = before.narrow(axis, before.size(axis) - n, n)
                    .mul(weight.rsub(1))
                    .add(next.narrow(axis, 0, n).mul(weight));
            return s.keep(Tensor.cat(axis, mixed, next.narrow(axis, n, next.size(axis) - n)));
        }
    }
}
