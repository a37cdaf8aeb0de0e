package dev.zoetrope.models.vae;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Tiles;
import dev.zoetrope.tensor.Tensor;

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
        int step = (int) (from * (1 - overlap));
        int blend = (int) (to * overlap);
        int keep = to - blend;
        return new Tiles(from, from, step, step, blend, blend, keep, keep).apply(x, network);
    }
}
