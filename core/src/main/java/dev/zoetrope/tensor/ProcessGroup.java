package dev.zoetrope.tensor;

import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Work;
import org.jspecify.annotations.Nullable;

/**
 * Processes that compute together, each with a number, its rank: libtorch's own process group over Gloo. All of them make
 * the same calls in the same order; a call waits for the others. One that lost another process fails with an exception.
 */
public final class ProcessGroup implements AutoCloseable {
    /** A process by itself, for which every call is nothing to do. */
    public static final ProcessGroup ALONE = new ProcessGroup(0, 1, null, null);

    private final int rank;
    private final int size;
    private final @Nullable FileStore store;
    private final @Nullable ProcessGroupGloo gloo;

    private ProcessGroup(int rank, int size, @Nullable FileStore store, @Nullable ProcessGroupGloo gloo) {
        this.rank = rank;
        this.size = size;
        this.store = store;
        this.gloo = gloo;
    }

    /**
     * Waits until all are there.
     *
     * @param meeting a file that all can write to and that none of another group used, by which they find each other
     * @param host name or address of this machine under which the others reach it
     * @param seconds to wait for another process, here and in every call
     */
    public static ProcessGroup join(Path meeting, String host, int rank, int size, int seconds) {
        if (rank < 0 || rank >= size) {
            throw new IllegalArgumentException("rank " + rank + " of " + size + " processes");
        }
        Engine.load();
        try {
            FileStore store = new FileStore(meeting.toString(), size);
            ProcessGroupGloo.Options options = ProcessGroupGloo.Options.create();
            options.devices().push_back(ProcessGroupGloo.createDeviceForHostname(host));
            options.timeout(new Milliseconds(seconds * 1000L));
            return new ProcessGroup(rank, size, store, new ProcessGroupGloo(store, rank, size, options));
        } catch (RuntimeException e) {
            throw new UserError(
                    "process " + rank + " of " + size + " did not find the others by way of " + meeting + ": "
                            + TensorException.of("join", e).getMessage(),
                    e);
        }
    }

    public int rank() {
        return rank;
    }

    public int size() {
        return size;
    }

    /** Something that goes on while this process does other things. */
    public interface Pending {
        /** Returns when it is done. */
        void await();
    }

    /** Replaces a contiguous tensor, the same in shape everywhere, by the sum over all processes. */
    public void sum(Tensor t) {
        sumLater(t).await();
    }

    /** Begins a {@link #sum}; until it is done the tensor is not to be touched. */
    public Pending sumLater(Tensor t) {
        if (gloo == null) {
            return () -> {};
        }
        return pending("all-reduce", t, v -> gloo.allreduce(v));
    }

    /** Replaces a contiguous tensor by that of one process. */
    public void broadcast(Tensor t, int from) {
        if (gloo == null) {
            return;
        }
        try (BroadcastOptions options = new BroadcastOptions()) {
            options.rootRank(from);
            pending("broadcast", t, v -> gloo.broadcast(v, options)).await();
        }
    }

    /** Whether all processes say yes. */
    public boolean all(boolean yes) {
        if (gloo == null) {
            return yes;
        }
        try (Scope s = Scope.open()) {
            Tensor no = Tensor.scalarOf(yes ? 0 : 1);
            sum(no);
            return no.item() == 0;
        }
    }

    private interface Call {
        Work of(TensorVector tensors);
    }

    private Pending pending(String what, Tensor t, Call call) {
        if (!t.isContiguous()) {
            throw new IllegalArgumentException(what + " of a strided view: " + t);
        }
        TensorVector tensors = Tensor.vector(List.of(t));
        Work work = Tensor.native_(what, () -> call.of(tensors), t);
        return () -> {
            try (tensors;
                    work) {
                Tensor.native_(what, work::_wait, t);
            }
        };
    }

    @Override
    public void close() {
        if (gloo != null) {
            gloo.close();
        }
        if (store != null) {
            store.close();
        }
    }
}
