package dev.zoetrope.training.language;

import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Which samples go into a batch together: samples of like length, so that little of a batch is padding. */
public final class Packing {
    private static final int POOL = 50; // batches

    private Packing() {}

    /**
     * Batches of like length in a drawn order. Samples are drawn into pools of several batches and sorted there, so that
     * which ones meet changes from epoch to epoch; with pictures and without do not meet, as LLaVA trains.
     *
     * @param lengths of each sample in tokens
     * @param pictures whether a sample has any
     * @param size of a batch; the last of each kind may be smaller
     */
    public static List<int[]> batches(int[] lengths, boolean[] pictures, int size, RandomSource random) {
        List<int[]> all = new ArrayList<>();
        try (Scope s = Scope.open()) {
            long[] order = random.permutation(lengths.length).toLongs();
            for (boolean kind : new boolean[] {true, false}) {
                List<Integer> chosen = Arrays.stream(order)
                        .mapToInt(Math::toIntExact)
                        .filter(i -> pictures[i] == kind)
                        .boxed()
                        .toList();
                int pool = size * POOL;
                for (int from = 0; from < chosen.size(); from += pool) {
                    List<Integer> sorted = new ArrayList<>(chosen.subList(from, Math.min(chosen.size(), from + pool)));
                    sorted.sort(Comparator.comparingInt(i -> -lengths[i]));
                    for (int i = 0; i < sorted.size(); i += size) {
                        all.add(sorted.subList(i, Math.min(sorted.size(), i + size)).stream()
                                .mapToInt(Integer::intValue)
                                .toArray());
                    }
                }
            }
            long[] shuffled = random.permutation(all.size()).toLongs();
            return Arrays.stream(shuffled).mapToObj(i -> all.get((int) i)).toList();
        }
    }
}
