package dev.zoetrope.models.language;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Beam search: of each row the likeliest continuations are followed side by side, and the one with the best sum of log
 * probabilities, divided by a power of its length, is written.
 *
 * <p>Axes: B rows, N beams, V vocabulary.
 */
final class Beams {
    private static final double NEVER = -1e9;

    /** A continuation so far with the sum of its log probabilities, or as a complete one with that over its length. */
    private record Beam(long[] tokens, double score) {
        Beam and(long token, double sum) {
            long[] more = Arrays.copyOf(tokens, tokens.length + 1);
            more[tokens.length] = token;
            return new Beam(more, sum);
        }
    }

    /** A candidate: which beam it goes on from, with which token. */
    private record Next(int beam, long token, double sum) {}

    /** The beams of one row. */
    private static final class Row {
        final long[] history;
        List<Beam> running;
        final List<Beam> complete = new ArrayList<>(); // best first
        boolean improvable = true;

        Row(long[] history, int beams) {
            this.history = history;
            running = new ArrayList<>();
            for (int i = 0; i < beams; i++) { // all start alike: only the first counts, or all would go on alike
                running.add(new Beam(new long[0], i == 0 ? 0 : NEVER));
            }
        }
    }

    private final Steps steps;
    private final Generation.Options options;
    private final Generation.Observer observer;
    private final List<Row> rows = new ArrayList<>();
    private final int beams;

    Beams(Steps steps, Tensor history, Generation.Options options, Generation.Observer observer) {
        this.steps = steps;
        this.options = options;
        this.observer = observer;
        beams = options.beams();
        int length = (int) history.size(1);
        long[] ids = history.toLongs();
        for (int i = 0; i < history.size(0); i++) {
            rows.add(new Row(Arrays.copyOfRange(ids, i * length, (i + 1) * length), beams));
        }
    }

    /** {@code [B, new]}. */
    Tensor run() {
        int[] each = IntStream.range(0, rows.size() * beams).map(i -> i / beams).toArray();
        long[] chosen = new long[0];
        boolean more = true;
        for (int length = 1; more; length++) {
            int[] parents = new int[rows.size() * beams];
            long[] next = new long[parents.length];
            boolean goesOn = false;
            try (Scope s = Scope.open()) {
                Tensor scores;
                if (length == 1) {
                    scores = steps.first().indexSelect(0, tensor(each));
                    steps.select(tensor(each));
                } else {
                    scores = steps.next(Tensor.of(chosen, chosen.length));
                }
                observer.scores(scores);
                Tensor logs =
                        options.sampling().restrained(scores.to(DType.FLOAT32).logSoftmax(-1), history()); // [B N, V]
                for (int r = 0; r < rows.size(); r++) {
                    List<Next> best = best(rows.get(r), logs.narrow(0, (long) r * beams, beams));
                    goesOn |= advance(r, best, length, parents, next);
                }
                steps.select(tensor(parents));
            }
            chosen = next;
            more = goesOn && rows.stream().anyMatch(row -> row.improvable) && !allFull();
        }
        return result();
    }

    private boolean allFull() {
        return options.earlyStopping() && rows.stream().allMatch(row -> row.complete.size() == beams);
    }

    /** {@code [B N, T]}, what each beam has said. */
    private Tensor history() {
        List<long[]> all = new ArrayList<>();
        for (Row row : rows) {
            for (Beam b : row.running) {
                long[] said = Arrays.copyOf(row.history, row.history.length + b.tokens.length);
                System.arraycopy(b.tokens, 0, said, row.history.length, b.tokens.length);
                all.add(said);
            }
        }
        return Tensor.of(all.stream().flatMapToLong(Arrays::stream).toArray(), all.size(), all.get(0).length);
    }

    /** The likeliest candidates of a row, best first: enough that as many beams as before can go on. */
    private List<Next> best(Row row, Tensor logs) {
        int keep = Math.max(2, 1 + options.ends().size()) * beams;
        float[] sums = new float[beams];
        for (int i = 0; i < beams; i++) {
            sums[i] = (float) row.running.get(i).score;
        }
        Tensor all = logs.to(Device.CPU).add(Tensor.of(sums, beams, 1)).reshape(-1); // [N V]
        Tensor.Ranked top = all.topk(Math.min(keep, all.numel()), 0);
        float[] values = top.values().toFloats();
        long[] places = top.indices().toLongs();
        long vocabulary = logs.size(1);
        List<Next> r = new ArrayList<>();
        for (int i = 0; i < places.length; i++) {
            r.add(new Next((int) (places[i] / vocabulary), places[i] % vocabulary, values[i]));
        }
        return r;
    }

    /** Files complete candidates and goes on with the best of the others; false where none can go on. */
    private boolean advance(int number, List<Next> best, int length, int[] parents, long[] next) {
        Row row = rows.get(number);
        boolean last = length == options.maxNewTokens();
        boolean open = false;
        boolean full = options.earlyStopping() && row.complete.size() == beams;
        for (int i = 0; i < best.size(); i++) {
            Next n = best.get(i);
            boolean ends = last || options.ends().contains((int) n.token);
            open |= !ends;
            if (ends && i < beams && row.improvable && !full) {
                double score = n.sum / Math.pow(length, options.lengthPenalty());
                row.complete.add(row.running.get(n.beam).and(n.token, score));
            }
        }
        row.complete.sort(Comparator.comparingDouble(Beam::score).reversed());
        if (row.complete.size() > beams) {
            row.complete.subList(beams, row.complete.size()).clear();
        }
        List<Next> on = new ArrayList<>(best);
        if (!last) { // those that ended come last, should there be too few others
            on.sort(Comparator.comparing(n -> options.ends().contains((int) n.token)));
        }
        List<Beam> running = new ArrayList<>();
        for (int i = 0; i < beams; i++) {
            Next n = on.get(i);
            boolean ended = last || options.ends().contains((int) n.token);
            running.add(row.running.get(n.beam).and(n.token, ended ? n.sum + NEVER : n.sum));
            parents[number * beams + i] = number * beams + n.beam;
            next[number * beams + i] = n.token;
        }
        row.running = running;
        double possible = running.get(0).score / Math.pow(length, options.lengthPenalty());
        double worst = row.complete.size() < beams ? NEVER : row.complete.get(beams - 1).score;
        row.improvable &= row.complete.isEmpty() || possible > worst;
        return open;
    }

    private Tensor result() {
        List<long[]> best = rows.stream()
                .map(r -> r.complete.isEmpty() ? r.running.get(0).tokens : r.complete.get(0).tokens)
                .toList();
        int width = best.stream().mapToInt(t -> t.length).max().orElse(0);
        long[] all = new long[best.size() * width];
        Arrays.fill(all, options.pad());
        for (int i = 0; i < best.size(); i++) {
            System.arraycopy(best.get(i), 0, all, i * width, best.get(i).length);
        }
        return Tensor.of(all, best.size(), width);
    }

    private static Tensor tensor(int... values) {
        return Tensor.of(Arrays.stream(values).asLongStream().toArray(), values.length);
    }
}
