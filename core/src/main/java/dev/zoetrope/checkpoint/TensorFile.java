package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import java.util.Map;

/** One file of named tensors: what it holds is known after opening, the values are read when asked for. */
interface TensorFile extends AutoCloseable {
    /** Element type and shape of a tensor that has not been read yet. */
    interface Entry {
        DType dtype();

        long[] shape();
    }

    /** What messages call the file. */
    String name();

    /** By name, in the order of the file. */
    Map<String, ? extends Entry> entries();

    Map<String, String> metadata();

    /** A view of the mapped file where that is possible, else a copy; owned by the innermost scope. */
    Tensor read(String name);

    /** Lets go of the map; tensors that were read stay valid. */
    @Override
    void close();
}
