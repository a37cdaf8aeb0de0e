package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/** Pictures that the tests and the programs which made their expected values compute alike. */
final class Pictures {

    private Pictures() {}

    static Image pattern(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0, at = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                rgb[at++] = (byte) (x * 7 + y * 13);
                rgb[at++] = (byte) (x * x + y * 29);
                rgb[at++] = (byte) (x * y * 3 + x * 101 + 17);
            }
        }
        return new Image(width, height, rgb);
    }

    static String checksum(Image image) {
        CRC32 crc = new CRC32();
        crc.update(image.rgb());
        return String.format("%08x", crc.getValue());
    }

    /** A red disc that crosses a dark slope of colours from left to right. */
    static Clip disc(int width, int height, int frames, double fps) {
        List<Image> images = new ArrayList<>();
        for (int t = 0; t < frames; t++) {
            byte[] rgb = new byte[3 * width * height];
            double centre = width * (t + 1.0) / (frames + 1);
            for (int y = 0, at = 0; y < height; y++) {
                for (int x = 0; x < width; x++, at += 3) {
                    boolean inside = Math.hypot(x - centre, y - height / 2.0) < height / 5.0;
                    rgb[at] = (byte) (inside ? 230 : 20 + 40 * x / width);
                    rgb[at + 1] = (byte) (inside ? 40 : 60);
                    rgb[at + 2] = (byte) (inside ? 50 : 60 + 60 * y / height);
                }
            }
            images.add(new Image(width, height, rgb));
        }
        return new Clip(images, fps);
    }

    /** Likeness in decibels. */
    static double psnr(Image a, Image b) {
        assertThat(b).extracting(Image::width, Image::height).containsExactly(a.width(), a.height());
        double sum = 0;
        for (int i = 0; i < a.rgb().length; i++) {
            double d = (a.rgb()[i] & 0xff) - (b.rgb()[i] & 0xff);
            sum += d * d;
        }
        return sum == 0 ? Double.POSITIVE_INFINITY : 10 * Math.log10(255 * 255 * a.rgb().length / sum);
    }
}
