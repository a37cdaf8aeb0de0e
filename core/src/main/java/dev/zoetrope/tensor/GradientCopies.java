package dev.zoetrope.tensor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Gradients of the same parameters apart for each of several threads, so that their sum does not depend on which thread
 * comes first. A thread that {@link #enter enters} a copy sees, in place of each parameter, a leaf of the same memory with
 * a gradient of its own; copy 0 is the parameters themselves.
 *
 * <pre>{@code
 * try (GradientCopies.Entered copy = copies.enter(worker)) {
 *     loss(model).backward();
 * }
 * ... when all threads are done:
 * copies.sum();
 * }</pre>
 */
public final class GradientCopies implements AutoCloseable {
    private static final ThreadLocal<@Nullable Entered> CURRENT = new ThreadLocal<>();

    private final List<Tensor> parameters;
    private final List<List<Tensor>> leaves = new ArrayList<>(); // of copies 1, 2, ..

    /** @param copies how many threads train; the parameters stay the caller's, and must not be in two of these */
    public GradientCopies(Collection<Tensor> parameters, int copies) {
        this.parameters = List.copyOf(parameters);
        for (int i = 1; i < copies; i++) {
            leaves.add(this.parameters.stream()
                    .map(p -> Scope.detach(p.detach().named(p.name()).requireGrad(true)))
                    .toList());
        }
        for (int i = 0; i < this.parameters.size(); i++) {
            int index = i;
            this.parameters
                    .get(i)
                    .standIns(this, leaves.stream().map(l -> l.get(index)).toArray(Tensor[]::new));
        }
    }

    /** While it is open, its thread works on one copy. */
    public static final class Entered implements AutoCloseable {
        private final GradientCopies copies;
        private final int copy;

        private Entered(GradientCopies copies, int copy) {
            this.copies = copies;
            this.copy = copy;
            CURRENT.set(this);
        }

        @Override
        public void close() {
            CURRENT.remove();
        }
    }

    public Entered enter(int copy) {
        return new Entered(this, copy);
    }

    /** Which of the stand-ins this thread sees; -1 for the parameter itself. */
    int current() {
        Entered e = CURRENT.get();
        return e == null || e.copies != this ? -1 : e.copy - 1;
    }

    /** Leaves in the parameters the sum over all copies, pair by pair in one order, and the copies without gradients. */
    public void sum() {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            int n = leaves.size() + 1;
            for (int stride = 1; stride < n; stride *= 2) {
                for (int i = 0; i + stride < n; i += 2 * stride) {
                    add(copy(i), copy(i + stride));
                }
            }
        }
        leaves.forEach(copy -> copy.forEach(Tensor::zeroGrad));
    }

    private static void add(List<Tensor> to, List<Tensor> from) {
        List<Tensor> sums = new ArrayList<>();
        List<Tensor> more = new ArrayList<>();
        for (int i = 0; i < to.size(); i++) {
            Tensor g = from.get(i).grad();
            if (g != null) {
                Tensor sum = to.get(i).grad();
                if (sum == null) {
                    to.get(i).setGrad(g);
                } else {
                    sums.add(sum);
                    more.add(g);
                }
            }
        }
        Foreach.add(sums, more);
    }

    private List<Tensor> copy(int i) {
        return i == 0 ? parameters : leaves.get(i - 1);
    }

    @Override
    public void close() {
        parameters.forEach(p -> p.standIns(null));
        leaves.forEach(copy -> copy.forEach(Tensor::close));
        leaves.clear();
    }
}
