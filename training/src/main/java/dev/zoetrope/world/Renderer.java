package dev.zoetrope.world;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Draws scenes in software: textures sampled bilinearly from the level that is not finer than the screen, laid over each
 * other by premultiplied alpha, rounded to 8 bits last. Only float additions and multiplications, so that the bytes are the
 * same on every machine.
 */
final class Renderer {

    private Renderer() {}

    /** Frames [T, H, W, 3] of 0..255. */
    static void render(Scene scene, byte[] out) {
        check(scene, out.length);
        float[] ground = new float[scene.height() * scene.width() * 3];
        float[] frame = new float[ground.length];
        List<Scene.Sprite> sprites = backToFront(scene);
        for (int k = 0; k < scene.frames(); k++) {
            if (k == 0 || moves(scene)) {
                ground(scene, k, ground, 0);
            }
            System.arraycopy(ground, 0, frame, 0, frame.length);
            for (Scene.Sprite sprite : sprites) {
                over(sprite, k, frame, 0, scene.width(), scene.height());
            }
            int from = k * frame.length;
            for (int i = 0; i < frame.length; i++) {
                out[from + i] = (byte) (int) (frame[i] * 255f + .5f);
            }
        }
    }

    /** Frames [T, H, W, 3] of 0..1. */
    static void render(Scene scene, float[] out) {
        check(scene, out.length);
        int size = scene.height() * scene.width() * 3;
        List<Scene.Sprite> sprites = backToFront(scene);
        for (int k = 0; k < scene.frames(); k++) {
            if (k > 0 && !moves(scene)) {
                // The sprites of frame 0 are on its ground already, so the ground is drawn again rather than copied.
                ground(scene, 0, out, k * size);
            } else {
                ground(scene, k, out, k * size);
            }
            for (Scene.Sprite sprite : sprites) {
                over(sprite, k, out, k * size, scene.width(), scene.height());
            }
        }
    }

    /** Masks [N, T, H, W] of 0 and 1: where a sprite covers more than half of a pixel, itself or after what is in front. */
    static byte[] masks(Scene scene, boolean visible) {
        int pixels = scene.height() * scene.width();
        byte[] masks = new byte[scene.sprites().size() * scene.frames() * pixels];
        float[] alpha = new float[pixels];
        float[] free = new float[pixels];
        List<Scene.Sprite> sprites = backToFront(scene);
        for (int k = 0; k < scene.frames(); k++) {
            Arrays.fill(free, 1f);
            for (int i = sprites.size() - 1; i >= 0; i--) {
                Scene.Sprite sprite = sprites.get(i);
                Arrays.fill(alpha, 0f);
                cover(sprite, k, alpha, scene.width(), scene.height());
                int from = (scene.sprites().indexOf(sprite) * scene.frames() + k) * pixels;
                for (int p = 0; p < pixels; p++) {
                    masks[from + p] = (byte) (alpha[p] * (visible ? free[p] : 1f) > .5f ? 1 : 0);
                    free[p] *= 1f - alpha[p];
                }
            }
        }
        return masks;
    }

    private static void check(Scene scene, int length) {
        if (length != scene.bytes()) {
            throw new IllegalArgumentException("world: a buffer of " + length + " values for [" + scene.frames() + ", "
                    + scene.height() + ", " + scene.width() + ", 3], expected " + scene.bytes());
        }
    }

    private static boolean moves(Scene scene) {
        return scene.backdrop().camera() != Camera.FIXED;
    }

    private static List<Scene.Sprite> backToFront(Scene scene) {
        return scene.sprites().stream()
                .sorted(Comparator.comparingInt(Scene.Sprite::layer))
                .toList();
    }

    private static void ground(Scene scene, int k, float[] out, int from) {
        Scene.Backdrop backdrop = scene.backdrop();
        int width = scene.width();
        int height = scene.height();
        if (backdrop.ground().plain()) {
            for (int at = from; at < from + width * height * 3; at += 3) {
                out[at] = backdrop.red();
                out[at + 1] = backdrop.green();
                out[at + 2] = backdrop.blue();
            }
            return;
        }
        Camera.View view = backdrop.views().get(k);
        float shorter = Math.min(width, height);
        float[] colour = new float[3];
        for (int y = 0, at = from; y < height; y++) {
            float v = (y + .5f - height / 2f) / view.zoom() / shorter;
            for (int x = 0; x < width; x++, at += 3) {
                float u = ((x + .5f - width / 2f) / view.zoom() + view.shift() * width) / shorter;
                backdrop.ground().shade(u, v, backdrop.seed(), colour);
                out[at] = Math.min(1f, colour[0] * backdrop.red());
                out[at + 1] = Math.min(1f, colour[1] * backdrop.green());
                out[at + 2] = Math.min(1f, colour[2] * backdrop.blue());
            }
        }
    }

    /** Lays a sprite over the frame [H, W, 3] that starts at the offset. */
    private static void over(Scene.Sprite sprite, int k, float[] frame, int from, int width, int height) {
        Sampler s = new Sampler(sprite, k, width, height);
        for (int y = s.top; y < s.bottom; y++) {
            for (int x = s.left; x < s.right; x++) {
                if (s.at(x, y)) {
                    int at = from + (y * width + x) * 3;
                    float rest = 1f - s.channel(3);
                    frame[at] = s.channel(0) + frame[at] * rest;
                    frame[at + 1] = s.channel(1) + frame[at + 1] * rest;
                    frame[at + 2] = s.channel(2) + frame[at + 2] * rest;
                }
            }
        }
    }

    /** Writes the sprite's alpha into the plane [H, W]. */
    private static void cover(Scene.Sprite sprite, int k, float[] alpha, int width, int height) {
        Sampler s = new Sampler(sprite, k, width, height);
        for (int y = s.top; y < s.bottom; y++) {
            for (int x = s.left; x < s.right; x++) {
                if (s.at(x, y)) {
                    alpha[y * width + x] = s.channel(3);
                }
            }
        }
    }

    /** Looks a texture up at pixel centres under a pose. */
    private static final class Sampler {
        final int left;
        final int top;
        final int right;
        final int bottom;
        private final float[] texels;
        private final int n;
        private final float x0;
        private final float y0;
        private final float cos;
        private final float sin;
        private int at;
        private float fu;
        private float fv;

        Sampler(Scene.Sprite sprite, int k, int width, int height) {
            Pose pose = sprite.track().get(k);
            Atlas.Texture texture = Atlas.texture(sprite.object(), sprite.style());
            int level = texture.levelFor(pose.size());
            texels = texture.texels(level);
            n = Atlas.CELL >> level;
            x0 = pose.x();
            y0 = pose.y();
            float texelsPerPixel = n / pose.size();
            float c = (float) StrictMath.cos(pose.angle());
            float s = (float) StrictMath.sin(pose.angle());
            cos = c * texelsPerPixel;
            sin = s * texelsPerPixel;
            // One texel more than the picture on each side, where bilinear samples fade to the transparent rim.
            float reach = (Math.abs(c) + Math.abs(s)) * (pose.size() / 2f + 1f / texelsPerPixel) + 1f;
            left = Math.max(0, (int) (x0 - reach));
            top = Math.max(0, (int) (y0 - reach));
            right = Math.min(width, (int) (x0 + reach) + 1);
            bottom = Math.min(height, (int) (y0 + reach) + 1);
        }

        /** Moves to a pixel; false where the texture has nothing. */
        boolean at(int x, int y) {
            float dx = x + .5f - x0;
            float dy = y + .5f - y0;
            float u = cos * dx + sin * dy + n / 2f + .5f;
            float v = cos * dy - sin * dx + n / 2f + .5f;
            if (!(u > 0f && v > 0f && u < n + 1 && v < n + 1)) {
                return false;
            }
            int column = (int) u;
            int row = (int) v;
            fu = u - column;
            fv = v - row;
            at = (row * (n + 2) + column) * 4;
            return true;
        }

        float channel(int c) {
            int i = at + c;
            int below = i + (n + 2) * 4;
            float top = texels[i] + (texels[i + 4] - texels[i]) * fu;
            float bottomRow = texels[below] + (texels[below + 4] - texels[below]) * fu;
            return top + (bottomRow - top) * fv;
        }
    }
}
