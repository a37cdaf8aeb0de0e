package dev.zoetrope.media;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Reads and writes still pictures: PNG, JPEG, WebP, GIF and BMP in, PNG and JPEG out. What a file is, its first bytes say
 * and not its name. Samples come out as Pillow's {@code convert("RGB")} has them: grey repeated, palettes looked up, alpha
 * dropped, colour profiles ignored.
 */
public final class Images {

    /** The most pixels that a picture may have: Pillow's limit against files that explode when decoded. */
    public static final int MAX_PIXELS = 178_956_970;

    private static final int JPEG_QUALITY = 95;
    private static final int ORIENTATION = 0x112;

    private static final ThreadLocal<Integer> MOST = ThreadLocal.withInitial(() -> MAX_PIXELS);

    private Images() {}

    /**
     * Reads under a narrower limit than {@link #MAX_PIXELS}, for pictures that come from strangers.
     *
     * @param pixels the most that a picture read within, by this thread, may have
     */
    public static <T> T within(int pixels, Supplier<T> reading) {
        int before = MOST.get();
        MOST.set(Math.min(pixels, before));
        try {
            return reading.get();
        } finally {
            MOST.set(before);
        }
    }

    /** Whether the turn that a camera noted in Exif is carried out. */
    public enum Orientation {
        /** Turned and mirrored as it is to be shown. */
        SHOWN,
        /** Rows and columns as they lie in the file. */
        STORED
    }

    /**
     * Reads a picture as it is to be shown.
     *
     * @throws UserError if there is no such file, or it is no picture, damaged, or has more than {@link #MAX_PIXELS}
     */
    public static Image read(Path file) {
        return read(bytes(file), file.toString());
    }

    /**
     * Reads a picture as it is to be shown.
     *
     * @param name what errors call it
     */
    public static Image read(byte[] data, String name) {
        return read(data, name, Orientation.SHOWN);
    }

    /**
     * Reads a picture; of moving ones the first frame.
     *
     * @param name what errors call it
     */
    public static Image read(byte[] data, String name, Orientation orientation) {
        Image image;
        byte[] exif;
        if (Png.is(data)) {
            image = Png.read(data, name);
            exif = Png.exif(data, name);
        } else if (Jpeg.is(data)) {
            image = Jpeg.read(data, name);
            exif = Jpeg.Header.of(data, name).exif();
        } else if (Webp.is(data)) {
            image = Webp.read(data, name);
            exif = Webp.exif(data);
        } else if (isGif(data) || isBmp(data)) {
            image = toolkit(data, name, isGif(data) ? "gif" : "bmp");
            exif = null;
        } else {
            throw new UserError(name + ": not a picture that can be read (its first bytes are " + firstBytes(data)
                    + "); known are PNG, JPEG, WebP, GIF and BMP");
        }
        return exif == null || orientation == Orientation.STORED ? image : turned(image, orientation(exif));
    }

    private static boolean isGif(byte[] data) {
        return data.length > 6 && data[0] == 'G' && data[1] == 'I' && data[2] == 'F' && data[3] == '8';
    }

    private static boolean isBmp(byte[] data) {
        return data.length > 26 && data[0] == 'B' && data[1] == 'M';
    }

    /** Reads by Java's own toolkit what consists of palettes or plain RGB, to which it does nothing. */
    private static Image toolkit(byte[] data, String name, String format) {
        ImageReader reader = ImageIO.getImageReadersByFormatName(format).next();
        try (MemoryCacheImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(data))) {
            reader.setInput(in, true, true);
            checkSize(name, reader.getWidth(0), reader.getHeight(0));
            return Image.of(reader.read(0));
        } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException | NegativeArraySizeException e) {
            throw broken(name, format.toUpperCase(Locale.ROOT) + " cannot be decoded (" + e.getMessage() + ")");
        } finally {
            reader.dispose();
        }
    }

    private static String firstBytes(byte[] data) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < Math.min(8, data.length); i++) {
            text.append(String.format(Locale.ROOT, i == 0 ? "%02x" : " %02x", data[i]));
        }
        return data.length == 0 ? "missing: the file is empty" : text.toString();
    }

    /** The text chunks of a PNG file, keyword to text: what {@link #write(Image, Path, Map)} was given. */
    public static Map<String, String> text(Path file) {
        byte[] data = bytes(file);
        if (!Png.is(data)) {
            throw new UserError(file + ": not a PNG file, so it has no text chunks");
        }
        return Png.text(data, file.toString());
    }

    /** Writes a picture without text. */
    public static void write(Image image, Path file) {
        write(image, file, Map.of());
    }

    /**
     * Writes a picture as PNG or JPEG, as the name ends. The file appears under its name only when it is complete.
     *
     * @param text for PNG: keyword (1 to 79 Latin-1 characters) to text
     */
    public static void write(Image image, Path file, Map<String, String> text) {
        byte[] data =
                switch (Outputs.extension(file)) {
                    case "png" -> png(image, text);
                    case "jpg", "jpeg" -> jpeg(image, JPEG_QUALITY);
                    default -> throw new UserError(file + ": a picture is written as .png, .jpg or .jpeg");
                };
        AtomicFile.write(file, out -> out.write(data));
    }

    /**
     * A PNG file in memory.
     *
     * @param text keyword (1 to 79 Latin-1 characters) to text
     */
    public static byte[] png(Image image, Map<String, String> text) {
        return Png.write(image, text);
    }

    /**
     * A JPEG file in memory.
     *
     * @param quality 1..100
     */
    public static byte[] jpeg(Image image, int quality) {
        if (quality < 1 || quality > 100) {
            throw new IllegalArgumentException("jpeg: quality " + quality + ", must be 1 to 100");
        }
        return Jpeg.write(image, quality);
    }

    static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": no such file");
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read (" + e + ")", e);
        }
    }

    /** Refuses a size before anything of that size is allocated. */
    static void checkSize(String name, int width, int height) {
        if (width < 1 || height < 1) {
            throw broken(name, "picture of " + width + "x" + height + " pixels");
        }
        int most = MOST.get();
        if ((long) width * height > most) {
            throw new UserError(name + ": picture of " + width + "x" + height + " = " + (long) width * height
                    + " pixels, at most " + most + " are read; make it smaller first");
        }
    }

    static UserError broken(String name, String what) {
        return new UserError(name + ": " + what);
    }

    /** The orientation that an Exif block notes, 1..8; 1, upright, if it notes none or cannot be understood. */
    static int orientation(byte[] exif) {
        ByteBuffer in = ByteBuffer.wrap(exif);
        if (exif.length < 8) {
            return 1;
        }
        in.order(in.getShort(0) == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        int directory = in.getInt(4);
        if (directory < 8 || directory > exif.length - 2) {
            return 1;
        }
        int entries = in.getShort(directory) & 0xffff;
        for (int i = 0; i < entries && directory + 14 + 12 * i <= exif.length; i++) {
            int entry = directory + 2 + 12 * i;
            if ((in.getShort(entry) & 0xffff) == ORIENTATION) {
                int orientation = in.getShort(entry + 8) & 0xffff;
                return orientation >= 1 && orientation <= 8 ? orientation : 1;
            }
        }
        return 1;
    }

    /** The picture as an Exif orientation wants it shown. */
    static Image turned(Image image, int orientation) {
        if (orientation == 1) {
            return image;
        }
        boolean swapped = orientation >= 5;
        boolean fromRight = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
        boolean fromBottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
        int width = swapped ? image.height() : image.width();
        int height = swapped ? image.width() : image.height();
        byte[] out = new byte[image.rgb().length];
        for (int y = 0, at = 0; y < height; y++) {
            for (int x = 0; x < width; x++, at += 3) {
                int column = swapped ? y : x;
                int row = swapped ? x : y;
                int fromX = fromRight ? image.width() - 1 - column : column;
                int fromY = fromBottom ? image.height() - 1 - row : row;
                System.arraycopy(image.rgb(), 3 * (fromY * image.width() + fromX), out, at, 3);
            }
        }
        return new Image(width, height, out);
    }
}
