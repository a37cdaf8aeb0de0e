package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A mask as COCO writes it: the lengths of runs of zeros and ones in turn, down each column first. The first run is of
 * zeros, and has length 0 where the first pixel is set.
 *
 * @param width columns
 * @param height rows
 * @param counts lengths of the runs; together width * height
 */
@SuppressWarnings("ArrayRecordComponent")
public record Rle(int width, int height, int[] counts) {
    private static final int BITS = 5;
    private static final int MORE = 0x20;
    private static final int SIGN = 0x10;
    private static final int FIRST = '0';

    public Rle {
        long sum = 0;
        for (int n : counts) {
            if (n < 0) {
                throw new UserError("RLE: a run of length " + n);
            }
            sum += n;
        }
        if (width < 1 || height < 1 || sum != (long) width * height) {
            throw new UserError(
                    "RLE: runs of " + sum + " pixels in all for " + width + "x" + height + ", they must be equal");
        }
    }

    public static Rle of(Mask mask) {
        List<Integer> counts = new ArrayList<>();
        int value = 0;
        int run = 0;
        byte[] bits = mask.bits();
        for (int x = 0; x < mask.width(); x++) {
            for (int at = x; at < bits.length; at += mask.width()) {
                if (bits[at] != value) {
                    counts.add(run);
                    run = 0;
                    value = bits[at];
                }
                run++;
            }
        }
        counts.add(run);
        return new Rle(
                mask.width(),
                mask.height(),
                counts.stream().mapToInt(Integer::intValue).toArray());
    }

    /**
     * Reads the compressed form.
     *
     * @throws UserError if the text is none, or its runs do not fill the picture
     */
    public static Rle of(int width, int height, String compressed) {
        List<Integer> counts = new ArrayList<>();
        int at = 0;
        while (at < compressed.length()) {
            long value = 0;
            int shift = 0;
            boolean more = true;
            while (more) {
                int c = at < compressed.length() ? compressed.charAt(at++) - FIRST : -1;
                if (c < 0 || c > 63 || shift > 30) {
                    throw new UserError("RLE: \"" + compressed + "\" is no compressed mask, see character " + at);
                }
                value |= (long) (c & (MORE - 1)) << shift;
                shift += BITS;
                more = (c & MORE) != 0;
                if (!more && (c & SIGN) != 0) {
                    value |= -1L << shift;
                }
            }
            int before = counts.size() > 2 ? counts.get(counts.size() - 2) : 0;
            counts.add((int) Math.max(-1, Math.min(Integer.MAX_VALUE, value + before)));
        }
        return new Rle(
                width, height, counts.stream().mapToInt(Integer::intValue).toArray());
    }

    /** COCO's text: from the fourth run on the difference to the run two before, 5 bits a character, low bits first. */
    public String compressed() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < counts.length; i++) {
            int value = i > 2 ? counts[i] - counts[i - 2] : counts[i];
            boolean more = true;
            while (more) {
                int c = value & (MORE - 1);
                value >>= BITS;
                more = (c & SIGN) != 0 ? value != -1 : value != 0;
                text.append((char) (FIRST + (more ? c | MORE : c)));
            }
        }
        return text.toString();
    }

    public Mask mask() {
        byte[] bits = new byte[width * height];
        int at = 0;
        for (int i = 0; i < counts.length; i++) {
            for (int end = at + counts[i]; at < end; at++) {
                bits[at % height * width + at / height] = (byte) (i & 1);
            }
        }
        return new Mask(width, height, bits);
    }

    /** Pixels in the mask. */
    public long area() {
        long sum = 0;
        for (int i = 1; i < counts.length; i += 2) {
            sum += counts[i];
        }
        return sum;
    }

    /** Pixels in both masks, found without expanding them. */
    public long common(Rle other) {
        if (width != other.width || height != other.height) {
            throw new UserError("masks of " + width + "x" + height + " and " + other.width + "x" + other.height
                    + " pixels cannot be compared");
        }
        long sum = 0;
        int i = 0;
        int j = 0;
        int left = counts[0];
        int right = other.counts[0];
        while (i < counts.length && j < other.counts.length) {
            int step = Math.min(left, right);
            sum += (i & j & 1) == 1 ? step : 0;
            left -= step;
            right -= step;
            if (left == 0 && ++i < counts.length) {
                left = counts[i];
            }
            if (right == 0 && ++j < other.counts.length) {
                right = other.counts[j];
            }
        }
        return sum;
    }

    /**
     * Pixels in both over pixels in either; 0 where they have none in common.
     *
     * @param crowd whether the other is a crowd, of which this is to cover only a part: then over this one's pixels
     */
    public double iou(Rle other, boolean crowd) {
        long common = common(other);
        return common == 0 ? 0 : (double) common / (crowd ? area() : area() + other.area() - common);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Rle r && width == r.width && height == r.height && Arrays.equals(counts, r.counts);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * width + height) + Arrays.hashCode(counts);
    }

    @Override
    public String toString() {
        return "Rle[" + width + "x" + height + ", " + counts.length + " runs]";
    }
}
