package dev.zoetrope.media;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * PNG (ISO/IEC 15948): every colour type and depth in, 8-bit RGB with text chunks out. ImageIO is not used because it applies
 * colour spaces to grey pictures and hides the text chunks; here the samples come out as Pillow's {@code convert("RGB")} has
 * them.
 */
final class Png {

    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    private static final int MAX_TEXT = 1 << 24;

    private static final int GREY = 0;
    private static final int RGB = 2;
    private static final int PALETTE = 3;
    private static final int GREY_ALPHA = 4;
    private static final int RGB_ALPHA = 6;

    private Png() {}

    static boolean is(byte[] data) {
        return Arrays.mismatch(data, SIGNATURE) == SIGNATURE.length;
    }

    private record Header(int width, int height, int depth, int colour, boolean interlaced) {

        static Header of(ByteBuffer chunk, String name) {
            if (chunk.remaining() != 13) {
                throw Images.broken(name, "PNG header has " + chunk.remaining() + " bytes, expected 13");
            }
            int width = chunk.getInt();
            int height = chunk.getInt();
            int depth = chunk.get();
            int colour = chunk.get();
            int compression = chunk.get();
            int filter = chunk.get();
            int interlace = chunk.get();
            List<Integer> depths =
                    switch (colour) {
                        case GREY -> List.of(1, 2, 4, 8, 16);
                        case PALETTE -> List.of(1, 2, 4, 8);
                        case RGB, GREY_ALPHA, RGB_ALPHA -> List.of(8, 16);
                        default -> List.of();
                    };
            if (!depths.contains(depth) || compression != 0 || filter != 0 || interlace < 0 || interlace > 1) {
                throw Images.broken(
                        name,
                        "PNG header asks for colour type " + colour + ", depth " + depth + ", compression "
                                + compression + ", filter " + filter + ", interlace " + interlace
                                + ", which the format does not have");
            }
            Images.checkSize(name, width, height);
            return new Header(width, height, depth, colour, interlace == 1);
        }

        int channels() {
            return switch (colour) {
                case RGB -> 3;
                case GREY_ALPHA -> 2;
                case RGB_ALPHA -> 4;
                default -> 1;
            };
        }

        int rowBytes(int columns) {
            return Math.toIntExact(((long) columns * channels() * depth + 7) / 8);
        }
    }

    /** One chunk: its type and where its bytes lie. */
    private record Chunk(String type, ByteBuffer bytes) {}

    /**
     * Walks the chunks. Stops at the end of the data without complaint: what is missing is noticed by whoever needs it.
     *
     * @param critical whether checksums of the chunks that carry the picture are to be verified
     */
    private static List<Chunk> chunks(byte[] data, String name, boolean critical) {
        List<Chunk> chunks = new ArrayList<>();
        ByteBuffer in = ByteBuffer.wrap(data, SIGNATURE.length, data.length - SIGNATURE.length);
        while (in.remaining() >= 12) {
            int length = in.getInt();
            if (length < 0 || length > in.remaining() - 8) {
                break;
            }
            int start = in.position();
            String type = new String(data, start, 4, ISO_8859_1);
            in.position(start + 4 + length);
            int checksum = in.getInt();
            boolean carriesPicture = Character.isUpperCase(type.charAt(0));
            if (critical && carriesPicture) {
                CRC32 crc = new CRC32();
                crc.update(data, start, 4 + length);
                if ((int) crc.getValue() != checksum) {
                    throw Images.broken(name, "checksum of PNG chunk " + type + " is wrong: the file is damaged");
                }
            }
            chunks.add(new Chunk(type, ByteBuffer.wrap(data, start + 4, length).slice()));
            if (type.equals("IEND")) {
                break;
            }
        }
        return chunks;
    }

    static Image read(byte[] data, String name) {
        Header header = null;
        byte[] palette = new byte[768];
        boolean hasPalette = false;
        List<ByteBuffer> compressed = new ArrayList<>();
        for (Chunk chunk : chunks(data, name, true)) {
            switch (chunk.type) {
                case "IHDR" -> header = Header.of(chunk.bytes, name);
                case "PLTE" -> {
                    hasPalette = true;
                    chunk.bytes.get(palette, 0, Math.min(768, chunk.bytes.remaining()));
                }
                case "IDAT" -> compressed.add(chunk.bytes);
                default -> {}
            }
        }
        if (header == null || compressed.isEmpty() || (header.colour == PALETTE && !hasPalette)) {
            throw Images.broken(
                    name,
                    "PNG has no " + (header == null ? "IHDR" : hasPalette ? "IDAT" : "PLTE or IDAT")
                            + " chunk: the file is cut off or damaged");
        }
        byte[] rgb = new byte[3 * header.width * header.height];
        Inflated rows = new Inflated(compressed, name);
        try {
            if (header.interlaced) {
                int[][] passes = {
                    {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}
                };
                for (int[] p : passes) {
                    pass(header, palette, rows, rgb, p[0], p[1], p[2], p[3]);
                }
            } else {
                pass(header, palette, rows, rgb, 0, 0, 1, 1);
            }
        } finally {
            rows.inflater.end();
        }
        return new Image(header.width, header.height, rgb);
    }

    /** The compressed rows as one stream over all IDAT chunks. */
    private static final class Inflated {
        final Inflater inflater = new Inflater();
        private final List<ByteBuffer> chunks;
        private final String name;
        private int next;

        Inflated(List<ByteBuffer> chunks, String name) {
            this.chunks = chunks;
            this.name = name;
        }

        void fill(byte[] row, int from, int to) {
            int at = from;
            try {
                while (at < to) {
                    int read = inflater.inflate(row, at, to - at);
                    at += read;
                    if (read > 0) {
                        continue;
                    }
                    if (inflater.finished() || inflater.needsDictionary() || next == chunks.size()) {
                        throw Images.broken(name, "PNG ends before the last row: the file is cut off");
                    }
                    if (inflater.needsInput()) {
                        inflater.setInput(chunks.get(next++));
                    }
                }
            } catch (DataFormatException e) {
                throw Images.broken(name, "PNG rows cannot be decompressed (" + e.getMessage() + ")");
            }
        }
    }

    /** Reads the rows of one pass of the interlacing (or of the whole picture) into their places. */
    private static void pass(
            Header h, byte[] palette, Inflated in, byte[] rgb, int left, int top, int stepX, int stepY) {
        int columns = (h.width - left + stepX - 1) / stepX;
        if (columns <= 0) {
            return;
        }
        int rowBytes = h.rowBytes(columns);
        int pixelBytes = Math.max(1, h.channels() * h.depth / 8);
        // Both rows begin with the bytes of a pixel that stays zero: the left neighbour of the first pixel.
        byte[] above = new byte[pixelBytes + rowBytes];
        byte[] row = new byte[pixelBytes + rowBytes];
        byte[] filter = new byte[1];
        for (int y = top; y < h.height; y += stepY) {
            in.fill(filter, 0, 1);
            in.fill(row, pixelBytes, row.length);
            unfilter(filter[0], row, above, pixelBytes, in.name);
            for (int i = 0, x = left; i < columns; i++, x += stepX) {
                pixel(h, palette, row, pixelBytes, i, rgb, 3 * (y * h.width + x));
            }
            byte[] spare = above;
            above = row;
            row = spare;
        }
    }

    private static void unfilter(int filter, byte[] row, byte[] above, int pixelBytes, String name) {
        switch (filter) {
            case 0 -> {}
            case 1 -> {
                for (int i = pixelBytes; i < row.length; i++) {
                    row[i] += row[i - pixelBytes];
                }
            }
            case 2 -> {
                for (int i = pixelBytes; i < row.length; i++) {
                    row[i] += above[i];
                }
            }
            case 3 -> {
                for (int i = pixelBytes; i < row.length; i++) {
                    row[i] += (byte) (((row[i - pixelBytes] & 0xff) + (above[i] & 0xff)) >> 1);
                }
            }
            case 4 -> {
                for (int i = pixelBytes; i < row.length; i++) {
                    row[i] += (byte) paeth(row[i - pixelBytes] & 0xff, above[i] & 0xff, above[i - pixelBytes] & 0xff);
                }
            }
            default -> throw Images.broken(name, "PNG row has filter " + filter + ", known are 0 to 4");
        }
    }

    private static int paeth(int left, int above, int aboveLeft) {
        int estimate = left + above - aboveLeft;
        int toLeft = Math.abs(estimate - left);
        int toAbove = Math.abs(estimate - above);
        int toAboveLeft = Math.abs(estimate - aboveLeft);
        if (toLeft <= toAbove && toLeft <= toAboveLeft) {
            return left;
        }
        return toAbove <= toAboveLeft ? above : aboveLeft;
    }

    /** Turns pixel i of a row into RGB. Alpha is dropped, not blended: the colour under transparent pixels stays. */
    private static void pixel(Header h, byte[] palette, byte[] row, int offset, int i, byte[] rgb, int at) {
        int bytes = h.depth / 8;
        switch (h.colour) {
            case RGB, RGB_ALPHA -> {
                int from = offset + i * h.channels() * bytes;
                rgb[at] = row[from];
                rgb[at + 1] = row[from + bytes];
                rgb[at + 2] = row[from + 2 * bytes];
            }
            case PALETTE -> System.arraycopy(palette, 3 * sample(h.depth, row, offset, i), rgb, at, 3);
            case GREY_ALPHA -> Arrays.fill(rgb, at, at + 3, row[offset + 2 * i * bytes]);
            default -> Arrays.fill(rgb, at, at + 3, (byte) grey(h.depth, row, offset, i));
        }
    }

    private static int grey(int depth, byte[] row, int offset, int i) {
        if (depth == 16) {
            // Pillow opens this as a picture of integers and clips them: bright pictures come out white. Models see
            // that.
            return row[offset + 2 * i] != 0 ? 255 : row[offset + 2 * i + 1] & 0xff;
        }
        return sample(depth, row, offset, i) * 255 / ((1 << depth) - 1);
    }

    /** Sample i of a row of at most 8 bits a sample. */
    private static int sample(int depth, byte[] row, int offset, int i) {
        int bit = i * depth;
        return ((row[offset + bit / 8] & 0xff) >> (8 - depth - bit % 8)) & ((1 << depth) - 1);
    }

    /** The text chunks in their order; of a repeated keyword the last. */
    static Map<String, String> text(byte[] data, String name) {
        Map<String, String> text = new LinkedHashMap<>();
        for (Chunk chunk : chunks(data, name, false)) {
            byte[] bytes = new byte[chunk.bytes.remaining()];
            chunk.bytes.get(bytes);
            int zero = indexOf(bytes, 0);
            if (zero < 0) {
                continue;
            }
            String key = new String(bytes, 0, zero, ISO_8859_1);
            switch (chunk.type) {
                case "tEXt" -> text.put(key, new String(bytes, zero + 1, bytes.length - zero - 1, ISO_8859_1));
                case "zTXt" -> text.put(key, new String(inflate(bytes, zero + 2, name), ISO_8859_1));
                case "iTXt" -> text.put(key, international(bytes, zero, name));
                default -> {}
            }
        }
        return text;
    }

    private static String international(byte[] bytes, int zero, String name) {
        int languageEnd = indexOf(bytes, zero + 3);
        int translatedEnd = languageEnd < 0 ? -1 : indexOf(bytes, languageEnd + 1);
        if (translatedEnd < 0) {
            throw Images.broken(name, "PNG chunk iTXt is cut off");
        }
        boolean compressed = bytes[zero + 1] != 0;
        return compressed
                ? new String(inflate(bytes, translatedEnd + 1, name), UTF_8)
                : new String(bytes, translatedEnd + 1, bytes.length - translatedEnd - 1, UTF_8);
    }

    private static int indexOf(byte[] bytes, int from) {
        for (int i = from; i < bytes.length; i++) {
            if (bytes[i] == 0) {
                return i;
            }
        }
        return -1;
    }

    private static byte[] inflate(byte[] bytes, int from, String name) {
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(bytes, Math.min(from, bytes.length), Math.max(0, bytes.length - from));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            byte[] buffer = new byte[8192];
            int read;
            while ((read = inflater.inflate(buffer)) > 0) {
                out.write(buffer, 0, read);
                if (out.size() > MAX_TEXT) {
                    throw Images.broken(name, "PNG text chunk is larger than " + MAX_TEXT + " bytes decompressed");
                }
            }
            return out.toByteArray();
        } catch (DataFormatException e) {
            throw Images.broken(name, "PNG text chunk cannot be decompressed (" + e.getMessage() + ")");
        } finally {
            inflater.end();
        }
    }

    /** The bytes of an eXIf chunk, or null. */
    static byte @Nullable [] exif(byte[] data, String name) {
        for (Chunk chunk : chunks(data, name, false)) {
            if (chunk.type.equals("eXIf")) {
                byte[] bytes = new byte[chunk.bytes.remaining()];
                chunk.bytes.get(bytes);
                return bytes;
            }
        }
        return null;
    }

    /**
     * The file of a picture.
     *
     * @param text keyword (1 to 79 Latin-1 characters) to text, written in front of the picture so that readers that stop
     *     early find it
     */
    static byte[] write(Image image, Map<String, String> text) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(image.rgb().length / 2 + 1024);
        out.writeBytes(SIGNATURE);
        ByteBuffer header = ByteBuffer.allocate(13);
        header.putInt(image.width()).putInt(image.height());
        header.put((byte) 8).put((byte) RGB).put((byte) 0).put((byte) 0).put((byte) 0);
        chunk(out, "IHDR", header.array(), 13);
        text.forEach((key, value) -> textChunk(out, key, value));
        rows(out, image);
        chunk(out, "IEND", new byte[0], 0);
        return out.toByteArray();
    }

    private static void textChunk(ByteArrayOutputStream out, String key, String value) {
        if (key.isEmpty() || key.length() > 79 || !latin1(key)) {
            throw new IllegalArgumentException(
                    "png: text keyword '" + key + "' must have 1 to 79 Latin-1 characters without NUL");
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(key.getBytes(ISO_8859_1));
        if (latin1(value)) {
            bytes.write(0);
            bytes.writeBytes(value.getBytes(ISO_8859_1));
            chunk(out, "tEXt", bytes.toByteArray(), bytes.size());
        } else {
            bytes.writeBytes(
                    new byte[5]); // end of keyword, not compressed, method 0, no language, no translated keyword
            bytes.writeBytes(value.getBytes(UTF_8));
            chunk(out, "iTXt", bytes.toByteArray(), bytes.size());
        }
    }

    private static boolean latin1(String s) {
        return s.chars().allMatch(c -> c > 0 && c < 256);
    }

    private static void rows(ByteArrayOutputStream out, Image image) {
        int stride = 3 * image.width();
        byte[] rgb = image.rgb();
        byte[][] candidates = new byte[5][1 + stride];
        for (int f = 0; f < 5; f++) {
            candidates[f][0] = (byte) f;
        }
        Deflater deflater = new Deflater(6);
        byte[] buffer = new byte[1 << 15];
        try {
            for (int y = 0; y < image.height(); y++) {
                deflater.setInput(filtered(rgb, y * stride, stride, y > 0, candidates));
                while (!deflater.needsInput()) {
                    chunk(out, "IDAT", buffer, deflater.deflate(buffer));
                }
            }
            deflater.finish();
            while (!deflater.finished()) {
                chunk(out, "IDAT", buffer, deflater.deflate(buffer));
            }
        } finally {
            deflater.end();
        }
    }

    /** The row under the filter whose differences are smallest in sum: the heuristic that the standard recommends. */
    private static byte[] filtered(byte[] rgb, int at, int stride, boolean hasAbove, byte[][] candidates) {
        long[] sums = new long[5];
        for (int i = 0; i < stride; i++) {
            int value = rgb[at + i];
            int left = i < 3 ? 0 : rgb[at + i - 3] & 0xff;
            int above = hasAbove ? rgb[at + i - stride] & 0xff : 0;
            int aboveLeft = hasAbove && i >= 3 ? rgb[at + i - stride - 3] & 0xff : 0;
            candidates[0][1 + i] = (byte) value;
            candidates[1][1 + i] = (byte) (value - left);
            candidates[2][1 + i] = (byte) (value - above);
            candidates[3][1 + i] = (byte) (value - ((left + above) >> 1));
            candidates[4][1 + i] = (byte) (value - paeth(left, above, aboveLeft));
            for (int f = 0; f < 5; f++) {
                sums[f] += Math.abs(candidates[f][1 + i]);
            }
        }
        int best = 0;
        for (int f = 1; f < 5; f++) {
            if (sums[f] < sums[best]) {
                best = f;
            }
        }
        return candidates[best];
    }

    private static void chunk(ByteArrayOutputStream out, String type, byte[] bytes, int length) {
        if (length == 0 && type.equals("IDAT")) {
            return;
        }
        ByteBuffer chunk = ByteBuffer.allocate(12 + length);
        chunk.putInt(length).put(type.getBytes(ISO_8859_1)).put(bytes, 0, length);
        CRC32 crc = new CRC32();
        crc.update(chunk.array(), 4, 4 + length);
        chunk.putInt((int) crc.getValue());
        out.writeBytes(chunk.array());
    }
}
