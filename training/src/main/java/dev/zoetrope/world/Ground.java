package dev.zoetrope.world;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** What lies behind the objects: eight plain colours, and six grounds drawn by formula. */
public enum Ground {
    RED(0xd83a34),
    YELLOW(0xf4d03f),
    GREEN(0x4caf50),
    BLUE(0x3f74d8),
    PURPLE(0x8e4fc4),
    WHITE(0xf4f4f4),
    BLACK(0x1c1c20),
    GREY(0x8c8c90),
    NIGHT("under a starry night sky", "in the night sky"),
    GRASS("on the grass", "in a meadow"),
    SEA("on the sea", "on the waves"),
    SAND("on the sand", "on a beach"),
    SNOW("in the snow", "on a snowy ground"),
    CHEQUERED("on a chequered floor", "on a floor of tiles");

    private static final List<Ground> PLAIN =
            Arrays.stream(values()).filter(Ground::plain).toList();
    private static final List<Ground> DRAWN =
            Arrays.stream(values()).filter(ground -> !ground.plain()).toList();

    private final int rgb;
    private final List<String> places;

    Ground(int rgb) {
        this.rgb = rgb;
        places = List.of();
    }

    Ground(String... places) {
        rgb = -1;
        this.places = List.of(places);
    }

    /** The eight colours. */
    public static List<Ground> allPlain() {
        return PLAIN;
    }

    /** The six drawn grounds. */
    public static List<Ground> allDrawn() {
        return DRAWN;
    }

    /** Whether it is one colour. */
    public boolean plain() {
        return rgb >= 0;
    }

    /** Colour of a plain ground, 0xRRGGBB; a scene may differ by 3 % in each channel. */
    public int rgb() {
        if (!plain()) {
            throw new IllegalStateException("world: ground " + this + " has no single colour");
        }
        return rgb;
    }

    /** The colour's name, or for a drawn ground its name. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** How a caption says where: only for drawn grounds. */
    public List<String> places() {
        return places;
    }

    /**
     * Colour of a drawn ground.
     *
     * @param u place in parts of the canvas's shorter side, from the canvas's middle to the right
     * @param v the same, downward
     * @param seed which of many grounds of this kind
     * @param colour receives red, green, blue of 0..1
     */
    void shade(float u, float v, int seed, float[] colour) {
        switch (this) {
            case NIGHT -> night(u, v, seed, colour);
            case GRASS -> {
                float blades = noise(u * 26f, v * 7f, seed) * .30f + noise(u * 9f, v * 5f, seed + 1) * .14f;
                mix(colour, .16f, .42f, .12f, .46f, .72f, .26f, .25f + blades * 1.5f);
            }
            case SEA -> {
                float swell = wave(v * 5f + .35f * wave(u * 2f + seed % 97 * .1f) + noise(u * 4f, v * 4f, seed) * .5f);
                mix(colour, .05f, .30f, .52f, .42f, .72f, .84f, .5f + .5f * swell);
            }
            case SAND -> {
                float ripples = wave(v * 6f + .8f * noise(u * 3f, v * 3f, seed)) * .16f;
                float grain = noise(u * 45f, v * 45f, seed + 1) * .35f;
                mix(colour, .76f, .62f, .40f, .95f, .85f, .62f, .45f + ripples + grain);
            }
            case SNOW -> {
                float drift = noise(u * 4f, v * 6f, seed) * .6f + noise(u * 30f, v * 30f, seed + 1) * .25f;
                mix(colour, .78f, .85f, .94f, 1f, 1f, 1f, .6f + drift);
            }
            case CHEQUERED -> {
                float tile = edge(u * 5f + .25f) * edge(v * 5f + .25f);
                mix(colour, .30f, .27f, .30f, .88f, .84f, .76f, .5f + .5f * tile);
            }
            default -> throw new IllegalStateException("world: ground " + this + " has one colour");
        }
    }

    private static void night(float u, float v, int seed, float[] colour) {
        mix(colour, .03f, .03f, .12f, .12f, .10f, .30f, v + .5f);
        float cellU = u * 7f;
        float cellV = v * 7f;
        int column = floor(cellU);
        int row = floor(cellV);
        int bits = hash(column, row, seed);
        float du = cellU - column - .2f - .6f * (bits & 0xff) / 255f;
        float dv = cellV - row - .2f - .6f * (bits >>> 8 & 0xff) / 255f;
        float radius = .08f + .10f * (bits >>> 16 & 0xff) / 255f;
        float near = 1f - (du * du + dv * dv) / (radius * radius);
        boolean empty = (bits >>> 24) < 90;
        if (near > 0f && !empty) {
            mix(colour, colour[0], colour[1], colour[2], 1f, 1f, .86f, near * 1.4f);
        }
    }

    /** Colour from one to the other; amounts outside 0..1 are clipped. */
    private static void mix(float[] colour, float r0, float g0, float b0, float r1, float g1, float b1, float amount) {
        float a = Math.max(0f, Math.min(1f, amount));
        colour[0] = r0 + (r1 - r0) * a;
        colour[1] = g0 + (g1 - g0) * a;
        colour[2] = b0 + (b1 - b0) * a;
    }

    /** Smooth wave of period 1 and height -1..1 from two parabolas: exact arithmetic, unlike a library's sine. */
    private static float wave(float x) {
        float phase = x - floor(x);
        return phase < .5f ? 16f * phase * (.5f - phase) : -16f * (phase - .5f) * (1f - phase);
    }

    /** Square wave of period 1 and height -1..1 with slopes about a pixel wide at 64 px. */
    private static float edge(float x) {
        float phase = x - floor(x);
        float ramp = phase < .5f ? Math.min(phase, .5f - phase) : -Math.min(phase - .5f, 1f - phase);
        return Math.max(-1f, Math.min(1f, ramp * 24f));
    }

    /** Value noise of -1..1 on a grid of step 1. */
    private static float noise(float x, float y, int seed) {
        int column = floor(x);
        int row = floor(y);
        float fx = x - column;
        float fy = y - row;
        fx = fx * fx * (3f - 2f * fx);
        fy = fy * fy * (3f - 2f * fy);
        float top = knot(column, row, seed) * (1f - fx) + knot(column + 1, row, seed) * fx;
        float bottom = knot(column, row + 1, seed) * (1f - fx) + knot(column + 1, row + 1, seed) * fx;
        return top * (1f - fy) + bottom * fy;
    }

    private static float knot(int column, int row, int seed) {
        return (hash(column, row, seed) & 0xffff) / 32767.5f - 1f;
    }

    private static int hash(int column, int row, int seed) {
        int h = column * 0x9E3779B1 ^ row * 0x85EBCA77 ^ seed * 0xC2B2AE3D;
        h = (h ^ h >>> 15) * 0x2C1B3C6D;
        h = (h ^ h >>> 12) * 0x297A2D39;
        return h ^ h >>> 15;
    }

    private static int floor(float x) {
        int whole = (int) x;
        return x < whole ? whole - 1 : whole;
    }
}
