package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a connector is given of a picture: hidden states of some layers of the tower side by side; with several scales
 * (S2, arXiv:2403.13043) also those of the picture in tiles.
 *
 * <p>Axes: B pictures, N features, D width.
 *
 * @param layers as {@link VisionTower#hiddenState} counts
 * @param dropFirst whether the first token is left out
 * @param scales sides in pixels, ascending, of which each is a multiple of the first; empty for the picture as it is
 */
public record Features(List<Integer> layers, boolean dropFirst, List<Integer> scales) {
    public Features {
        layers = List.copyOf(layers);
        scales = List.copyOf(scales);
        Check.positive(layers.size(), "the number of feature layers");
        for (int scale : scales) {
            Check.divides(scales.get(0), scale, "the smallest of s2_scales", "s2_scales");
        }
    }

    /** Width of a feature. */
    public int width(VisionTower tower) {
        return tower.width() * layers.size() * Math.max(1, scales.size());
    }

    /** Number of features of a picture of the size that the tower was made for. */
    public int count(VisionTower tower) {
        return tower.patches() + (tower.hasClassToken() ? 1 : 0) - (dropFirst ? 1 : 0);
    }

    /** Side in pixels of the pictures that go in. */
    public int imageSize(VisionTower tower) {
        return scales.isEmpty() ? tower.imageSize() : scales.get(scales.size() - 1);
    }

    /** {@code [B, 3, H, W] -> [B, N, D]}. */
    public Tensor of(VisionTower tower, Tensor pixels) {
        try (Scope s = Scope.open()) {
            if (scales.isEmpty()) {
                return s.keep(plain(tower, pixels));
            }
            List<Tensor> all = new ArrayList<>();
            for (int scale : scales) {
                try (Scope each = Scope.open()) {
                    all.add(each.keep(atScale(tower, pixels, scale)));
                }
            }
            return s.keep(Tensor.cat(-1, all));
        }
    }

    private Tensor plain(VisionTower tower, Tensor pixels) {
        List<Tensor> chosen = new ArrayList<>();
        if (layers.size() == 1) {
            chosen.add(tower.hiddenState(pixels, layers.get(0)));
        } else {
            List<Tensor> states = tower.hiddenStates(pixels);
            for (int layer : layers) {
                Check.between(-states.size(), states.size() - 1.0, layer, "vision_feature_layer");
                chosen.add(states.get(layer < 0 ? states.size() + layer : layer));
            }
        }
        Tensor x = chosen.size() == 1 ? chosen.get(0) : Tensor.cat(-1, chosen);
        return dropFirst ? x.narrow(1, 1, x.size(1) - 1) : x;
    }

    /** A picture at one of the scales, {@code [B, 3, scale, scale]}. */
    public static Tensor resized(Tensor pixels, int scale) {
        return pixels.size(2) == scale && pixels.size(3) == scale
                ? pixels
                : Functional.interpolate(pixels, scale, scale, Functional.Interpolation.BICUBIC, false, false);
    }

    /** Features of the picture's tiles, put together and averaged to as many as one tile has. */
    private Tensor atScale(VisionTower tower, Tensor pixels, int scale) {
        int tile = scales.get(0);
        int n = scale / tile; // tiles along a side
        Tensor image = resized(pixels, scale);
        List<Tensor> tiles = new ArrayList<>();
        for (int row = 0; row < n; row++) {
            for (int column = 0; column < n; column++) {
                tiles.add(image.narrow(2, (long) row * tile, tile).narrow(3, (long) column * tile, tile));
            }
        }
        Tensor x = plain(tower, Tensor.cat(0, tiles)); // [n n B, N, D]
        if (n == 1) {
            return x;
        }
        long side = Math.round(Math.sqrt(x.size(1)));
        Tensor maps = x.unflatten(1, side, side).unflatten(0, n, n, -1); // [n, n, B, side, side, D]
        long[] order = {2, 5, 0, 3, 1, 4}; // [B, D, n, side, n, side]
        Tensor map = maps.permute(order).reshape(pixels.size(0), x.size(2), n * side, n * side);
        return Ldp.tokens(Functional.adaptiveAvgPool2d(map, side, side));
    }

    /** {@code "384,768,1152"}. */
    static List<Integer> scales(String text) {
        return Arrays.stream(text.split(",", -1))
                .map(t -> Integer.parseInt(t.strip()))
                .sorted()
                .toList();
    }
}
