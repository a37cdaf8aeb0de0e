package dev.zoetrope.cli;

import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.AutomaticMasks.Rule;
import picocli.CommandLine.Option;

/** How everything in a picture is segmented. */
final class AutomaticOptions {
    @Option(
            names = "--points-per-side",
            paramLabel = "N",
            description = "Columns and rows of the grid of points (default: ${DEFAULT-VALUE}).")
    private int pointsPerSide = 32;

    @Option(
            names = "--iou",
            paramLabel = "X",
            description = "Masks whose predicted IoU is not above go (default: ${DEFAULT-VALUE}).")
    private double iou = 0.88;

    @Option(
            names = "--stability",
            paramLabel = "X",
            description = "Masks that depend more on the threshold go (default: ${DEFAULT-VALUE}).")
    private double stability = 0.95;

    @Option(
            names = "--nms",
            paramLabel = "X",
            description = "Of masks whose boxes overlap by more one stays (default: ${DEFAULT-VALUE}).")
    private double nms = 0.7;

    @Option(
            names = "--crops",
            paramLabel = "N",
            description = "Layers of crops that are looked at by themselves (default: ${DEFAULT-VALUE}).")
    private int crops = 0;

    @Option(
            names = "--crop-points-divisor",
            paramLabel = "N",
            description = "The grid has fewer points a side by this in each layer (default: ${DEFAULT-VALUE}).")
    private int cropPointsDivisor = 1;

    @Option(
            names = "--min-area",
            paramLabel = "N",
            description = "Holes and islands of fewer pixels are removed (default: ${DEFAULT-VALUE}).")
    private int minArea = 0;

    AutomaticMasks.Settings settings() {
        return new AutomaticMasks.Settings(
                pointsPerSide,
                64,
                iou,
                stability,
                1,
                0,
                nms,
                crops,
                512 / 1500.,
                cropPointsDivisor,
                nms,
                minArea,
                Rule.ORIGINAL);
    }
}
