package dev.zoetrope.nn;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The adapters of one weight. Which there are may change while other threads run the layer; merging may not. */
final class LoraStack {
    private record Part(Lora lora, double strength) {}

    private final Tensor weight;
    private final long in;
    private final long out;
    private volatile List<Part> parts = List.of();
    private @Nullable Tensor original; // while merged

    LoraStack(Tensor weight) {
        this.weight = weight;
        in = weight.size(1);
        out = weight.size(0);
    }

    long in() {
        return in;
    }

    long out() {
        return out;
    }

    /** The layer's answer {@code y} to {@code x} with the changes of all adapters. */
    Tensor add(Tensor x, Tensor y) {
        List<Part> now = parts;
        if (now.isEmpty() || original != null) {
            return y;
        }
        try (Scope s = Scope.open()) {
            Tensor sum = y;
            for (Part p : now) {
                sum = sum.add(p.lora().change(x).mul(p.strength()).to(y.dtype()));
            }
            return s.keep(sum);
        }
    }

    /** Adds the adapter, or changes the strength of one that is here. */
    void attach(Lora lora, double strength) {
        List<Part> next = without(lora);
        next.add(new Part(lora, strength));
        parts = List.copyOf(next);
    }

    void detach(Lora lora) {
        parts = List.copyOf(without(lora));
    }

    private List<Part> without(Lora lora) {
        if (original != null) {
            throw new IllegalStateException(
                    weight.name() + " has its adapters merged in: unmerge them before they are changed");
        }
        List<Part> r = new ArrayList<>(parts);
        r.removeIf(p -> p.lora() == lora);
        return r;
    }

    void merge() {
        if (original != null || parts.isEmpty()) {
            return;
        }
        if (weight.isClosed()) {
            throw new UserError(weight.name() + " is packed into fewer bits: adapters stay beside it, unmerged");
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor sum = weight.to(wider(weight.dtype()));
            for (Part p : parts) {
                sum = sum.add(p.lora().matrix().mul(p.strength()));
            }
            original = Scope.detach(weight.copy());
            weight.copyInPlace(sum);
        }
    }

    void unmerge() {
        Tensor before = original;
        if (before != null) {
            try (Autograd.Mode off = Autograd.off()) {
                weight.copyInPlace(before);
            }
            before.close();
            original = null;
        }
    }

    /** Half precision sums are rounded once, at the end. */
    private static DType wider(DType type) {
        return type == DType.FLOAT64 ? type : DType.FLOAT32;
    }
}
