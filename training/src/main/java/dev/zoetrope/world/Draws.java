package dev.zoetrope.world;

import java.util.List;

/** Random numbers of one purpose in one scene (SplitMix64); a new purpose changes no draw of another. */
final class Draws {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private final boolean first;
    private long state;

    /** The stream of (seed, scene, purpose); every triple has its own. */
    Draws(long seed, long scene, long purpose) {
        state = mix(mix(mix(seed + GOLDEN) + scene * GOLDEN) + purpose * GOLDEN);
        first = false;
    }

    /** Draws nothing: the first of all choices, the least of all numbers. */
    private Draws() {
        first = true;
    }

    static Draws first() {
        return new Draws();
    }

    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    long bits() {
        if (first) {
            return 0;
        }
        state += GOLDEN;
        return mix(state);
    }

    /** Uniform in [0, 1). */
    double unit() {
        return (bits() >>> 11) * 0x1p-53;
    }

    double between(double from, double to) {
        return from + (to - from) * unit();
    }

    /** Uniform in 0..n-1. */
    int below(int n) {
        return (int) ((bits() >>> 32) * n >>> 32);
    }

    <T> T of(List<T> choices) {
        return choices.get(below(choices.size()));
    }
}
