package dev.zoetrope.world;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.EnumMap;
import java.util.Map;
import javax.imageio.ImageIO;

/** The pictures of all objects in one style, as textures that can be sampled at any size. */
final class Atlas {
    static final int CELL = 64;
    private static final int COLUMNS = 12;
    private static final int SMALLEST = 4;
    private static final Map<Style, Atlas> LOADED = new EnumMap<>(Style.class);

    private final Texture[] textures;

    private Atlas(Style style) {
        String file = style.id() + ".png";
        try (InputStream in = Atlas.class.getResourceAsStream(file)) {
            BufferedImage picture = ImageIO.read(in);
            textures = new Texture[WorldObjects.all().size()];
            int[] argb = new int[CELL * CELL];
            for (int id = 0; id < textures.length; id++) {
                picture.getRGB(id % COLUMNS * CELL, id / COLUMNS * CELL, CELL, CELL, argb, 0, CELL);
                textures[id] = new Texture(argb);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("world: " + file + " cannot be read from the library's own jar", e);
        }
    }

    /** The picture of an object. */
    static Texture texture(WorldObject object, Style style) {
        return of(style).textures[object.id()];
    }

    private static Atlas of(Style style) {
        synchronized (LOADED) {
            return LOADED.computeIfAbsent(style, Atlas::new);
        }
    }

    /** One picture: levels of halved size, each [n + 2, n + 2, 4] premultiplied RGBA of 0..1 with a transparent rim. */
    static final class Texture {
        private final float[][] levels;

        private Texture(int[] argb) {
            int count = 1;
            while (CELL >> count >= SMALLEST) {
                count++;
            }
            levels = new float[count][];
            levels[0] = premultiplied(argb);
            for (int level = 1; level < count; level++) {
                levels[level] = halved(levels[level - 1], CELL >> level);
            }
        }

        /** The finest level that is not finer than a picture of this edge on the screen. */
        int levelFor(float size) {
            int level = 0;
            while (level < levels.length - 1 && size < CELL >> level) {
                level++;
            }
            return level;
        }

        /** Level's texels [n + 2, n + 2, 4], n = 64 >> level. */
        float[] texels(int level) {
            return levels[level];
        }

        /** Share of the picture that stands out from a plain colour of 0..1 by a distance above .25. */
        double contrast(float red, float green, float blue) {
            float[] texels = levels[0];
            int solid = 0;
            int seen = 0;
            for (int at = 0; at < texels.length; at += 4) {
                if (texels[at + 3] > .5f) {
                    solid++;
                    float a = texels[at + 3];
                    float r = texels[at] / a - red;
                    float g = texels[at + 1] / a - green;
                    float b = texels[at + 2] / a - blue;
                    if (r * r + g * g + b * b > .0625f) {
                        seen++;
                    }
                }
            }
            return (double) seen / solid;
        }

        private static float[] premultiplied(int[] argb) {
            int stride = CELL + 2;
            float[] texels = new float[stride * stride * 4];
            for (int y = 0; y < CELL; y++) {
                for (int x = 0; x < CELL; x++) {
                    int colour = argb[y * CELL + x];
                    float alpha = (colour >>> 24) / 255f;
                    int at = ((y + 1) * stride + x + 1) * 4;
                    texels[at] = (colour >> 16 & 0xff) / 255f * alpha;
                    texels[at + 1] = (colour >> 8 & 0xff) / 255f * alpha;
                    texels[at + 2] = (colour & 0xff) / 255f * alpha;
                    texels[at + 3] = alpha;
                }
            }
            return texels;
        }

        private static float[] halved(float[] finer, int n) {
            int from = 2 * n + 2;
            int to = n + 2;
            float[] texels = new float[to * to * 4];
            for (int y = 0; y < n; y++) {
                for (int x = 0; x < n; x++) {
                    int at = ((2 * y + 1) * from + 2 * x + 1) * 4;
                    for (int c = 0; c < 4; c++) {
                        float top = finer[at + c] + finer[at + 4 + c];
                        float bottom = finer[at + from * 4 + c] + finer[at + from * 4 + 4 + c];
                        texels[((y + 1) * to + x + 1) * 4 + c] = (top + bottom) * .25f;
                    }
                }
            }
            return texels;
        }
    }
}
