package dev.zoetrope.models.dit;

import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * The latents of a picture: their size, their noise, and what they look like.
 *
 * @param side rows and columns trained on
 * @param patch side of a patch, of which rows and columns must be multiples
 */
record Canvas(AutoencoderKl vae, int side, int patch) {
    /** With the size trained on where none is given; refuses what these networks cannot do. */
    Settings sized(Settings s, String kind) {
        if (!s.boxes().isEmpty() || s.rescale() != 0 || s.framing() != null) {
            throw new UserError(kind + " takes neither boxes, nor rescaled guidance, nor a framing");
        }
        int factor = vae.config().factor();
        int width = s.width() == 0 ? side * factor : s.width();
        int height = s.height() == 0 ? side * factor : s.height();
        int unit = factor * patch;
        if (width % unit != 0 || height % unit != 0) {
            throw new UserError("a picture of " + width + " x " + height + " is not possible: width and height must be "
                    + "multiples of " + unit + "; the nearest is " + nearest(width, unit) + " x "
                    + nearest(height, unit));
        }
        return s.withSize(width, height);
    }

    private static int nearest(int pixels, int unit) {
        return Math.max(unit, Math.round((float) pixels / unit) * unit);
    }

    int rows(Settings s) {
        return s.height() / vae.config().factor();
    }

    int columns(Settings s) {
        return s.width() / vae.config().factor();
    }

    /** {@code [B, C, h, w]}. */
    Tensor noise(Settings s, Draws draws) {
        return draws.draw(s.count(), vae.config().latentChannels(), rows(s), columns(s));
    }

    /** {@code [B, C, h, w] -> [B, 3, H, W]} in 0..1. */
    Tensor picture(Settings s, Tensor latents) {
        try (Scope scope = Scope.open()) {
            Tensor z = vae.unscaled(latents);
            return scope.keep(Pixels.unit(s.tiled() ? vae.decode(z, vae.config().tiling()) : vae.decode(z)));
        }
    }
}
