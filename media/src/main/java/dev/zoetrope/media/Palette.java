package dev.zoetrope.media;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Few colours that stand for all colours of a clip: its own ones where they are few, else the means of boxes that are split
 * where colours vary most, refined by k-means. One palette serves the whole clip, so that what does not change does not
 * flicker.
 */
final class Palette {

    /** Bits of each channel by which colours are gathered before they are split. */
    private static final int BITS = 5;

    private static final int ROUNDS = 8;

    /** How far dots lie from the colour that they stand for on average, in levels. */
    private static final double DITHER = 6;

    private final int[] colours;
    private final boolean exact;
    private final short[] nearest = new short[1 << 24];

    private Palette(int[] colours, boolean exact) {
        this.colours = colours;
        this.exact = exact;
        Arrays.fill(nearest, (short) -1);
    }

    /**
     * The palette of a clip.
     *
     * @param most how many colours it may have
     */
    static Palette of(List<Image> frames, int most) {
        int[] own = ownColours(frames, most);
        return own.length <= most ? new Palette(own, true) : new Palette(chosen(frames, most), false);
    }

    /** Colours 0xRRGGBB. */
    int[] colours() {
        return colours;
    }

    private static int[] ownColours(List<Image> frames, int most) {
        BitSet seen = new BitSet(1 << 24);
        int count = 0;
        for (Image frame : frames) {
            byte[] rgb = frame.rgb();
            for (int i = 0; i < rgb.length && count <= most; i += 3) {
                int colour = colour(rgb, i);
                if (!seen.get(colour)) {
                    seen.set(colour);
                    count++;
                }
            }
        }
        return seen.stream().toArray();
    }

    private static int colour(byte[] rgb, int i) {
        return ((rgb[i] & 0xff) << 16) | ((rgb[i + 1] & 0xff) << 8) | (rgb[i + 2] & 0xff);
    }

    /** Colours that are close to each other: how many pixels, and their mean. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Cell(double count, double[] mean) {}

    private static List<Cell> cells(List<Image> frames) {
        int cells = 1 << (3 * BITS);
        long[] counts = new long[cells];
        long[][] sums = new long[3][cells];
        int drop = 8 - BITS;
        for (Image frame : frames) {
            byte[] rgb = frame.rgb();
            for (int i = 0; i < rgb.length; i += 3) {
                int r = rgb[i] & 0xff;
                int g = rgb[i + 1] & 0xff;
                int b = rgb[i + 2] & 0xff;
                int cell = ((r >> drop) << (2 * BITS)) | ((g >> drop) << BITS) | (b >> drop);
                counts[cell]++;
                sums[0][cell] += r;
                sums[1][cell] += g;
                sums[2][cell] += b;
            }
        }
        List<Cell> filled = new ArrayList<>();
        for (int i = 0; i < cells; i++) {
            if (counts[i] > 0) {
                double n = counts[i];
                filled.add(new Cell(n, new double[] {sums[0][i] / n, sums[1][i] / n, sums[2][i] / n}));
            }
        }
        return filled;
    }

    /** Cells that share a colour so far. */
    private static final class Box {
        final List<Cell> cells;
        final double[] mean = new double[3];
        private final double[] spread = new double[3];

        Box(List<Cell> cells) {
            this.cells = cells;
            double count = 0;
            for (Cell cell : cells) {
                count += cell.count;
                for (int c = 0; c < 3; c++) {
                    mean[c] += cell.count * cell.mean[c];
                }
            }
            for (int c = 0; c < 3; c++) {
                mean[c] /= count;
            }
            for (Cell cell : cells) {
                for (int c = 0; c < 3; c++) {
                    double d = cell.mean[c] - mean[c];
                    spread[c] += cell.count * d * d;
                }
            }
        }

        int widest() {
            int widest = 0;
            for (int c = 1; c < 3; c++) {
                widest = spread[c] > spread[widest] ? c : widest;
            }
            return widest;
        }

        double error() {
            return spread[widest()];
        }
    }

    private static int[] chosen(List<Image> frames, int most) {
        List<Cell> cells = cells(frames);
        List<Box> boxes = new ArrayList<>();
        boxes.add(new Box(cells));
        while (boxes.size() < most) {
            int worst = 0;
            for (int i = 1; i < boxes.size(); i++) {
                worst = boxes.get(i).error() > boxes.get(worst).error() ? i : worst;
            }
            Box box = boxes.get(worst);
            if (box.error() <= 0) {
                break;
            }
            int axis = box.widest();
            List<Cell> low = new ArrayList<>();
            List<Cell> high = new ArrayList<>();
            for (Cell cell : box.cells) {
                (cell.mean[axis] <= box.mean[axis] ? low : high).add(cell);
            }
            boxes.set(worst, new Box(low));
            boxes.add(new Box(high));
        }
        double[][] centres = boxes.stream().map(box -> box.mean).toArray(double[][]::new);
        for (int round = 0; round < ROUNDS; round++) {
            centres = refined(cells, centres);
        }
        return Arrays.stream(centres)
                .mapToInt(m -> (int) (Math.round(m[0]) << 16 | Math.round(m[1]) << 8 | Math.round(m[2])))
                .distinct()
                .toArray();
    }

    /** One round of k-means: each centre becomes the mean of the cells that are nearest to it. */
    private static double[][] refined(List<Cell> cells, double[][] centres) {
        double[][] sums = new double[centres.length][3];
        double[] counts = new double[centres.length];
        for (Cell cell : cells) {
            int best = 0;
            double least = Double.MAX_VALUE;
            for (int k = 0; k < centres.length; k++) {
                double distance = 0;
                for (int c = 0; c < 3; c++) {
                    double d = cell.mean[c] - centres[k][c];
                    distance += d * d;
                }
                if (distance < least) {
                    least = distance;
                    best = k;
                }
            }
            counts[best] += cell.count;
            for (int c = 0; c < 3; c++) {
                sums[best][c] += cell.count * cell.mean[c];
            }
        }
        for (int k = 0; k < centres.length; k++) {
            for (int c = 0; c < 3; c++) {
                sums[k][c] = counts[k] > 0 ? sums[k][c] / counts[k] : centres[k][c];
            }
        }
        return sums;
    }

    /** The picture in numbers of colours, dithered by a fixed pattern where the palette is not exact. */
    byte[] indices(Image image) {
        byte[] rgb = image.rgb();
        byte[] indices = new byte[rgb.length / 3];
        for (int i = 0; i < indices.length; i++) {
            int colour = colour(rgb, 3 * i);
            if (!exact) {
                int dot = (int) Math.round(DITHER * bayer(i % image.width(), i / image.width()));
                colour = shifted(colour, dot);
            }
            indices[i] = (byte) nearest(colour);
        }
        return indices;
    }

    /** The 4 x 4 pattern of evenly spread thresholds, -0.5 .. 0.5. */
    private static double bayer(int x, int y) {
        int[] pattern = {0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5};
        return (pattern[(y & 3) * 4 + (x & 3)] + 0.5) / 16 - 0.5;
    }

    private static int shifted(int colour, int by) {
        int shifted = 0;
        for (int shift = 0; shift <= 16; shift += 8) {
            shifted |= Math.max(0, Math.min(255, ((colour >> shift) & 0xff) + by)) << shift;
        }
        return shifted;
    }

    private int nearest(int colour) {
        if (nearest[colour] < 0) {
            int best = 0;
            int least = Integer.MAX_VALUE;
            for (int k = 0; k < colours.length; k++) {
                int distance = 0;
                for (int shift = 0; shift <= 16; shift += 8) {
                    int d = ((colour >> shift) & 0xff) - ((colours[k] >> shift) & 0xff);
                    distance += d * d;
                }
                if (distance < least) {
                    least = distance;
                    best = k;
                }
            }
            nearest[colour] = (short) best;
        }
        return nearest[colour];
    }
}
