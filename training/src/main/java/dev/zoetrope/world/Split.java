package dev.zoetrope.world;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** Which scenes are for learning and which for judging: ranges of scene numbers, and facts held out by hash. */
public enum Split {
    TRAIN(0L),
    VALIDATION(1_000_000_000L),
    TEST(2_000_000_000L);

    private static final int HELD_OUT_OBJECTS = 15;

    private final long first;

    Split(long first) {
        this.first = first;
    }

    /** Number of the split's first scene. */
    long first() {
        return first;
    }

    /** Which side of a held-out rule to draw from. */
    public enum Side {
        /** Only what training may show. */
        SEEN,
        /** Only what training never shows. */
        HELD_OUT,
        /** Both. */
        ANY;

        boolean admits(boolean heldOut) {
            return this == ANY || heldOut == (this == HELD_OUT);
        }
    }

    /** The first 8 hex digits of the SHA-256 of the text, as a number of 32 bits. */
    static long hash(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return Long.parseLong(HexFormat.of().formatHex(digest, 0, 4), 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    /** Whether training never shows this object move this way. Every object is shown standing still. */
    public static boolean heldOut(WorldObject object, Motion motion) {
        return motion != Motion.STILL && hash("combo|" + object.name() + "|" + motion.id()) % 10 == 0;
    }

    /** Whether training never shows this object in this style. */
    public static boolean heldOut(WorldObject object, Style style) {
        return style == Style.FLAT && hash("style|" + object.name() + "|" + style.id()) % 10 == 0;
    }

    /** The 15 objects that models which know no classes (segmentation, autoencoders, tokenizers) do not train on. */
    public static Set<WorldObject> heldOutObjects(List<WorldObject> objects) {
        return objects.stream()
                .sorted(Comparator.comparingLong(object -> hash("object|" + object.name())))
                .limit(HELD_OUT_OBJECTS)
                .collect(Collectors.toUnmodifiableSet());
    }
}
