package dev.zoetrope.media;

/** The filters of Pillow's {@code Image.resize}, with the numbers that {@code resample} has in a preprocessor_config.json. */
public enum Filter {
    NEAREST(0, 0),
    LANCZOS(1, 3),
    BILINEAR(2, 1),
    BICUBIC(3, 2),
    BOX(4, 0.5),
    HAMMING(5, 1);

    private final int resample;
    private final double support;

    Filter(int resample, double support) {
        this.resample = resample;
        this.support = support;
    }

    /** The number of this filter in Pillow. */
    public int resample() {
        return resample;
    }

    /** How far the filter reaches, in pixels of the larger picture's grid when enlarging. */
    double support() {
        return support;
    }

    /** The filter's height at a distance of x pixels. */
    double at(double x) {
        double d = Math.abs(x);
        return switch (this) {
            case NEAREST -> throw new IllegalStateException("nearest has no kernel");
            case BOX -> x > -0.5 && x <= 0.5 ? 1 : 0;
            case BILINEAR -> d < 1 ? 1 - d : 0;
            case HAMMING -> d == 0 ? 1 : d >= 1 ? 0 : sinc(d) * (0.54 + 0.46 * Math.cos(Math.PI * d));
            case BICUBIC -> cubic(d);
            case LANCZOS -> x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
        };
    }

    private static double sinc(double x) {
        return x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    }

    /** Keys' cubic with a = -0.5: Pillow's, where PyTorch's interpolate has -0.75. */
    private static double cubic(double d) {
        double a = -0.5;
        if (d < 1) {
            return ((a + 2) * d - (a + 3)) * d * d + 1;
        }
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    }
}
