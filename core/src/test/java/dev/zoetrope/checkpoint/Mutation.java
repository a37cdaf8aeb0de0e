package dev.zoetrope.checkpoint;

import java.util.Arrays;
import java.util.Random;

/** Small damages that files suffer by accident or on purpose. */
final class Mutation {
    private static final byte[] SPECIAL = {0, 1, -1, 127, -128, '"', '{', '}', '[', ']', ',', '-', '9', '(', 'R'};

    private Mutation() {}

    static byte[] of(byte[] original, Random random) {
        byte[] r = original.clone();
        for (int n = 1 + random.nextInt(4); n > 0; n--) {
            int at = random.nextInt(r.length);
            switch (random.nextInt(6)) {
                case 0 -> r[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> r[at] = SPECIAL[random.nextInt(SPECIAL.length)];
                case 2 -> r[at] = (byte) random.nextInt(256);
                case 3 -> r = Arrays.copyOf(r, Math.max(1, random.nextInt(2) == 0 ? at : r.length - 1));
                case 4 -> { // a stretch copied elsewhere
                    int length = Math.min(1 + random.nextInt(16), r.length - at);
                    int to = random.nextInt(r.length - length + 1);
                    System.arraycopy(r, at, r, to, length);
                }
                default -> Arrays.fill(r, at, Math.min(r.length, at + 1 + random.nextInt(8)), (byte) 0xff);
            }
        }
        return r;
    }
}
