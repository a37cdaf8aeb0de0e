package dev.zoetrope.nn;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * A picture or video that is too large for one pass through an autoencoder: cut into overlapping tiles, each passed by
 * itself, and joined with a linear blend over the overlap. All lengths but {@code step} and {@code tile} count in what
 * comes out.
 *
 * @param tileHeight rows of a tile that goes in
 * @param tileWidth columns of a tile that goes in
 * @param stepHeight rows from one tile to the next
 * @param stepWidth columns from one tile to the next
 * @param blendHeight rows over which a tile is blended into the one above
 * @param blendWidth columns over which a tile is blended into the one to the left
 * @param keepHeight rows of a tile that are kept: the rest is the next one's
 * @param keepWidth columns of a tile that are kept
 */
public record Tiles(
        long tileHeight,
        long tileWidth,
        long stepHeight,
        long stepWidth,
        long blendHeight,
        long blendWidth,
        long keepHeight,
        long keepWidth) {

    /** {@code x [..., H, W]}, each tile through {@code network}. */
    public Tensor apply(Tensor x, Module network) {
        long height = x.size(-2);
        long width = x.size(-1);
        try (Scope s = Scope.open()) {
            List<Tensor> bands = new ArrayList<>();
            List<Tensor> above = List.of();
            for (long i = 0; i < height; i += stepHeight) {
                List<Tensor> row = new ArrayList<>();
                List<Tensor> kept = new ArrayList<>();
                for (long j = 0; j < width; j += stepWidth) {
                    Tensor tile;
                    try (Scope one = Scope.open()) {
                        tile = network.forward(x.narrow(-2, i, Math.min(tileHeight, height - i))
                                .narrow(-1, j, Math.min(tileWidth, width - j)));
                        tile = above.isEmpty() ? tile : blend(above.get(row.size()), tile, -2, blendHeight);
                        tile = row.isEmpty() ? tile : blend(row.get(row.size() - 1), tile, -1, blendWidth);
                        one.keep(tile);
                    }
                    row.add(tile);
                    kept.add(tile.narrow(-2, 0, Math.min(keepHeight, tile.size(-2)))
                            .narrow(-1, 0, Math.min(keepWidth, tile.size(-1))));
                }
                bands.add(Tensor.cat(-1, kept));
                kept.forEach(Tensor::close);
                above.forEach(Tensor::close);
                above = row;
            }
            return s.keep(Tensor.cat(-2, bands));
        }
    }

    /** The start of a tile fades from the end of the one before it. */
    private static Tensor blend(Tensor before, Tensor tile, int axis, long most) {
        long n = Math.min(most, Math.min(before.size(axis), tile.size(axis)));
        if (n <= 0) {
            return tile;
        }
        try (Scope s = Scope.open()) {
            Tensor share = Tensor.arange(n).to(tile.dtype()).div((double) n).to(tile.device());
            share = axis == -2 ? share.unsqueeze(-1) : share;
            Tensor end = before.narrow(axis, before.size(axis) - n, n);
            Tensor start = tile.narrow(axis, 0, n);
            Tensor mixed = end.mul(share.rsub(1)).add(start.mul(share));
            return s.keep(Tensor.cat(axis, mixed, tile.narrow(axis, n, tile.size(axis) - n)));
        }
    }
}
