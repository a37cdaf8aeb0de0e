package dev.zoetrope.media;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A rectangle in pixels. Boxes of masks have their outermost pixels as corners.
 *
 * @param x0 left
 * @param y0 top
 * @param x1 right
 * @param y1 bottom
 */
public record Box(double x0, double y0, double x1, double y1) {

    public double width() {
        return x1 - x0;
    }

    public double height() {
        return y1 - y0;
    }

    public double area() {
        return width() * height();
    }

    public Box moved(double right, double down) {
        return new Box(x0 + right, y0 + down, x1 + right, y1 + down);
    }

    /** Area in common over area in all; 0 where both are empty. */
    public double iou(Box other) {
        double w = Math.max(0, Math.min(x1, other.x1) - Math.max(x0, other.x0));
        double h = Math.max(0, Math.min(y1, other.y1) - Math.max(y0, other.y0));
        double common = w * h;
        double all = area() + other.area() - common;
        return all > 0 ? common / all : 0;
    }

    /**
     * Greedy non-maximum suppression: the best box stays and drops those that overlap it by more than the threshold, and so on.
     *
     * @return indices of what stays, in falling score; equal scores in the order given
     */
    public static List<Integer> suppress(List<Box> boxes, List<Double> scores, double threshold) {
        List<Integer> kept = new ArrayList<>();
        IntStream.range(0, boxes.size())
                .boxed()
                .sorted(Comparator.comparingDouble(scores::get).reversed())
                .forEach(i -> {
                    // In single precision, as torchvision compares: at round thresholds the rounding decides.
                    if (kept.stream().noneMatch(k -> (float) boxes.get(k).iou(boxes.get(i)) > threshold)) {
                        kept.add(i);
                    }
                });
        return kept;
    }
}
