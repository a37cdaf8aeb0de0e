package dev.zoetrope.media;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Writes animated GIF (version 89a) that loops for ever; of each frame only what changed since the last. */
final class Gif {

    private static final int MAX_SIDE = 65_535;

    /** One number of the 256 is for pixels that stay as they are. */
    private static final int MAX_COLOURS = 255;

    private Gif() {}

    /**
     * The file of a clip.
     *
     * @param comment stands in the file for programs to find; may be empty
     * @param name what errors call the file
     */
    static byte[] write(Clip clip, String comment, String name) {
        int width = clip.width();
        int height = clip.height();
        if (width > MAX_SIDE || height > MAX_SIDE) {
            throw new UserError(
                    name + ": GIF has at most " + MAX_SIDE + " pixels a side, the clip is " + width + "x" + height);
        }
        Palette palette = Palette.of(clip.frames(), MAX_COLOURS);
        int unchanged = palette.colours().length;
        int bits = Math.max(2, 32 - Integer.numberOfLeadingZeros(unchanged));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes("GIF89a".getBytes(ISO_8859_1));
        number(out, width);
        number(out, height);
        out.write(0xf0 | (bits - 1)); // a palette for all frames, of 2 to the power of bits
        out.write(0);
        out.write(0);
        for (int i = 0; i < 1 << bits; i++) {
            int colour = i < unchanged ? palette.colours()[i] : 0;
            out.write(colour >> 16);
            out.write(colour >> 8);
            out.write(colour);
        }
        out.writeBytes(new byte[] {0x21, (byte) 0xff, 11});
        out.writeBytes("NETSCAPE2.0".getBytes(ISO_8859_1));
        out.writeBytes(new byte[] {3, 1, 0, 0, 0});
        if (!comment.isEmpty()) {
            out.writeBytes(new byte[] {0x21, (byte) 0xfe});
            blocks(out, comment.getBytes(UTF_8));
        }
        byte[] last = null;
        for (int i = 0; i < clip.frames().size(); i++) {
            byte[] indices = palette.indices(clip.frames().get(i));
            long end = Math.round((i + 1) * 100 / clip.fps());
            int delay = (int) Math.max(1, Math.min(0xffff, end - Math.round(i * 100 / clip.fps())));
            frame(out, indices, last, width, height, delay, unchanged, bits);
            last = indices;
        }
        out.write(0x3b);
        return out.toByteArray();
    }

    private static void frame(
            ByteArrayOutputStream out,
            byte[] indices,
            byte @Nullable [] last,
            int width,
            int height,
            int delay,
            int unchanged,
            int bits) {
        int left = 0;
        int top = 0;
        int right = width;
        int bottom = height;
        if (last != null) {
            left = width;
            top = height;
            right = 1;
            bottom = 1;
            for (int i = 0; i < indices.length; i++) {
                if (indices[i] != last[i]) {
                    left = Math.min(left, i % width);
                    right = Math.max(right, i % width + 1);
                    top = Math.min(top, i / width);
                    bottom = Math.max(bottom, i / width + 1);
                }
            }
            left = Math.min(left, right - 1);
            top = Math.min(top, bottom - 1);
        }
        out.writeBytes(
                new byte[] {0x21, (byte) 0xf9, 4, 0x05}); // the frame stays, and there is a number for "unchanged"
        number(out, delay);
        out.write(unchanged);
        out.write(0);
        out.write(0x2c);
        number(out, left);
        number(out, top);
        number(out, right - left);
        number(out, bottom - top);
        out.write(0);
        byte[] box = new byte[(right - left) * (bottom - top)];
        for (int y = top, at = 0; y < bottom; y++) {
            for (int i = y * width + left; i < y * width + right; i++) {
                box[at++] = last != null && indices[i] == last[i] ? (byte) unchanged : indices[i];
            }
        }
        out.write(bits);
        blocks(out, compressed(box, bits));
    }

    private static void number(ByteArrayOutputStream out, int value) {
        out.write(value);
        out.write(value >> 8);
    }

    private static void blocks(ByteArrayOutputStream out, byte[] data) {
        for (int at = 0; at < data.length; at += 255) {
            int length = Math.min(255, data.length - at);
            out.write(length);
            out.write(data, at, length);
        }
        out.write(0);
    }

    /** LZW as GIF has it: codes grow from bits + 1 to 12 bits, then the table starts again. */
    private static byte[] compressed(byte[] indices, int bits) {
        int clear = 1 << bits;
        Codes out = new Codes();
        int width = bits + 1;
        int next = clear + 2;
        // The code of each known sequence by the code of its beginning and its last number.
        short[] table = new short[4096 << 8];
        out.write(clear, width);
        int code = indices[0] & 0xff;
        for (int i = 1; i < indices.length; i++) {
            int index = indices[i] & 0xff;
            int known = table[(code << 8) | index];
            if (known != 0) {
                code = known;
                continue;
            }
            out.write(code, width);
            if (next == 4096) {
                out.write(clear, width);
                Arrays.fill(table, (short) 0);
                width = bits + 1;
                next = clear + 2;
            } else {
                if (next == 1 << width) {
                    width++;
                }
                table[(code << 8) | index] = (short) next++;
            }
            code = index;
        }
        out.write(code, width);
        if (next == 1 << width && width < 12) {
            width++; // the reader has made its entry for the last code by now
        }
        out.write(clear + 1, width);
        return out.bytes();
    }

    /** Codes of changing width as bytes, lowest bits first. */
    private static final class Codes {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private int buffer;
        private int filled;

        void write(int code, int width) {
            buffer |= code << filled;
            filled += width;
            while (filled >= 8) {
                bytes.write(buffer);
                buffer >>>= 8;
                filled -= 8;
            }
        }

        byte[] bytes() {
            if (filled > 0) {
                bytes.write(buffer);
            }
            return bytes.toByteArray();
        }
    }
}
