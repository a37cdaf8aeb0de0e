package dev.zoetrope.media;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.util.Arrays;
import java.util.List;

/**
 * A picture of 8-bit RGB samples.
 *
 * @param width columns, at least 1
 * @param height rows, at least 1
 * @param rgb samples [height, width, 3] row by row from the top left, 0..255 in each byte. The array is not copied: whoever
 *     hands it over must not write to it any more.
 */
@SuppressWarnings("ArrayRecordComponent")
public record Image(int width, int height, byte[] rgb) {

    public Image {
        if (width < 1 || height < 1) {
            throw new IllegalArgumentException("image: size " + width + "x" + height + ": both must be at least 1");
        }
        long expected = 3L * width * height;
        if (rgb.length != expected) {
            throw new IllegalArgumentException("image: " + rgb.length + " bytes for " + width + "x" + height
                    + " RGB pixels, expected " + expected);
        }
    }

    /**
     * A picture of one colour.
     *
     * @param colour 0xRRGGBB
     */
    public static Image filled(int width, int height, int colour) {
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        for (int i = 0; i < rgb.length; i += 3) {
            rgb[i] = (byte) (colour >> 16);
            rgb[i + 1] = (byte) (colour >> 8);
            rgb[i + 2] = (byte) colour;
        }
        return new Image(width, height, rgb);
    }

    /**
     * The picture of planes as models make them.
     *
     * @param planes values [3, height, width]; 0 is black and 1 full light, what lies outside is clipped, and a level is
     *     rounded half to even as NumPy does
     */
    public static Image ofPlanes(float[] planes, int height, int width) {
        int plane = Math.multiplyExact(height, width);
        if (planes.length != 3L * plane) {
            throw new IllegalArgumentException("image: " + planes.length + " values for planes [3, " + height + ", "
                    + width + "], expected " + 3L * plane);
        }
        byte[] rgb = new byte[planes.length];
        for (int c = 0; c < 3; c++) {
            for (int i = 0; i < plane; i++) {
                float level = Math.max(0f, Math.min(1f, planes[c * plane + i])) * 255f;
                rgb[3 * i + c] = (byte) (int) Math.rint(level);
            }
        }
        return new Image(width, height, rgb);
    }

    /** The samples as planes [3, height, width], 0..1. */
    public float[] planes() {
        int plane = width * height;
        float[] planes = new float[rgb.length];
        for (int i = 0; i < plane; i++) {
            for (int c = 0; c < 3; c++) {
                planes[c * plane + i] = (rgb[3 * i + c] & 0xff) / 255f;
            }
        }
        return planes;
    }

    /** The colour 0xRRGGBB of column x, row y. */
    public int pixel(int x, int y) {
        if (x < 0 || y < 0 || x >= width || y >= height) {
            throw new IndexOutOfBoundsException("image: pixel (" + x + ", " + y + ") of " + width + "x" + height);
        }
        int at = 3 * (y * width + x);
        return ((rgb[at] & 0xff) << 16) | ((rgb[at + 1] & 0xff) << 8) | (rgb[at + 2] & 0xff);
    }

    /** The part of columns left .. left + width and rows top .. top + height; what lies outside the picture is black. */
    public Image crop(int left, int top, int width, int height) {
        byte[] out = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        int from = Math.max(0, left);
        int to = (int) Math.min(this.width, (long) left + width);
        for (int y = 0; y < height; y++) {
            long row = (long) top + y;
            if (row >= 0 && row < this.height && from < to) {
                System.arraycopy(
                        rgb, 3 * ((int) row * this.width + from), out, 3 * (y * width + from - left), 3 * (to - from));
            }
        }
        return new Image(width, height, out);
    }

    /** Pictures of one size side by side, so many in a row; places that are left over are black. */
    public static Image sheet(List<Image> pictures, int columns) {
        if (pictures.isEmpty() || columns < 1) {
            throw new IllegalArgumentException("a sheet needs pictures and at least one column");
        }
        int w = pictures.get(0).width;
        int h = pictures.get(0).height;
        int across = Math.min(columns, pictures.size());
        int down = (pictures.size() + across - 1) / across;
        byte[] rgb = new byte[across * w * down * h * 3];
        for (int i = 0; i < pictures.size(); i++) {
            Image one = pictures.get(i);
            if (one.width != w || one.height != h) {
                throw new IllegalArgumentException("picture " + i + " of a sheet is " + one.width + " x " + one.height
                        + ", the first is " + w + " x " + h);
            }
            for (int y = 0; y < h; y++) {
                int to = ((i / across * h + y) * across + i % across) * w * 3;
                System.arraycopy(one.rgb, y * w * 3, rgb, to, w * 3);
            }
        }
        return new Image(across * w, down * h, rgb);
    }

    /**
     * Makes a picture of one from Java's own toolkit; transparency is dropped, grey and palettes are expanded. Grey levels of
     * 8 bits stay what they are, whereas {@link BufferedImage#getRGB} takes them for linear light.
     */
    public static Image of(BufferedImage picture) {
        int width = picture.getWidth();
        int height = picture.getHeight();
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        int[] row = new int[width];
        boolean grey = picture.getType() == BufferedImage.TYPE_BYTE_GRAY;
        for (int y = 0, at = 0; y < height; y++) {
            if (grey) {
                for (int level : picture.getRaster().getSamples(0, y, width, 1, 0, row)) {
                    Arrays.fill(rgb, at, at + 3, (byte) level);
                    at += 3;
                }
                continue;
            }
            picture.getRGB(0, y, width, 1, row, 0, width);
            for (int colour : row) {
                rgb[at++] = (byte) (colour >> 16);
                rgb[at++] = (byte) (colour >> 8);
                rgb[at++] = (byte) colour;
            }
        }
        return new Image(width, height, rgb);
    }

    /** A copy for Java's own toolkit, {@link BufferedImage#TYPE_3BYTE_BGR}. */
    public BufferedImage toBufferedImage() {
        BufferedImage picture = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
        byte[] bgr = ((DataBufferByte) picture.getRaster().getDataBuffer()).getData();
        for (int i = 0; i < rgb.length; i += 3) {
            bgr[i] = rgb[i + 2];
            bgr[i + 1] = rgb[i + 1];
            bgr[i + 2] = rgb[i];
        }
        return picture;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Image image
                && width == image.width
                && height == image.height
                && Arrays.equals(rgb, image.rgb);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * width + height) + Arrays.hashCode(rgb);
    }

    @Override
    public String toString() {
        return "Image[" + width + "x" + height + "]";
    }
}
