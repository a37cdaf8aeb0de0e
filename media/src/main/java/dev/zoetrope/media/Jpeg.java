package dev.zoetrope.media;

import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Locale;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageInputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * JPEG (ITU-T T.81). The JDK's own libjpeg decodes the samples; the colours are computed here, by libjpeg's rules and
 * integer formulas, because ImageIO applies embedded colour profiles and refuses CMYK. What comes out equals Pillow's
 * {@code convert("RGB")} bit for bit.
 */
final class Jpeg {

    private static final int SOI = 0xd8;
    private static final int EOI = 0xd9;
    private static final int SOS = 0xda;
    private static final int APP0 = 0xe0;
    private static final int APP1 = 0xe1;
    private static final int APP14 = 0xee;

    private Jpeg() {}

    static boolean is(byte[] data) {
        return data.length > 3 && (data[0] & 0xff) == 0xff && (data[1] & 0xff) == SOI && (data[2] & 0xff) == 0xff;
    }

    /**
     * What the segments in front of the picture say.
     *
     * @param components 1 grey, 3 colours, 4 printing inks
     * @param componentIds the names of the components in the frame header
     * @param jfif whether the file says that it is JFIF
     * @param adobe the colour transform of Adobe's segment, or -1 without one
     * @param exif the bytes of an Exif segment behind its signature, or null
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Header(
            int width,
            int height,
            int components,
            String componentIds,
            boolean jfif,
            int adobe,
            byte @Nullable [] exif) {

        static Header of(byte[] data, String name) {
            boolean jfif = false;
            int adobe = -1;
            byte[] exif = null;
            ByteBuffer in = ByteBuffer.wrap(data);
            in.position(2);
            while (in.remaining() >= 4) {
                if ((in.get() & 0xff) != 0xff) {
                    continue;
                }
                int marker = in.get() & 0xff;
                if (marker == 0xff) {
                    in.position(in.position() - 1);
                    continue;
                }
                if (marker == EOI || marker == SOS) {
                    break;
                }
                if (marker <= 1 || (marker >= 0xd0 && marker <= 0xd8)) {
                    continue; // markers without a body
                }
                int length = in.getShort() & 0xffff;
                if (length < 2 || length - 2 > in.remaining()) {
                    break;
                }
                ByteBuffer body = in.slice(in.position(), length - 2);
                in.position(in.position() + length - 2);
                if (marker == APP0 && startsWith(body, "JFIF\0")) {
                    jfif = true;
                } else if (marker == APP14 && startsWith(body, "Adobe") && body.limit() >= 12) {
                    adobe = body.get(11) & 0xff;
                } else if (marker == APP1 && startsWith(body, "Exif\0\0") && exif == null) {
                    exif = new byte[body.limit() - 6];
                    body.get(6, exif);
                } else if (isFrame(marker)) {
                    return frame(body, jfif, adobe, exif, name);
                }
            }
            throw Images.broken(name, "JPEG has no frame header: the file is cut off or damaged");
        }

        private static boolean isFrame(int marker) {
            boolean tables = marker == 0xc4 || marker == 0xc8 || marker == 0xcc;
            return marker >= 0xc0 && marker <= 0xcf && !tables;
        }

        private static Header frame(ByteBuffer body, boolean jfif, int adobe, byte @Nullable [] exif, String name) {
            int components = body.limit() < 6 ? 0 : body.get(5);
            if ((components != 1 && components != 3 && components != 4) || body.limit() < 6 + 3 * components) {
                throw Images.broken(name, "JPEG has " + components + " components, expected 1, 3 or 4");
            }
            StringBuilder ids = new StringBuilder();
            for (int c = 0; c < components; c++) {
                ids.append((char) (body.get(6 + 3 * c) & 0xff));
            }
            int height = body.getShort(1) & 0xffff;
            int width = body.getShort(3) & 0xffff;
            return new Header(width, height, components, ids.toString(), jfif, adobe, exif);
        }

        /** Whether the first three components are luma and two chromas: libjpeg's rule. */
        boolean lumaAndChroma() {
            if (components == 4) {
                return adobe == 2;
            }
            if (jfif) {
                return true;
            }
            return adobe >= 0 ? adobe != 0 : !componentIds.equals("RGB");
        }
    }

    private static boolean startsWith(ByteBuffer body, String signature) {
        if (body.limit() < signature.length()) {
            return false;
        }
        for (int i = 0; i < signature.length(); i++) {
            if (body.get(i) != signature.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    static Image read(byte[] data, String name) {
        Header header = Header.of(data, name);
        Images.checkSize(name, header.width, header.height);
        Raster raster = samples(data, name);
        int bands = raster.getNumBands();
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(raster.getWidth(), raster.getHeight()))];
        int[] row = new int[bands * raster.getWidth()];
        boolean lumaAndChroma = header.lumaAndChroma();
        int at = 0;
        for (int y = 0; y < raster.getHeight(); y++) {
            raster.getPixels(0, y, raster.getWidth(), 1, row);
            for (int i = 0; i < row.length; i += bands, at += 3) {
                if (bands == 1) {
                    Arrays.fill(rgb, at, at + 3, (byte) row[i]);
                    continue;
                }
                if (lumaAndChroma) {
                    toRgb(row, i);
                }
                if (bands == 4) {
                    inksToRgb(row, i, header);
                }
                rgb[at] = (byte) row[i];
                rgb[at + 1] = (byte) row[i + 1];
                rgb[at + 2] = (byte) row[i + 2];
            }
        }
        return new Image(raster.getWidth(), raster.getHeight(), rgb);
    }

    /** BT.601 at full range in 16-bit fixed point, rounded as libjpeg's tables are. */
    private static void toRgb(int[] row, int i) {
        int luma = row[i];
        int blue = row[i + 1] - 128;
        int red = row[i + 2] - 128;
        row[i] = clip(luma + ((91881 * red + 32768) >> 16));
        row[i + 1] = clip(luma + ((-22554 * blue - 46802 * red + 32768) >> 16));
        row[i + 2] = clip(luma + ((116130 * blue + 32768) >> 16));
    }

    /** Cyan, magenta, yellow and black to light, without colour profiles. Adobe stores inks upside down. */
    private static void inksToRgb(int[] row, int i, Header header) {
        if (header.lumaAndChroma()) {
            for (int c = 0; c < 3; c++) {
                row[i + c] = 255 - row[i + c];
            }
        }
        boolean inverted = header.adobe >= 0;
        int light = inverted ? row[i + 3] : 255 - row[i + 3];
        for (int c = 0; c < 3; c++) {
            int ink = inverted ? 255 - row[i + c] : row[i + c];
            int product = ink * light + 128;
            row[i + c] = clip(light - (((product >> 8) + product) >> 8)); // product / 255, rounded
        }
    }

    private static int clip(int level) {
        return Math.max(0, Math.min(255, level));
    }

    private static Raster samples(byte[] data, String name) {
        ImageReader reader = ImageIO.getImageReadersByFormatName("jpeg").next();
        boolean[] cutOff = {false};
        reader.addIIOReadWarningListener((source, warning) ->
                cutOff[0] |= warning.toLowerCase(Locale.ROOT).contains("premature end"));
        try (MemoryCacheImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(data))) {
            reader.setInput(in, true, true);
            Raster raster = reader.readRaster(0, null);
            if (cutOff[0]) {
                throw Images.broken(name, "JPEG ends before the last row: the file is cut off");
            }
            return raster;
        } catch (IOException | RuntimeException e) {
            if (cutOff[0]) {
                throw Images.broken(name, "JPEG ends before the last row: the file is cut off");
            }
            throw Images.broken(name, "JPEG cannot be decoded (" + e.getMessage() + ")");
        } finally {
            reader.dispose();
        }
    }

    /**
     * The file of a picture.
     *
     * @param quality 1..100
     */
    static byte[] write(Image image, int quality) {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
            ImageWriteParam how = writer.getDefaultWriteParam();
            how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            how.setCompressionQuality(quality / 100f);
            writer.setOutput(out);
            writer.write(null, new IIOImage(image.toBufferedImage(), null, null), how);
        } catch (IOException e) {
            throw new IllegalStateException("jpeg: writing into memory failed", e);
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }
}
