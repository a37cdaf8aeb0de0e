package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * What the levels below the top one made of an earlier step, used again for the steps between, arXiv:2312.00858: deep
 * features change slowly from step to step. Of one run.
 */
public final class DeepCache implements AutoCloseable {
    private final int every;
    private final List<Tensor> deep = new ArrayList<>(); // of each pass of a step
    private long step = -1;
    private int pass;

    /** @param every steps from one full computation to the next; 1 for all of them */
    public DeepCache(int every) {
        Check.positive(every, "cache_steps");
        this.every = every;
    }

    /** The next step begins; it may take several passes through the network, the same in each step. */
    public void nextStep() {
        step++;
        pass = 0;
        if (isFull()) {
            close();
        }
    }

    /** Whether all levels are computed in this step. */
    boolean isFull() {
        return step % every == 0;
    }

    void keep(Tensor made) {
        if (every > 1) {
            deep.add(Scope.detach(made.copy()));
        }
    }

    Tensor take() {
        return deep.get(pass++);
    }

    @Override
    public void close() {
        deep.forEach(Tensor::close);
        deep.clear();
    }
}
