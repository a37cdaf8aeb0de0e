package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Ranges of a file as tensors, without a copy where the element type allows it. Mapped when first needed. */
final class MappedFile implements AutoCloseable {
    private final Path path;
    private final long size;
    private @Nullable Tensor map;

    MappedFile(Path path, long size) {
        this.path = path;
        this.size = size;
    }

    /** The elements from a byte offset on, row by row; the caller has checked that they lie inside the file. */
    Tensor view(long offset, DType dtype, long... shape) {
        long bytes = Arrays.stream(shape).reduce(dtype.bytes(), Math::multiplyExact);
        if (bytes == 0) {
            return Tensor.zeros(dtype, Device.CPU, shape);
        }
        if (map == null) {
            map = Scope.detach(Tensor.map(path, size));
        }
        try (Scope s = Scope.open()) {
            Tensor raw = map.narrow(0, offset, bytes);
            if (dtype == DType.BOOL) {
                // A byte that is neither 0 nor 1 is not a boolean for the engine's kernels.
                return s.keep(raw.ne(0).view(shape));
            }
            // The engine reads elements at multiples of their size only.
            Tensor aligned = offset % dtype.bytes() == 0 ? raw : raw.copy();
            return s.keep(aligned.viewAs(dtype).view(shape));
        }
    }

    /** Tensors that were taken keep the map alive for themselves. */
    @Override
    public void close() {
        if (map != null) {
            map.close();
            map = null;
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
