package dev.zoetrope.training.sora;

import dev.zoetrope.models.sora.SpaceTimeNetwork;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Which frames of each clip of a batch are given, drawn at random: none for most clips, else the first picture, the
 * beginning, the end, both, or any latent frames. One network so learns to make clips from pictures, to extend them either
 * way, and to lead from one to another.
 *
 * <p>B clips, K latent channels, G x h x w latent frames, rows and columns.
 *
 * @param told what the network is told, {@code [B, K + MARKS, G, h, w]}; null if nothing of any clip
 * @param made 1 for latent frames that are to be made and 0 for those given, in parts of those made, {@code [B, 1, G, 1, 1]}
 */
record GivenFrames(@Nullable Tensor told, Tensor made) {

    /**
     * @param clean {@code [B, K, G, h, w]}
     * @param stills latents of the first pictures, {@code [B, K, 1, h, w]}; null where nothing is to be given
     * @param share of the clips that have frames given
     */
    static GivenFrames draw(Tensor clean, @Nullable Tensor stills, double share, Random random) {
        int clips = (int) clean.size(0);
        int groups = (int) clean.size(2);
        boolean[] whole = new boolean[clips * groups];
        boolean[] first = new boolean[clips * groups];
        float[] made = new float[clips * groups];
        boolean any = false;
        for (int i = 0; i < clips; i++) {
            boolean[] known = new boolean[groups];
            if (stills != null && groups > 1 && random.nextDouble() < share) {
                any = true;
                if (random.nextDouble() < .25) {
                    first[i * groups] = true;
                } else {
                    known = subset(groups, random);
                }
            }
            int left = groups;
            for (boolean k : known) {
                left -= k ? 1 : 0;
            }
            for (int g = 0; g < groups; g++) {
                whole[i * groups + g] = known[g];
                made[i * groups + g] = known[g] ? 0 : (float) groups / left;
            }
        }
        Tensor weights = Tensor.of(made, clips, 1, groups, 1, 1);
        if (!any || stills == null) {
            return new GivenFrames(null, weights);
        }
        try (Scope s = Scope.open()) {
            Tensor asStill = Tensor.of(first, clips, groups);
            Tensor known = Tensor.where(asStill.reshape(clips, 1, groups, 1, 1), stills, clean);
            return new GivenFrames(
                    s.keep(SpaceTimeNetwork.given(known, Tensor.of(whole, clips, groups), asStill)), weights);
        }
    }

    /** Some latent frames but not all: the beginning, the end, both ends, or any. */
    private static boolean[] subset(int groups, Random random) {
        boolean[] r = new boolean[groups];
        int n = 1 + random.nextInt(groups - 1);
        double kind = random.nextDouble();
        if (kind < .45) {
            Arrays.fill(r, 0, n, true);
        } else if (kind < .6) {
            Arrays.fill(r, groups - n, groups, true);
        } else if (kind < .8 && groups > 2) {
            r[0] = true;
            r[groups - 1] = true;
        } else {
            for (int i = 0; i < n; i++) {
                r[random.nextInt(groups)] = true;
            }
        }
        return r;
    }
}
