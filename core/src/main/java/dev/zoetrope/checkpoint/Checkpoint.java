package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Named tensors on disk, in one file or in shards with an index. Opening reads and checks headers only; a tensor is a
 * view of the mapped file until something converts it. Not thread-safe.
 *
 * <p>Closing lets go of the files; what was read stays valid.
 */
public final class Checkpoint implements AutoCloseable {
    private static final List<String> NAMES = List.of(
            "model.safetensors",
            "diffusion_pytorch_model.safetensors",
            "pytorch_model.bin",
            "diffusion_pytorch_model.bin");

    private final String name;
    private final Collection<TensorFile> files;
    private final Map<String, TensorFile> holders = new LinkedHashMap<>();
    private final Set<String> asked = new LinkedHashSet<>();
    private final List<Pattern> ignorable = new ArrayList<>();

    /** @param index which file a tensor is to be read from, where several hold one of its name */
    private Checkpoint(String name, Collection<TensorFile> files, Map<String, TensorFile> index) {
        this.name = name;
        this.files = files;
        holders.putAll(index);
        for (TensorFile f : files) {
            for (String key : f.entries().keySet()) {
                TensorFile other = index.containsKey(key) ? null : holders.put(key, f);
                if (other != null) {
                    throw new UserError(
                            name + ": tensor '" + key + "' is in both " + other.name() + " and " + f.name());
                }
            }
        }
    }

    /**
     * Opens a file, an index of shards, or a folder that holds one of the names that releases use
     * ({@code model.safetensors}, {@code diffusion_pytorch_model.safetensors}, {@code pytorch_model.bin}, each with
     * {@code .index.json} for shards) or a single file of a known kind.
     */
    public static Checkpoint open(Path folderOrFile) {
        Path file = Files.isDirectory(folderOrFile) ? find(folderOrFile) : folderOrFile;
        if (file.toString().endsWith(".index.json")) {
            return sharded(file);
        }
        return new Checkpoint(file.toString(), List.of(openFile(file)), Map.of());
    }

    /** Names and shapes without values, to hold a model against a published checkpoint without its gigabytes. */
    public static Checkpoint describe(String name, Map<String, long[]> shapes) {
        return new Checkpoint(name, List.of(new ShapesOnly(name, shapes)), Map.of());
    }

    private static Path find(Path folder) {
        for (String n : NAMES) {
            for (String candidate : List.of(n, n + ".index.json")) {
                if (Files.isRegularFile(folder.resolve(candidate))) {
                    return folder.resolve(candidate);
                }
            }
        }
        List<Path> others;
        try (Stream<Path> list = Files.list(folder)) {
            others = list.filter(f -> Kind.of(f) != null).sorted().toList();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot read the folder: " + e, e);
        }
        if (others.size() == 1) {
            return others.get(0);
        }
        throw new UserError(folder + ": no checkpoint found; expected one of " + NAMES
                + (others.isEmpty() ? "" : ", or name one of the files " + others));
    }

    private enum Kind {
        SAFETENSORS,
        PICKLE;

        static @Nullable Kind of(Path file) {
            String n = file.toString().toLowerCase(Locale.ROOT);
            if (n.endsWith(".safetensors")) {
                return SAFETENSORS;
            }
            return Stream.of(".bin", ".pt", ".pth", ".ckpt").anyMatch(n::endsWith) ? PICKLE : null;
        }
    }

    private static TensorFile openFile(Path file) {
        Kind kind = Kind.of(file);
        if (kind == null) {
            throw new UserError(file + ": unknown kind of checkpoint; expected .safetensors, .bin, .pt, .pth or .ckpt");
        }
        return switch (kind) {
            case SAFETENSORS -> Safetensors.open(file);
            case PICKLE -> PickleFile.open(file);
        };
    }

    private static Checkpoint sharded(Path index) {
        Map<String, String> weightMap = Json.read(index).texts("weight_map");
        if (weightMap.isEmpty()) {
            throw new UserError(index + ": weight_map is missing or empty");
        }
        Map<String, TensorFile> shards = new LinkedHashMap<>();
        Map<String, TensorFile> holders = new LinkedHashMap<>();
        weightMap.forEach((key, shard) -> {
            // A shard lies beside its index; anything else would let a download name other files of the machine.
            if (!shard.matches("[A-Za-z0-9_][A-Za-z0-9._-]*")) {
                throw new UserError(index + ": weight_map: '" + shard + "' is not a plain file name");
            }
            TensorFile f = shards.computeIfAbsent(shard, s -> openFile(index.resolveSibling(s)));
            holders.put(key, f);
            if (!f.entries().containsKey(key)) {
                throw new UserError(
                        index + ": weight_map puts tensor '" + key + "' into " + shard + ", which does not hold it");
            }
        });
        return new Checkpoint(index.toString(), shards.values(), holders);
    }

    /** What messages call this checkpoint: the file or index. */
    public String name() {
        return name;
    }

    public Set<String> keys() {
        return Collections.unmodifiableSet(holders.keySet());
    }

    public boolean has(String key) {
        return holders.containsKey(key);
    }

    public long[] shape(String key) {
        return entry(key).shape();
    }

    public DType dtype(String key) {
        return entry(key).dtype();
    }

    /** Of all files; where they differ, the last. */
    public Map<String, String> metadata() {
        Map<String, String> r = new LinkedHashMap<>();
        files.forEach(f -> r.putAll(f.metadata()));
        return r;
    }

    /** The tensor as stored, owned by the innermost scope; counts as asked for. */
    public Tensor tensor(String key) {
        asked.add(key);
        return holder(key).read(key);
    }

    /** Keys that nobody asked for and nobody declared ignorable: of a model that fits, none. */
    public List<String> unused() {
        return holders.keySet().stream()
                .filter(k -> !asked.contains(k)
                        && ignorable.stream().noneMatch(p -> p.matcher(k).matches()))
                .toList();
    }

    /** Keys that match the whole expression are not reported as unused. */
    public void ignore(Pattern keys) {
        ignorable.add(keys);
    }

    /** Counts a key as used without reading it. */
    void ask(String key) {
        asked.add(key);
    }

    /** The file that holds a key, for messages. */
    String fileOf(String key) {
        TensorFile f = holders.get(key);
        return f == null ? name : f.name();
    }

    /** The key that is spelled most like this one. */
    @Nullable
    String nearest(String key) {
        String best = null;
        int least = Integer.MAX_VALUE;
        for (String k : holders.keySet()) {
            int d = distance(key, k, least);
            if (d < least) {
                least = d;
                best = k;
            }
        }
        return best;
    }

    @Override
    public void close() {
        files.forEach(TensorFile::close);
    }

    private TensorFile.Entry entry(String key) {
        TensorFile.Entry e = holder(key).entries().get(key);
        if (e == null) {
            throw new IllegalStateException(key);
        }
        return e;
    }

    private TensorFile holder(String key) {
        TensorFile f = holders.get(key);
        if (f == null) {
            String nearest = nearest(key);
            throw new UserError(name + ": no tensor '" + key + "'"
                    + (nearest == null ? "; the file holds none" : "; the nearest present is '" + nearest + "'"));
        }
        return f;
    }

    /** Levenshtein's distance; anything from {@code limit} on counts the same. */
    private static int distance(String a, String b, int limit) {
        if (Math.abs(a.length() - b.length()) >= limit) {
            return limit;
        }
        int[] row = new int[b.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.length; j++) {
                int replace = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replace, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }

    private static final class ShapesOnly implements TensorFile {
        private record Shape(DType dtype, List<Long> sizes) implements Entry {
            @Override
            public long[] shape() {
                return sizes.stream().mapToLong(Long::longValue).toArray();
            }
        }

        private final String name;
        private final Map<String, Shape> entries = new LinkedHashMap<>();
        private final Tensor zero = Scope.detach(Tensor.zeros());

        ShapesOnly(String name, Map<String, long[]> shapes) {
            this.name = name;
            shapes.forEach((k, v) -> entries.put(
                    k, new Shape(DType.FLOAT32, Arrays.stream(v).boxed().toList())));
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public Map<String, Shape> entries() {
            return entries;
        }

        @Override
        public Map<String, String> metadata() {
            return Map.of();
        }

        @Override
        public Tensor read(String key) {
            return zero.expand(entries.get(key).shape());
        }

        @Override
        public void close() {
            zero.close();
        }
    }
}
