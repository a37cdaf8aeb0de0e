package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * A checkpoint that {@code torch.save} wrote, as a zip archive (PyTorch 1.6 and later) or as the pickles in a row of
 * the releases before. Dictionaries and lists inside one another give names joined by dots.
 *
 * <p>Trainers save more than the weights. Where the top has a dictionary {@code state_dict}, only that is shown; where
 * all tensors lie below one key of the top, that key is not part of the names.
 */
final class PickleFile implements TensorFile {
    private static final long MAX_PICKLE = 64 << 20;
    private static final int MAX_DEPTH = 32;
    private static final int MAX_VALUES = 1_000_000;
    private static final int MAX_TENSORS = 200_000;
    private static final int MAX_NAME = 2_000;
    private static final int ZIP = 0x04034b50;
    private static final BigInteger LEGACY_MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
    private static final long LEGACY_PROTOCOL = 1001;

    /** A tensor and where its storage begins in the file. */
    private record Located(Pickle.Strided tensor, long storageOffset) implements Entry {
        @Override
        public DType dtype() {
            return tensor.dtype();
        }

        @Override
        public long[] shape() {
            return tensor.shape().stream().mapToLong(Long::longValue).toArray();
        }
    }

    private record Range(long offset, long bytes) {}

    private final MappedFile file;
    private final Map<String, Located> entries = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private int visited;

    private PickleFile(MappedFile file) {
        this.file = file;
    }

    static PickleFile open(Path path) {
        try (FileChannel channel = FileChannel.open(path)) {
            PickleFile f = new PickleFile(new MappedFile(path, channel.size()));
            Pickle.Input start = new Pickle.Input(Channels.newInputStream(channel.position(0)), 4);
            if (channel.size() < 4) {
                throw f.refuse("it has " + channel.size() + " bytes, which is no PyTorch checkpoint");
            }
            if (start.unsigned(4) == ZIP) {
                f.readZip(channel);
            } else {
                f.readLegacy(channel);
            }
            return f;
        } catch (NoSuchFileException e) {
            throw new UserError(path + ": there is no such file", e);
        } catch (IOException e) {
            throw new UserError(path + ": cannot read: " + e, e);
        }
    }

    // ---- the two containers ----

    private void readZip(FileChannel channel) throws IOException {
        Map<String, ZipDirectory.Entry> zip = ZipDirectory.read(channel, name());
        List<String> pickles =
                zip.keySet().stream().filter(n -> n.matches("[^/]+/data\\.pkl")).toList();
        if (pickles.size() != 1) {
            throw refuse("a PyTorch archive has one data.pkl, this zip has " + pickles.size());
        }
        String folder = pickles.get(0).substring(0, pickles.get(0).length() - "data.pkl".length());
        if (zip.containsKey(folder + "constants.pkl")) {
            throw refuse("this is a TorchScript program, not a checkpoint; save its state dictionary as safetensors");
        }
        zip.forEach((n, e) -> {
            if (e.compressed()) {
                throw refuse("entry " + n + " is compressed, which PyTorch never does; save the checkpoint again");
            }
        });
        ZipDirectory.Entry order = zip.get(folder + "byteorder");
        if (order != null && !text(channel, order).equals("little")) {
            throw refuse("it was written on a big-endian machine, which is not supported");
        }
        ZipDirectory.Entry pickle = zip.get(pickles.get(0));
        if (pickle.size() > MAX_PICKLE) {
            throw refuse("its data.pkl of " + pickle.size() + " bytes is larger than " + MAX_PICKLE);
        }
        Object top = Pickle.read(input(channel, pickle.offset(), pickle.size()), name());
        Map<String, Range> storages = new HashMap<>();
        zip.forEach((n, e) -> {
            if (n.startsWith(folder + "data/")) {
                storages.put(n.substring(folder.length() + "data/".length()), new Range(e.offset(), e.size()));
            }
        });
        collectTop(top, storages);
    }

    private void readLegacy(FileChannel channel) throws IOException {
        Pickle.Input in = input(channel, 0, Math.min(channel.size(), MAX_PICKLE));
        if (in.u1() != 0x80) {
            throw refuse("it is neither a PyTorch archive nor a pickle");
        }
        in = input(channel, 0, Math.min(channel.size(), MAX_PICKLE));
        Object magic = Pickle.read(in, name());
        if (!LEGACY_MAGIC.equals(magic)) {
            throw refuse("it is a pickle, but not one of PyTorch's checkpoints");
        }
        Object protocol = Pickle.read(in, name());
        Object system = Pickle.read(in, name());
        if (!protocol.equals(LEGACY_PROTOCOL)
                || !(system instanceof Map<?, ?> m && Boolean.TRUE.equals(m.get("little_endian")))) {
            throw refuse("its protocol or byte order is not supported");
        }
        Object top = Pickle.read(in, name());
        Object keys = Pickle.read(in, name());
        // Behind the pickles: for each storage, in the order of the keys, its length and its elements.
        Map<String, Pickle.Storage> types = new HashMap<>();
        collectStorages(top, types, 0);
        Map<String, Range> storages = new HashMap<>();
        long at = in.position();
        for (Object key : keys instanceof List<?> l ? l : List.of()) {
            Pickle.Storage s = key instanceof String text ? types.get(text) : null;
            if (s == null || s.dtype() == null || channel.size() - at < 8) {
                throw refuse("its list of storages is damaged");
            }
            long numel = input(channel, at, 8).unsigned(8);
            if (numel != s.numel()
                    || numel < 0
                    || numel > (channel.size() - at - 8) / s.dtype().bytes()) {
                throw refuse(
                        "storage " + key + " of " + numel + " elements does not fit into the file; it is cut short");
            }
            storages.put(s.key(), new Range(at + 8, numel * s.dtype().bytes()));
            at += 8 + numel * s.dtype().bytes();
        }
        collectTop(top, storages);
    }

    private static Pickle.Input input(FileChannel channel, long offset, long size) throws IOException {
        InputStream in = Channels.newInputStream(channel.position(offset));
        return new Pickle.Input(new BufferedInputStream(in, (int) Math.max(1, Math.min(size, 1 << 16))), size);
    }

    private static String text(FileChannel channel, ZipDirectory.Entry e) throws IOException {
        byte[] b = input(channel, e.offset(), e.size()).bytes(Math.min(e.size(), 16));
        return new String(b, StandardCharsets.US_ASCII).strip();
    }

    // ---- from values to names ----

    private void collectTop(Object top, Map<String, Range> storages) {
        Object root = top instanceof Map<?, ?> m && m.get("state_dict") instanceof Map<?, ?> weights ? weights : top;
        if (root instanceof Map<?, ?> m) {
            List<String> holders = new ArrayList<>();
            for (Map.Entry<?, ?> e : m.entrySet()) {
                int before = entries.size();
                collect(e.getKey().toString(), e.getValue(), storages, 1);
                if (entries.size() > before) {
                    holders.add(e.getValue() instanceof Pickle.Strided ? "" : e.getKey() + ".");
                }
            }
            if (holders.size() == 1) {
                Map<String, Located> longer = new LinkedHashMap<>(entries);
                entries.clear();
                longer.forEach((k, v) -> entries.put(k.substring(holders.get(0).length()), v));
            }
        } else {
            collect(root instanceof Pickle.Strided ? "tensor" : "", root, storages, 0);
        }
        if (top instanceof Map<?, ?> m) {
            m.forEach((k, v) -> {
                if (v instanceof String || v instanceof Number || v instanceof Boolean) {
                    metadata.put(k.toString(), v.toString());
                }
            });
        }
        if (entries.isEmpty()) {
            throw refuse("it holds no tensors");
        }
    }

    private void collect(String name, Object value, Map<String, Range> storages, int depth) {
        visit(depth);
        if (name.length() > MAX_NAME) {
            throw refuse("a tensor has a name longer than " + MAX_NAME);
        }
        if (value instanceof Pickle.Strided t) {
            if (entries.size() == MAX_TENSORS) {
                throw refuse("it holds more than " + MAX_TENSORS + " tensors");
            }
            if (entries.put(name, located(name, t, storages)) != null) {
                throw refuse("two tensors are called '" + name + "'");
            }
            return;
        }
        String prefix = name.isEmpty() ? "" : name + ".";
        if (value instanceof Map<?, ?> m) {
            m.forEach((k, v) -> collect(prefix + k, v, storages, depth + 1));
        } else if (value instanceof List<?> || value instanceof Pickle.Tuple) {
            List<?> items = value instanceof Pickle.Tuple t ? t.items() : (List<?>) value;
            for (int i = 0; i < items.size(); i++) {
                collect(prefix + i, items.get(i), storages, depth + 1);
            }
        }
    }

    private void collectStorages(Object value, Map<String, Pickle.Storage> into, int depth) {
        visit(depth);
        if (value instanceof Pickle.Strided t) {
            into.put(t.storage().key(), t.storage());
        } else if (value instanceof Map<?, ?> m) {
            m.values().forEach(v -> collectStorages(v, into, depth + 1));
        } else if (value instanceof List<?> l) {
            l.forEach(v -> collectStorages(v, into, depth + 1));
        } else if (value instanceof Pickle.Tuple t) {
            t.items().forEach(v -> collectStorages(v, into, depth + 1));
        }
    }

    /** A pickle can hold itself, or a few lines that unfold to billions of values. */
    private void visit(int depth) {
        if (depth > MAX_DEPTH || ++visited > MAX_VALUES) {
            throw refuse("its values are nested deeper than " + MAX_DEPTH + " or unfold to more than " + MAX_VALUES);
        }
    }

    private Located located(String name, Pickle.Strided t, Map<String, Range> storages) {
        Range range = storages.get(t.storage().key());
        if (range == null) {
            throw refuse("tensor '" + name + "' lies in storage " + t.storage().key() + ", which is missing");
        }
        int axes = t.shape().size();
        boolean fits = axes == t.strides().size() && axes <= 64 && t.offset() >= 0;
        try {
            long last = t.offset();
            long numel = 1;
            for (int i = 0; fits && i < axes; i++) {
                long size = t.shape().get(i);
                long stride = t.strides().get(i);
                fits = size >= 0 && stride >= 0;
                numel = Math.multiplyExact(numel, size);
                last = Math.addExact(last, Math.multiplyExact(Math.max(size - 1, 0), stride));
            }
            fits = fits
                    && Math.multiplyExact(numel, (long) t.dtype().bytes()) >= 0
                    && (numel == 0
                            || Math.multiplyExact(Math.addExact(last, 1), (long)
                                            t.dtype().bytes())
                                    <= range.bytes());
        } catch (ArithmeticException e) {
            fits = false;
        }
        if (!fits) {
            throw refuse("tensor '" + name + "' of shape " + t.shape() + " with strides " + t.strides()
                    + " from element " + t.offset() + " does not fit into its storage of " + range.bytes() + " bytes");
        }
        return new Located(t, range.offset());
    }

    // ---- reading ----

    @Override
    public Tensor read(String name) {
        Located e = entries.get(name);
        if (e == null) {
            throw new IllegalArgumentException(file + " has no tensor " + name);
        }
        Pickle.Strided t = e.tensor();
        long[] shape = e.shape();
        long start = e.storageOffset() + t.offset() * t.dtype().bytes();
        int[] order = IntStream.range(0, shape.length)
                .boxed()
                .sorted(Comparator.comparingLong((Integer i) -> -t.strides().get(i)))
                .mapToInt(Integer::intValue)
                .toArray();
        if (!isDense(t, order)) {
            return gathered(e, shape).named(name);
        }
        // In the order of falling strides the elements follow each other; the axes are then put back into place.
        long[] stored = IntStream.of(order).mapToLong(i -> shape[i]).toArray();
        long[] back = new long[shape.length];
        for (int i = 0; i < order.length; i++) {
            back[order[i]] = i;
        }
        try (Scope s = Scope.open()) {
            Tensor dense = file.view(start, t.dtype(), stored);
            return s.keep(shape.length < 2 ? dense : dense.permute(back)).named(name);
        }
    }

    private static boolean isDense(Pickle.Strided t, int... order) {
        if (t.shape().contains(0L)) {
            return true; // whatever its strides say, there is nothing to read
        }
        long expected = 1;
        for (int k = order.length - 1; k >= 0; k--) {
            int axis = order[k];
            if (t.shape().get(axis) != 1 && t.strides().get(axis) != expected) {
                return false;
            }
            expected *= t.shape().get(axis);
        }
        return true;
    }

    /** A copy of elements that are spread over their storage or repeated. */
    private Tensor gathered(Located e, long... shape) {
        Pickle.Strided t = e.tensor();
        try (Scope s = Scope.open()) {
            Tensor index = Tensor.zeros(DType.INT64, Device.CPU);
            long last = 0;
            for (int i = 0; i < shape.length; i++) {
                index = index.unsqueeze(-1)
                        .add(Tensor.arange(shape[i]).mul((long) t.strides().get(i)));
                last += (shape[i] - 1) * t.strides().get(i);
            }
            Tensor all = file.view(e.storageOffset() + t.offset() * t.dtype().bytes(), t.dtype(), last + 1);
            return s.keep(all.indexSelect(0, index.reshape(-1)).reshape(shape));
        }
    }

    @Override
    public String name() {
        return file.toString();
    }

    @Override
    public Map<String, Located> entries() {
        return entries;
    }

    /** Numbers and texts at the top, such as the epoch. */
    @Override
    public Map<String, String> metadata() {
        return metadata;
    }

    @Override
    public void close() {
        file.close();
    }

    private UserError refuse(String reason) {
        return new UserError(name() + ": " + reason);
    }
}
