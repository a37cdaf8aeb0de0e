package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The path into a checkpoint that every module's constructor takes. The same constructor then loads a checkpoint
 * ({@link #load}), draws initial weights for training ({@link #draw}), or only lists names and shapes
 * ({@link #record}): the caller decides, the module cannot tell.
 *
 * <pre>{@code
 * Linear(Weights w, int in, int out) {
 *     weight = w.tensor("weight", Init.fanIn(), out, in);
 *     bias = w.tensor("bias", Init.fanInBias(in), out);
 * }
 * }</pre>
 *
 * <p>What was asked for is remembered in order under its full name: {@link #named()} is what optimisers, savers and
 * averages work on. A name asked for twice is one tensor, shared. Tensors handed out belong to no scope; closing frees
 * all those below this path.
 */
public final class Weights implements AutoCloseable {
    /** What PyTorch-based transformers draw where a layer says nothing. */
    private static final Init ABSENT = Init.normal(0.02);

    private interface Source {
        boolean has(String key);

        /** The tensor as stored or drawn, owned by the innermost scope; refuses one of another shape. */
        Tensor get(String name, FileKey key, Init init, long... shape);
    }

    /** Shared by all paths of one model. */
    private record Root(
            Source source,
            @Nullable Checkpoint file,
            @Nullable DType products,
            Map<String, Tensor> parameters,
            Map<String, Tensor> buffers,
            Map<String, String> tied,
            List<Part> parts) {}

    private record Part(String path, Object value) {}

    private final Root root;
    private final String prefix; // empty, or ends in a dot
    private final UnaryOperator<String> rename;
    private final BiFunction<String, Init, Init> initRule;
    private final @Nullable DType floats;
    private final Device device;
    private final PackedWeight.@Nullable Kind packing;

    private Weights(
            Root root,
            String prefix,
            UnaryOperator<String> rename,
            BiFunction<String, Init, Init> initRule,
            @Nullable DType floats,
            Device device,
            PackedWeight.@Nullable Kind packing) {
        this.root = root;
        this.prefix = prefix;
        this.rename = rename;
        this.initRule = initRule;
        this.floats = floats;
        this.device = device;
        this.packing = packing;
    }

    private static Weights of(Source source, @Nullable Checkpoint file) {
        Root root = new Root(
                source,
                file,
                Fast.type(),
                new LinkedHashMap<>(),
                new LinkedHashMap<>(),
                new LinkedHashMap<>(),
                new ArrayList<>());
        return new Weights(root, "", UnaryOperator.identity(), (name, init) -> init, DType.FLOAT32, Device.CPU, null);
    }

    // ---- where the values come from ----

    /** From a checkpoint, which may be closed once the model stands. Floating types become float32 unless asked. */
    public static Weights load(Checkpoint checkpoint) {
        return of(new Loaded(checkpoint), checkpoint);
    }

    /** Initial values for training, drawn in the order of asking. */
    public static Weights draw(RandomSource random) {
        return of(new Drawn(random), null);
    }

    /** Names and shapes only: every tensor is zeros that take no memory, so a model of any size stands at once. */
    public static Weights record() {
        return of(new Recorded(), null);
    }

    // ---- how they are handed out: views of this path with another policy ----

    /** Floating tensors in this type. */
    public Weights as(DType type) {
        if (!type.isFloating()) {
            throw new IllegalArgumentException(type + " is no floating type");
        }
        return new Weights(root, prefix, rename, initRule, type, device, packing);
    }

    /** Every tensor in the type that the file stores. */
    public Weights asStored() {
        return new Weights(root, prefix, rename, initRule, null, device, packing);
    }

    /** Matrices of linear layers packed into fewer bits as soon as they are there; they then do not train. */
    public Weights packed(PackedWeight.@Nullable Kind kind) {
        return new Weights(root, prefix, rename, initRule, floats, device, kind);
    }

    /** How linear layers are to pack their matrix; null for not at all. */
    public PackedWeight.@Nullable Kind packing() {
        return packing;
    }

    public Weights on(Device place) {
        return new Weights(root, prefix, rename, initRule, floats, place, packing);
    }

    /**
     * For a file in another naming scheme: the full name that the model asks for goes in, the file's comes out. See
     * {@link Renames} for tables, and for parts and transposed matrices.
     */
    public Weights renamed(UnaryOperator<String> toFileName) {
        return new Weights(root, prefix, n -> rename.apply(toFileName.apply(n)), initRule, floats, device, packing);
    }

    /**
     * A model's own initialisation: from the full name and what is drawn otherwise to what is drawn. A rule nearer to
     * the tensor is asked last.
     */
    public Weights initialised(BiFunction<String, Init, Init> rule) {
        BiFunction<String, Init, Init> outer = initRule;
        return new Weights(
                root,
                prefix,
                rename,
                (name, init) -> rule.apply(name, outer.apply(name, init)),
                floats,
                device,
                packing);
    }

    // ---- paths ----

    /** What lies below a name, {@code "encoder.layers.0"}; the empty name is this path itself. */
    public Weights at(String name) {
        return name.isEmpty()
                ? this
                : new Weights(root, prefix + name + ".", rename, initRule, floats, device, packing);
    }

    public Weights at(int index) {
        return at(Integer.toString(index));
    }

    /** One layer for each of the paths {@code 0} to {@code n - 1} below this one. */
    public <T> List<T> stack(int n, Function<Weights, T> layer) {
        List<T> r = new ArrayList<>(n);
        for (int i = 0; i < n; i++) {
            r.add(layer.apply(at(i)));
        }
        return List.copyOf(r);
    }

    /** This path as messages and {@link #named()} write it, without a dot at the end. */
    public String path() {
        return prefix.isEmpty() ? "" : prefix.substring(0, prefix.length() - 1);
    }

    // ---- asking ----

    /** A trainable tensor of exactly this shape. */
    public Tensor tensor(String name, long... shape) {
        return tensor(name, ABSENT, shape);
    }

    /** A trainable tensor of exactly this shape; {@code init} draws it where there is no file. */
    public Tensor tensor(String name, Init init, long... shape) {
        return ask(root.parameters(), name, init, shape);
    }

    /**
     * A trainable tensor that inputs are multiplied with, by a linear layer or a convolution: the one kind that {@link
     * Fast} holds in half the width.
     */
    public Tensor product(String name, Init init, long... shape) {
        DType narrow = root.products();
        return narrow != null && floats == DType.FLOAT32
                ? as(narrow).tensor(name, init, shape)
                : tensor(name, init, shape);
    }

    /** A tensor that is stored with the model but not trained, such as the running mean of a batch norm. */
    public Tensor buffer(String name, Init init, long... shape) {
        return ask(root.buffers(), name, init, shape);
    }

    /** Whether a file is being read and has this tensor. */
    public boolean has(String name) {
        return root.source().has(fileKey(name).name());
    }

    /** Frees a tensor that was asked for below this path: whoever asked keeps it in another form. */
    public void drop(String name) {
        Tensor t = root.parameters().remove(prefix + name);
        if (t != null) {
            t.close();
        }
    }

    /** A trainable tensor that some releases have and others lack; null without a file, where nothing is optional. */
    public @Nullable Tensor optional(String name, long... shape) {
        return has(name) ? tensor(name, shape) : null;
    }

    /**
     * A weight that the model shares with another, such as the output projection of a language model with the word
     * embedding: the file may repeat it, and what it repeats is not read. Returns {@code shared}.
     *
     * @param owner full name of the weight that is shared
     */
    public Tensor tied(String name, String owner) {
        Tensor shared = root.parameters().get(owner);
        if (shared == null) {
            throw new IllegalArgumentException(
                    prefix + name + " is tied to " + owner + ", which was not asked for yet");
        }
        root.tied().put(prefix + name, owner);
        if (root.file() != null) {
            root.file().ask(fileKey(name).name());
        }
        return shared;
    }

    /**
     * Keys below this path that a release stores and the model derives, such as position ids, are not reported as
     * unused. The expression must match the whole rest of the key. For a file in another naming scheme see
     * {@link Checkpoint#ignore}, which takes the file's own names.
     */
    public void ignorable(String expression) {
        if (root.file() != null) {
            root.file().ignore(Pattern.compile(Pattern.quote(prefix) + "(?:" + expression + ")"));
        }
    }

    /** Shape of a tensor of the file, for what a configuration leaves open; null where there is no such tensor. */
    public long @Nullable [] shapeOf(String name) {
        Checkpoint f = root.file();
        String key = fileKey(name).name();
        return f != null && f.has(key) ? f.shape(key) : null;
    }

    /** Remembers a part of a module under this path, so that {@link #parts} finds it. Returns it. */
    public <T> T part(T value) {
        root.parts().add(new Part(path(), value));
        return value;
    }

    // ---- what was asked for ----

    /** Visits the parts of one kind below this path, with the full path of each, in the order of making. */
    public <T> void parts(Class<T> kind, BiConsumer<String, T> visitor) {
        root.parts().stream()
                .filter(p -> kind.isInstance(p.value()) && (p.path() + ".").startsWith(prefix))
                .forEach(p -> visitor.accept(p.path(), kind.cast(p.value())));
    }

    /** Trainable tensors below this path under their full names, in the order of asking; tied ones once. */
    public LinkedHashMap<String, Tensor> named() {
        return below(root.parameters());
    }

    /** Tensors below this path that are stored but not trained. */
    public LinkedHashMap<String, Tensor> buffers() {
        return below(root.buffers());
    }

    /** Full names of tied tensors, each with the name of its owner. */
    public Map<String, String> tied() {
        return below(root.tied());
    }

    /** Everything that a saved file holds: {@link #named()}, then {@link #buffers()}. */
    public LinkedHashMap<String, Tensor> all() {
        LinkedHashMap<String, Tensor> r = named();
        r.putAll(buffers());
        return r;
    }

    /** Keys of the file below this path that nobody asked for; empty without a file. */
    public List<String> unused() {
        return root.file() == null
                ? List.of()
                : root.file().unused().stream()
                        .filter(k -> k.startsWith(prefix))
                        .toList();
    }

    /** Marks what is below this path for training, or freezes it. */
    public void requireGrad(boolean required) {
        named().values().stream().filter(t -> t.dtype().isFloating()).forEach(t -> t.requireGrad(required));
    }

    /** Frees every tensor below this path; the modules built from it are then of no use. */
    @Override
    public void close() {
        all().values().forEach(Tensor::close);
        root.parameters().keySet().removeIf(k -> k.startsWith(prefix));
        root.buffers().keySet().removeIf(k -> k.startsWith(prefix));
        parts(PackedWeight.class, (path, packed) -> packed.close());
        root.parts().removeIf(p -> (p.path() + ".").startsWith(prefix));
    }

    private <T> LinkedHashMap<String, T> below(Map<String, T> all) {
        LinkedHashMap<String, T> r = new LinkedHashMap<>();
        all.forEach((k, v) -> {
            if (k.startsWith(prefix)) {
                r.put(k, v);
            }
        });
        return r;
    }

    private Tensor ask(Map<String, Tensor> known, String relative, Init init, long... shape) {
        String name = prefix + relative;
        Tensor before = known.get(name);
        if (before != null) {
            if (!Arrays.equals(before.shape(), shape)) {
                throw new IllegalArgumentException(name + " was asked for as " + Arrays.toString(before.shape())
                        + " and now as " + Arrays.toString(shape));
            }
            return before;
        }
        try (Scope s = Scope.open()) {
            Tensor t = root.source().get(name, fileKey(relative), initRule.apply(name, init), shape);
            if (floats != null && t.dtype().isFloating()) {
                t = t.to(floats);
            }
            t = t.to(device).named(name);
            known.put(name, Scope.detach(t));
            return t;
        }
    }

    // ---- names in the file ----

    /** A key of the file and how the tensor comes out of it, written as {@link Renames} describes. */
    private record FileKey(String name, int part, int parts, boolean transposed, boolean asConvolution) {
        private static final Pattern FORM = Pattern.compile("(.*?)(?:#(\\d{1,3})/(\\d{1,3}))?(#T)?(#1x1)?");

        static FileKey of(String text) {
            Matcher m = FORM.matcher(text);
            if (!m.matches()) {
                throw new IllegalArgumentException("bad name " + text);
            }
            int part = m.group(2) == null ? 0 : Integer.parseInt(m.group(2));
            int parts = m.group(3) == null ? 1 : Integer.parseInt(m.group(3));
            if (part >= parts) {
                throw new IllegalArgumentException(text + ": there is no part " + part + " of " + parts);
            }
            return new FileKey(m.group(1), part, parts, m.group(4) != null, m.group(5) != null);
        }

        /** The shape that the file must have for a wanted shape to come out. */
        long[] stored(long... wanted) {
            long[] r = wanted.clone();
            if (transposed) {
                r[0] = wanted[1];
                r[1] = wanted[0];
            }
            if (parts > 1) {
                r[0] *= parts;
            }
            return asConvolution ? new long[] {r[0], r[1], 1, 1} : r;
        }

        Tensor cut(Tensor stored) {
            Tensor t = asConvolution ? stored.flatten(1) : stored;
            if (parts > 1) {
                long length = t.size(0) / parts;
                t = t.narrow(0, part * length, length);
            }
            return transposed ? t.transpose(0, 1).contiguous() : t;
        }
    }

    private FileKey fileKey(String relative) {
        return FileKey.of(rename.apply(prefix + relative));
    }

    // ---- the three sources ----

    private record Loaded(Checkpoint file) implements Source {
        @Override
        public boolean has(String key) {
            return file.has(key);
        }

        @Override
        public Tensor get(String name, FileKey key, Init init, long... shape) {
            String asked = key.name().equals(name) ? "'" + name + "'" : "'" + key.name() + "' (for " + name + ")";
            long[] expected = key.stored(shape);
            if (!file.has(key.name())) {
                String nearest = file.nearest(key.name());
                throw new UserError(file.name() + ": no tensor " + asked + " of shape " + Arrays.toString(expected)
                        + (nearest == null
                                ? "; the file holds none"
                                : "; the nearest present is '" + nearest + "' of shape "
                                        + Arrays.toString(file.shape(nearest))));
            }
            long[] found = file.shape(key.name());
            if (!Arrays.equals(found, expected)) {
                throw new UserError(file.fileOf(key.name()) + ": tensor " + asked + " has shape "
                        + Arrays.toString(found) + ", the model expects " + Arrays.toString(expected)
                        + "; do the configuration and the weights belong together?");
            }
            return key.cut(file.tensor(key.name()));
        }
    }

    private record Drawn(RandomSource random) implements Source {
        @Override
        public boolean has(String key) {
            return false;
        }

        @Override
        public Tensor get(String name, FileKey key, Init init, long... shape) {
            try (Scope s = Scope.open()) { // what the drawing needs in between would stay as long as the model
                return s.keep(init.draw(random, shape));
            }
        }
    }

    private record Recorded() implements Source {
        @Override
        public boolean has(String key) {
            return false;
        }

        @Override
        public Tensor get(String name, FileKey key, Init init, long... shape) {
            return Tensor.zeros().expand(shape);
        }
    }
}
