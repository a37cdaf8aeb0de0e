package dev.zoetrope.curation;

/**
 * Random numbers that are a function of a seed and of what they are for (SplitMix64), so that they do not depend on the
 * order in which rows are met.
 */
public final class Draw {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private Draw() {}

    /** 64 even bits for this purpose and this row. */
    public static long bits(long seed, long purpose, long row) {
        return mix(mix(mix(seed + GOLDEN) + purpose * GOLDEN) + row * GOLDEN);
    }

    /** Uniform in [0, 1). */
    public static double unit(long seed, long purpose, long row) {
        return (bits(seed, purpose, row) >>> 11) * 0x1p-53;
    }

    private static long mix(long z) {
        long y = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        y = (y ^ (y >>> 27)) * 0x94D049BB133111EBL;
        return y ^ (y >>> 31);
    }
}
