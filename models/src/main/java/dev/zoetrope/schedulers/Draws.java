package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/** Where all random numbers of a generation come from. */
public final class Draws implements Noise, AutoCloseable {
    private final Noise source;
    private final List<RandomSource> owned;

    private Draws(Noise source, List<RandomSource> owned) {
        this.source = source;
        this.owned = owned;
    }

    /** One generator for the whole batch, as the reference draws it. */
    public static Draws ofSeed(long seed) {
        RandomSource random = RandomSource.of(seed);
        return new Draws(random::normal, List.of(random));
    }

    /** A generator for each sample of the batch: each comes out as if it were alone. */
    public static Draws perSample(List<Long> seeds) {
        List<RandomSource> sources = seeds.stream().map(RandomSource::of).toList();
        return new Draws(
                shape -> {
                    long[] one = shape.clone();
                    one[0] = 1;
                    List<Tensor> rows = new ArrayList<>();
                    try (Scope s = Scope.open()) {
                        for (RandomSource random : sources) {
                            rows.add(random.normal(one));
                        }
                        return s.keep(shape[0] == 1 ? rows.get(0) : Tensor.cat(0, rows));
                    }
                },
                sources);
    }

    /** Stored noise, in the order of drawing. */
    public static Draws given(List<Tensor> noise) {
        Iterator<Tensor> rest = noise.iterator();
        return new Draws(
                shape -> {
                    if (!rest.hasNext()) {
                        throw new IllegalStateException("only " + noise.size() + " draws of noise were given");
                    }
                    return rest.next();
                },
                List.of());
    }

    @Override
    public Tensor draw(long... shape) {
        return source.draw(shape);
    }

    @Override
    public void close() {
        owned.forEach(RandomSource::close);
    }
}
