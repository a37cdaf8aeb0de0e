package dev.zoetrope.training;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What processes that train one model tell each other: gradients are summed, and each process holds the optimiser's state
 * of a part of the parameters only, moves these, and hands them to the others (ZeRO stage 1, arXiv:1910.02054).
 */
final class DataParallel {
    /** Gradients that travel together, so that many small tensors do not cost a round each. */
    private static final long BUCKET_BYTES = 4 << 20;

    private final ProcessGroup group;
    private final Map<String, Tensor> parameters;
    private final List<String> names;
    private final List<List<String>> owned = new ArrayList<>(); // by process
    private final Set<String> moved = new TreeSet<>();
    private Set<String> present = Set.of();

    DataParallel(ProcessGroup group, Map<String, Tensor> parameters) {
        this.group = group;
        this.parameters = parameters;
        names = List.copyOf(parameters.keySet());
        long[] load = new long[group.size()];
        for (int i = 0; i < group.size(); i++) {
            owned.add(new ArrayList<>());
        }
        names.stream()
                .sorted(Comparator.<String>comparingLong(n -> -tensor(n).numel())
                        .thenComparing(n -> n))
                .forEach(name -> {
                    int least = 0;
                    for (int i = 1; i < load.length; i++) {
                        least = load[i] < load[least] ? i : least;
                    }
                    load[least] += tensor(name).numel();
                    owned.get(least).add(name);
                });
    }

    private Tensor tensor(String name) {
        return java.util.Objects.requireNonNull(parameters.get(name));
    }

    /** The parameters that this process moves. */
    Map<String, Tensor> own() {
        Map<String, Tensor> r = new LinkedHashMap<>();
        Set<String> mine = Set.copyOf(owned.get(group.rank()));
        parameters.forEach((name, t) -> {
            if (mine.contains(name)) {
                r.put(name, t);
            }
        });
        return r;
    }

    /**
     * Replaces the gradients by their sums over all processes; a parameter has one if it has one anywhere.
     *
     * @param loss of this process
     * @return the sum of the losses
     */
    double reduce(double loss) {
        if (group.size() == 1) {
            return loss;
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            double[] said = new double[names.size() + 1];
            said[0] = loss;
            for (int i = 0; i < names.size(); i++) {
                said[i + 1] = tensor(names.get(i)).grad() == null ? 0 : 1;
            }
            Tensor all = Tensor.of(said, said.length);
            group.sum(all);
            double[] heard = all.toDoubles();
            List<String> having = new ArrayList<>();
            for (int i = 0; i < names.size(); i++) {
                if (heard[i + 1] > 0) {
                    having.add(names.get(i));
                }
            }
            present = Set.copyOf(having);
            List<List<String>> buckets = buckets(having);
            List<Tensor> flats = new ArrayList<>();
            List<ProcessGroup.Pending> travelling = new ArrayList<>();
            for (List<String> bucket : buckets) { // one is on its way while the next is packed
                Tensor flat = Tensor.cat(
                        0, bucket.stream().map(name -> gradient(tensor(name))).toList());
                flats.add(flat);
                travelling.add(group.sumLater(flat));
            }
            for (int i = 0; i < buckets.size(); i++) {
                travelling.get(i).await();
                unpack(buckets.get(i), flats.get(i), (name, part) -> tensor(name)
                        .setGrad(part));
            }
            return heard[0];
        }
    }

    private static Tensor gradient(Tensor parameter) {
        Tensor g = parameter.grad();
        return g == null ? Tensor.zeros(parameter.dtype(), Device.CPU, parameter.numel()) : g.reshape(-1);
    }

    private interface Taker {
        void take(String name, Tensor part);
    }

    private void unpack(List<String> bucket, Tensor flat, Taker taker) {
        long at = 0;
        for (String name : bucket) {
            Tensor p = tensor(name);
            taker.take(name, flat.narrow(0, at, p.numel()).reshape(p.shape()));
            at += p.numel();
        }
    }

    /** Neighbours of one type, up to {@link #BUCKET_BYTES} together. */
    private List<List<String>> buckets(List<String> some) {
        List<List<String>> r = new ArrayList<>();
        long bytes = 0;
        DType type = null;
        for (String name : some) {
            Tensor p = tensor(name);
            long size = p.numel() * p.dtype().bytes();
            if (r.isEmpty() || bytes + size > BUCKET_BYTES || p.dtype() != type) {
                r.add(new ArrayList<>());
                bytes = 0;
            }
            r.get(r.size() - 1).add(name);
            bytes += size;
            type = p.dtype();
        }
        return r;
    }

    /** After the optimiser's step: every process takes over what the others moved. */
    void spread() {
        if (group.size() == 1) {
            return;
        }
        moved.addAll(present);
        try (Autograd.Mode off = Autograd.off()) {
            for (int owner = 0; owner < group.size(); owner++) {
                List<String> theirs =
                        owned.get(owner).stream().filter(present::contains).toList();
                for (List<String> bucket : buckets(theirs)) {
                    try (Scope s = Scope.open()) {
                        Tensor flat = Tensor.cat(
                                0,
                                bucket.stream().map(n -> tensor(n).reshape(-1)).toList());
                        group.broadcast(flat, owner);
                        if (owner != group.rank()) {
                            unpack(bucket, flat, (name, part) -> tensor(name).copyInPlace(part));
                        }
                    }
                }
            }
        }
    }

    /** This process's part of a saved state of the optimiser. */
    Map<String, Tensor> part(Map<String, Tensor> saved) {
        if (group.size() == 1) {
            return saved;
        }
        Map<String, Tensor> r = new LinkedHashMap<>();
        Map<String, Tensor> own = own();
        saved.forEach((key, t) -> {
            String name = Optimizer.parameterOf(key);
            moved.add(name);
            if (own.containsKey(name)) {
                r.put(key, t);
            }
        });
        return r;
    }

    /** The optimiser's state of all parameters, from that of each process's own; owned by the innermost scope. */
    Map<String, Tensor> whole(Map<String, Tensor> own, List<String> suffixes) {
        if (group.size() == 1) {
            return own;
        }
        Map<String, Tensor> all = new LinkedHashMap<>();
        try (Autograd.Mode off = Autograd.off()) {
            for (int owner = 0; owner < group.size(); owner++) {
                for (String name : owned.get(owner)) {
                    if (moved.contains(name)) {
                        for (String suffix : suffixes) {
                            Tensor t = owner == group.rank()
                                    ? java.util.Objects.requireNonNull(own.get(name + suffix), name + suffix)
                                    : Optimizer.blank(suffix, tensor(name));
                            group.broadcast(t, owner);
                            all.put(name + suffix, t);
                        }
                    }
                }
            }
        }
        return all;
    }
}
