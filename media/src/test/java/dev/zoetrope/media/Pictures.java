package dev.zoetrope.media;

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
}
