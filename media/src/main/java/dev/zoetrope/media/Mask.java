package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.awt.Color;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Which pixels of a picture belong to something.
 *
 * @param width columns, at least 1
 * @param height rows, at least 1
 * @param bits [height, width] of 0 and 1, row by row. The array is not copied: whoever hands it over must not write to it
 *     any more.
 */
@SuppressWarnings("ArrayRecordComponent")
public record Mask(int width, int height, byte[] bits) {
    private static final int HALF = 128;

    public Mask {
        if (width < 1 || height < 1 || bits.length != (long) width * height) {
            throw new IllegalArgumentException("mask: " + bits.length + " bits for " + width + "x" + height);
        }
    }

    /** Reads a picture in which white is in the mask; grey counts as white from its middle on. */
    public static Mask read(Path file) {
        Image image = Images.read(file);
        byte[] bits = new byte[image.width() * image.height()];
        for (int i = 0; i < bits.length; i++) {
            int sum = (image.rgb()[3 * i] & 0xff) + (image.rgb()[3 * i + 1] & 0xff) + (image.rgb()[3 * i + 2] & 0xff);
            bits[i] = (byte) (sum >= 3 * HALF ? 1 : 0);
        }
        return new Mask(image.width(), image.height(), bits);
    }

    public boolean at(int x, int y) {
        return bits[y * width + x] != 0;
    }

    /** Pixels in the mask. */
    public long area() {
        long sum = 0;
        for (byte bit : bits) {
            sum += bit;
        }
        return sum;
    }

    /** The outermost pixels; all zero for an empty mask. */
    public Box box() {
        int left = width;
        int top = height;
        int right = -1;
        int bottom = -1;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (bits[y * width + x] != 0) {
                    left = Math.min(left, x);
                    right = Math.max(right, x);
                    top = Math.min(top, y);
                    bottom = y;
                }
            }
        }
        return right < 0 ? new Box(0, 0, 0, 0) : new Box(left, top, right, bottom);
    }

    /** Pixels in both. */
    public long common(Mask other) {
        if (width != other.width || height != other.height) {
            throw new UserError("masks of " + width + "x" + height + " and " + other.width + "x" + other.height
                    + " pixels cannot be compared");
        }
        long sum = 0;
        for (int i = 0; i < bits.length; i++) {
            sum += bits[i] & other.bits[i];
        }
        return sum;
    }

    /** Pixels in both over pixels in either; 0 where both are empty. */
    public double iou(Mask other) {
        long common = common(other);
        return common == 0 ? 0 : (double) common / (area() + other.area() - common);
    }

    /** What a mask becomes, and whether anything was there to clean. */
    public record Cleaned(Mask mask, boolean changed) {}

    /**
     * Fills holes of fewer pixels than a limit, then removes islands of fewer; the largest island stays even if all are
     * smaller. Regions touch at corners too.
     */
    public Cleaned withoutSmallRegions(int limit) {
        Regions holes = new Regions(this, 0);
        byte[] filled = holes.paint(bits, size -> size < limit, 1);
        Regions islands = new Regions(new Mask(width, height, filled), 1);
        boolean changed = holes.any(size -> size < limit) || islands.any(size -> size < limit);
        int largest = islands.largest();
        boolean none = !islands.any(size -> size >= limit);
        byte[] kept = islands.paint(filled, size -> size < limit, 0);
        if (none && largest >= 0) {
            islands.paintOne(kept, largest, 1);
        }
        return new Cleaned(new Mask(width, height, kept), changed);
    }

    /** The connected regions of one value. */
    private static final class Regions {
        private final int[] label;
        private final List<Integer> sizes = new ArrayList<>();

        Regions(Mask m, int value) {
            label = new int[m.bits.length];
            Arrays.fill(label, -1);
            int[] queue = new int[m.bits.length];
            for (int start = 0; start < label.length; start++) {
                if (m.bits[start] == value && label[start] < 0) {
                    sizes.add(flood(m, value, start, queue));
                }
            }
        }

        private int flood(Mask m, int value, int start, int[] queue) {
            int id = sizes.size();
            int head = 0;
            int tail = 0;
            queue[tail++] = start;
            label[start] = id;
            while (head < tail) {
                int x = queue[head] % m.width;
                int y = queue[head] / m.width;
                head++;
                for (int b = Math.max(0, y - 1); b <= Math.min(m.height - 1, y + 1); b++) {
                    for (int a = Math.max(0, x - 1); a <= Math.min(m.width - 1, x + 1); a++) {
                        int at = b * m.width + a;
                        if (m.bits[at] == value && label[at] < 0) {
                            label[at] = id;
                            queue[tail++] = at;
                        }
                    }
                }
            }
            return tail;
        }

        boolean any(IntPredicate ofSize) {
            return sizes.stream().anyMatch(ofSize::test);
        }

        int largest() {
            int best = -1;
            for (int i = 0; i < sizes.size(); i++) {
                if (best < 0 || sizes.get(i) > sizes.get(best)) {
                    best = i;
                }
            }
            return best;
        }

        /** A copy in which the regions of such sizes have a value. */
        byte[] paint(byte[] bits, IntPredicate ofSize, int value) {
            byte[] out = bits.clone();
            for (int i = 0; i < out.length; i++) {
                if (label[i] >= 0 && ofSize.test(sizes.get(label[i]))) {
                    out[i] = (byte) value;
                }
            }
            return out;
        }

        void paintOne(byte[] bits, int id, int value) {
            for (int i = 0; i < bits.length; i++) {
                if (label[i] == id) {
                    bits[i] = (byte) value;
                }
            }
        }
    }

    /**
     * The pixel of the mask that is farthest from any outside it, counting steps in rows, columns and diagonals; beyond the
     * picture is outside. Where several are as far, the first of them, row by row.
     *
     * @return its number, row * width + column; -1 for an empty mask
     */
    public int innermost() {
        int stride = width + 2;
        int[] steps = new int[stride * (height + 2)];
        for (int y = 1; y <= height; y++) {
            for (int x = 1; x <= width; x++) {
                int at = y * stride + x;
                if (at(x - 1, y - 1)) {
                    int above = Math.min(steps[at - stride - 1], Math.min(steps[at - stride], steps[at - stride + 1]));
                    steps[at] = 1 + Math.min(above, steps[at - 1]);
                }
            }
        }
        int best = -1;
        int most = 0;
        for (int y = height; y >= 1; y--) {
            for (int x = width; x >= 1; x--) {
                int at = y * stride + x;
                int below = Math.min(steps[at + stride - 1], Math.min(steps[at + stride], steps[at + stride + 1]));
                steps[at] = Math.min(steps[at], 1 + Math.min(below, steps[at + 1]));
                if (steps[at] > 0 && steps[at] >= most) {
                    most = steps[at];
                    best = (y - 1) * width + x - 1;
                }
            }
        }
        return best;
    }

    /** Pixels in this mask and not in the other. */
    public Mask without(Mask other) {
        byte[] out = new byte[bits.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) (bits[i] & ~other.bits[i]);
        }
        return new Mask(width, height, out);
    }

    /** The mask in a larger picture, this corner of it at column left, row top. */
    public Mask placed(int left, int top, int fullWidth, int fullHeight) {
        if (left == 0 && top == 0 && fullWidth == width && fullHeight == height) {
            return this;
        }
        byte[] out = new byte[fullWidth * fullHeight];
        for (int y = 0; y < height; y++) {
            System.arraycopy(bits, y * width, out, (top + y) * fullWidth + left, width);
        }
        return new Mask(fullWidth, fullHeight, out);
    }

    /** White where the mask is, black elsewhere. */
    public Image image() {
        byte[] rgb = new byte[3 * bits.length];
        for (int i = 0; i < bits.length; i++) {
            Arrays.fill(rgb, 3 * i, 3 * i + 3, (byte) -bits[i]);
        }
        return new Image(width, height, rgb);
    }

    /**
     * The picture with the mask tinted and its edge drawn.
     *
     * @param colour 0xRRGGBB
     * @param strength of the tint, 0..1
     */
    public Image over(Image picture, int colour, double strength) {
        if (picture.width() != width || picture.height() != height) {
            throw new UserError("a mask of " + width + "x" + height + " pixels does not fit a picture of "
                    + picture.width() + "x" + picture.height());
        }
        byte[] rgb = picture.rgb().clone();
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (at(x, y)) {
                    double share = inside(x, y) ? strength : 1;
                    for (int c = 0; c < 3; c++) {
                        int i = 3 * (y * width + x) + c;
                        int tint = colour >> (16 - 8 * c) & 0xff;
                        rgb[i] = (byte) Math.round((rgb[i] & 0xff) * (1 - share) + tint * share);
                    }
                }
            }
        }
        return new Image(width, height, rgb);
    }

    /** The picture with each mask in a colour of its own, the large ones beneath. */
    public static Image overlay(Image picture, List<Mask> masks) {
        List<Mask> largeFirst = new ArrayList<>(masks);
        largeFirst.sort(Comparator.comparingLong(Mask::area).reversed());
        Image r = picture;
        for (int i = 0; i < largeFirst.size(); i++) {
            // Steps of the golden ratio keep neighbours in the list apart on the colour wheel.
            int colour = Color.HSBtoRGB(i * 0.618034f, 0.85f, 1);
            r = largeFirst.get(i).over(r, colour, 0.45);
        }
        return r;
    }

    /** Whether all four neighbours are in the mask; what is beyond the picture counts as in. */
    private boolean inside(int x, int y) {
        return (x == 0 || at(x - 1, y))
                && (x == width - 1 || at(x + 1, y))
                && (y == 0 || at(x, y - 1))
                && (y == height - 1 || at(x, y + 1));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Mask m && width == m.width && height == m.height && Arrays.equals(bits, m.bits);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * width + height) + Arrays.hashCode(bits);
    }

    @Override
    public String toString() {
        return "Mask[" + width + "x" + height + ", " + area() + " pixels]";
    }
}
