package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.UserError;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the part of Python's pickle language that a file of tensors needs. A pickle is a program; this machine has no
 * way to run one: the few names that it knows stand for values of its own, any other name and any other operation is
 * refused before the rest is looked at.
 *
 * <p>Values are {@link Long}, {@link BigInteger}, {@link Double}, {@link Boolean}, {@link String}, {@code byte[]},
 * {@link List}, {@link Map}, {@link Tuple}, {@link Storage}, {@link Strided}, {@link DType}, and {@link #NONE}.
 */
final class Pickle {
    static final Object NONE = new Object();

    private static final int MAX_VALUES = 2_000_000;
    private static final int MAX_AXES = 64;

    /** A Python tuple. */
    record Tuple(List<Object> items) {}

    /** Bytes of the checkpoint that tensors share. {@code dtype} is null where they have none of their own. */
    record Storage(@Nullable DType dtype, String key, long numel) {}

    /** A tensor: elements of a storage, with the distance between neighbours on each axis counted in elements. */
    record Strided(Storage storage, DType dtype, long offset, List<Long> shape, List<Long> strides) {}

    /** A name that a pickle may mention, and what calling it gives. */
    private sealed interface Name {
        record Function(String name) implements Name {}

        record StorageType(@Nullable DType dtype) implements Name {}
    }

    private static final Map<String, Object> NAMES = new HashMap<>();

    static {
        for (String f : List.of(
                "collections.OrderedDict",
                "torch.Size",
                "torch.device",
                "torch._utils._rebuild_tensor_v2",
                "torch._utils._rebuild_tensor_v3",
                "torch._utils._rebuild_parameter")) {
            NAMES.put(f, new Name.Function(f));
        }
        Map.of(
                        "Float", DType.FLOAT32,
                        "Double", DType.FLOAT64,
                        "Half", DType.FLOAT16,
                        "BFloat16", DType.BFLOAT16,
                        "Long", DType.INT64,
                        "Int", DType.INT32,
                        "Short", DType.INT16,
                        "Char", DType.INT8,
                        "Byte", DType.UINT8,
                        "Bool", DType.BOOL)
                .forEach((name, dtype) -> NAMES.put("torch." + name + "Storage", new Name.StorageType(dtype)));
        NAMES.put("torch.ComplexFloatStorage", new Name.StorageType(DType.COMPLEX64));
        NAMES.put("torch.storage.UntypedStorage", new Name.StorageType(null));
        NAMES.put("torch.UntypedStorage", new Name.StorageType(null));
        Map.of(
                        "float32", DType.FLOAT32,
                        "float64", DType.FLOAT64,
                        "float16", DType.FLOAT16,
                        "bfloat16", DType.BFLOAT16,
                        "float8_e4m3fn", DType.FLOAT8_E4M3,
                        "float8_e5m2", DType.FLOAT8_E5M2,
                        "int64", DType.INT64,
                        "int32", DType.INT32,
                        "uint8", DType.UINT8,
                        "bool", DType.BOOL)
                .forEach((name, dtype) -> NAMES.put("torch." + name, dtype));
    }

    private static final class Mark {}

    private static final Object MARK = new Mark();

    private final Input in;
    private final String file;
    private final List<Object> stack = new ArrayList<>();
    private final List<Integer> marks = new ArrayList<>();
    private final Map<Long, Object> memo = new HashMap<>();
    private int values;

    private Pickle(Input in, String file) {
        this.in = in;
        this.file = file;
    }

    /** Bytes of a stream, at most so many, counted. */
    static final class Input {
        private final InputStream in;
        private final long limit;
        private long position;

        Input(InputStream in, long limit) {
            this.in = in;
            this.limit = limit;
        }

        long position() {
            return position;
        }

        byte[] bytes(long n) throws IOException {
            // Before anything is allocated: a length is four bytes that anyone can write.
            if (n < 0 || n > limit - position) {
                throw new EOFException();
            }
            byte[] r = in.readNBytes((int) n);
            if (r.length < n) {
                throw new EOFException();
            }
            position += n;
            return r;
        }

        int u1() throws IOException {
            return bytes(1)[0] & 0xff;
        }

        /** A little-endian number of up to eight bytes, without sign. */
        long unsigned(int n) throws IOException {
            byte[] b = bytes(n);
            long r = 0;
            for (int i = n - 1; i >= 0; i--) {
                r = r << 8 | b[i] & 0xff;
            }
            return r;
        }

        /** Up to a line feed. */
        String line() throws IOException {
            StringBuilder r = new StringBuilder();
            for (int c = u1(); c != '\n'; c = u1()) {
                r.append((char) c);
                if (r.length() > 1000) {
                    throw new EOFException();
                }
            }
            return r.toString();
        }
    }

    /** The value of the pickle that the input stands at; the input then stands behind it. */
    static Object read(Input in, String file) throws IOException {
        try {
            return new Pickle(in, file).run();
        } catch (EOFException e) {
            throw new UserError(file + ": the pickle is cut short or longer than its place", e);
        } catch (IndexOutOfBoundsException | ClassCastException e) {
            throw new UserError(file + ": the pickle is damaged (" + e.getMessage() + ")", e);
        }
    }

    private Object run() throws IOException {
        while (true) {
            int op = in.u1();
            switch (op) {
                case 0x80 -> { // PROTO
                    int version = in.u1();
                    if (version > 5) {
                        throw refuse("pickle protocol " + version + " is unknown; known up to 5");
                    }
                }
                case 0x95 -> in.bytes(8); // FRAME: only a hint for buffering
                case '.' -> {
                    Object r = pop();
                    if (!stack.isEmpty()) {
                        throw refuse("the pickle ends with values left over");
                    }
                    return r;
                }

                case 'N' -> push(NONE);
                case 0x88 -> push(true);
                case 0x89 -> push(false);
                case 'J' -> push((long) (int) in.unsigned(4));
                case 'K' -> push(in.unsigned(1));
                case 'M' -> push(in.unsigned(2));
                case 0x8a -> push(number(in.bytes(in.u1()))); // LONG1
                case 'G' -> push(Double.longBitsToDouble(Long.reverseBytes(in.unsigned(8))));
                case 'X' -> push(text(in.unsigned(4)));
                case 0x8c -> push(text(in.unsigned(1)));
                case 0x8d -> push(text(in.unsigned(8)));
                case 'T' -> push(text(in.unsigned(4))); // Python 2's strings
                case 'U' -> push(text(in.unsigned(1)));
                case 'B' -> push(in.bytes(in.unsigned(4)));
                case 'C' -> push(in.bytes(in.unsigned(1)));

                case '(' -> {
                    marks.add(stack.size());
                    push(MARK);
                }
                case '0' -> pop();
                case '1' -> toMark();
                case '2' -> push(top());
                case ']' -> push(new ArrayList<>());
                case 'l' -> push(toMark());
                case 'a' -> {
                    Object item = pop();
                    list(top()).add(item);
                }
                case 'e' -> {
                    List<Object> items = toMark();
                    list(top()).addAll(items);
                }
                case ')' -> push(new Tuple(List.of()));
                case 't' -> push(new Tuple(toMark()));
                case 0x85 -> push(tuple(1));
                case 0x86 -> push(tuple(2));
                case 0x87 -> push(tuple(3));
                case '}' -> push(new LinkedHashMap<>());
                case 'd' -> {
                    List<Object> items = toMark();
                    push(new LinkedHashMap<>());
                    putAll(items);
                }
                case 's' -> {
                    Object value = pop();
                    Object key = pop();
                    putAll(List.of(key, value));
                }
                case 'u' -> putAll(toMark());

                case 'h' -> push(recall(in.unsigned(1)));
                case 'j' -> push(recall(in.unsigned(4)));
                case 'q' -> memo.put(in.unsigned(1), top());
                case 'r' -> memo.put(in.unsigned(4), top());
                case 0x94 -> memo.put((long) memo.size(), top()); // MEMOIZE

                case 'c' -> push(named(in.line() + "." + in.line()));
                case 0x93 -> { // STACK_GLOBAL
                    String name = (String) pop();
                    push(named(pop() + "." + name));
                }
                case 'R' -> {
                    Tuple arguments = (Tuple) pop();
                    push(call(pop(), arguments.items()));
                }
                case 'Q' -> push(storage(((Tuple) pop()).items()));
                case 'b' -> {
                    // Attributes of a state dictionary (versions of modules); nothing else here has any.
                    if (!(pop() instanceof Map && top() instanceof Map)) {
                        throw refuse("the pickle sets attributes of something that is no dictionary");
                    }
                }
                default ->
                    throw refuse("the pickle uses operation 0x" + Integer.toHexString(op)
                            + ", which files of tensors do not");
            }
        }
    }

    private Object call(Object callee, List<Object> a) {
        String name = callee instanceof Name.Function f ? f.name() : "a value";
        switch (name) {
            case "collections.OrderedDict" -> {
                Map<Object, Object> r = new LinkedHashMap<>();
                push(r);
                if (!a.isEmpty()) {
                    for (Object pair : list(a.get(0))) {
                        count();
                        putAll(pair instanceof Tuple t ? t.items() : list(pair));
                    }
                }
                return pop();
            }
            case "torch.Size" -> {
                return a.get(0);
            }
            case "torch.device" -> {
                return new Tuple(a);
            }
            case "torch._utils._rebuild_parameter" -> {
                return (Strided) a.get(0);
            }
            case "torch._utils._rebuild_tensor_v2" -> {
                Storage s = (Storage) a.get(0);
                if (s.dtype() == null) {
                    throw refuse("a tensor lacks an element type");
                }
                if (a.size() > 6 && !(a.get(6) instanceof Map<?, ?> m && m.isEmpty()) && a.get(6) != NONE) {
                    throw refuse("a tensor is marked as a conjugate or negative view; save a plain copy of it");
                }
                return strided(s, s.dtype(), a);
            }
            case "torch._utils._rebuild_tensor_v3" -> {
                return strided((Storage) a.get(0), (DType) a.get(6), a);
            }
            default -> throw refuse("the pickle calls " + name);
        }
    }

    private Strided strided(Storage s, DType dtype, List<Object> a) {
        return new Strided(s, dtype, (Long) a.get(1), longs(a.get(2)), longs(a.get(3)));
    }

    private List<Long> longs(Object tuple) {
        List<Object> items = ((Tuple) tuple).items();
        if (items.size() > MAX_AXES) {
            throw refuse("a tensor has more than " + MAX_AXES + " axes");
        }
        return items.stream().map(Long.class::cast).toList();
    }

    /** What a persistent id stands for: {@code ("storage", type, key, location, numel)}. */
    private Storage storage(List<Object> a) {
        if (!"storage".equals(a.get(0)) || !(a.get(1) instanceof Name.StorageType type)) {
            throw refuse("the pickle refers to something that is no storage");
        }
        if (a.size() > 5 && a.get(5) != NONE) {
            throw refuse("a storage is a part of another, as PyTorch before 0.4 saved it; save the checkpoint again");
        }
        return new Storage(type.dtype(), (String) a.get(2), (Long) a.get(4));
    }

    private Object named(String name) {
        Object r = NAMES.get(name);
        if (r == null) {
            String printable = name.replaceAll("[^\\x20-\\x7e]", "?");
            throw refuse(
                    "refused: the pickle names " + printable + ", which is no part of plain tensors; pickles can run "
                            + "programs, so nothing else is read. If you trust its source, save its state dictionary as "
                            + "safetensors with Python");
        }
        return r;
    }

    private void push(Object value) {
        count();
        stack.add(value);
    }

    /** A short pickle can ask for any amount of work by recalling the same values over and over. */
    private void count() {
        if (++values > MAX_VALUES) {
            throw refuse("the pickle makes more than " + MAX_VALUES + " values");
        }
    }

    private Object pop() {
        Object r = top();
        stack.remove(stack.size() - 1);
        return r;
    }

    private Object top() {
        Object r = stack.get(stack.size() - 1);
        if (r == MARK) {
            throw refuse("the pickle is damaged");
        }
        return r;
    }

    /** What was pushed since the last mark. */
    private List<Object> toMark() {
        int mark = marks.remove(marks.size() - 1);
        List<Object> since = stack.subList(mark + 1, stack.size());
        List<Object> r = new ArrayList<>(since);
        stack.subList(mark, stack.size()).clear();
        return r;
    }

    private Tuple tuple(int n) {
        Object[] r = new Object[n];
        for (int i = n - 1; i >= 0; i--) {
            r[i] = pop();
        }
        return new Tuple(List.of(r));
    }

    @SuppressWarnings("unchecked")
    private static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    @SuppressWarnings("unchecked")
    private void putAll(List<Object> keysAndValues) {
        Map<Object, Object> into = (Map<Object, Object>) top();
        for (int i = 0; i < keysAndValues.size(); i += 2) {
            Object key = keysAndValues.get(i);
            // Only keys whose hash takes no walk through what a hostile file has nested.
            if (!(key instanceof String || key instanceof Long || key instanceof Double || key instanceof Boolean)) {
                throw refuse("a dictionary has a key that is neither a text nor a number");
            }
            into.put(key, keysAndValues.get(i + 1));
        }
    }

    private Object recall(long index) {
        Object r = memo.get(index);
        if (r == null) {
            throw refuse("the pickle recalls what it never stored");
        }
        return r;
    }

    private String text(long length) throws IOException {
        return new String(in.bytes(length), StandardCharsets.UTF_8);
    }

    private static Object number(byte[] littleEndian) {
        if (littleEndian.length == 0) {
            return 0L;
        }
        byte[] b = new byte[littleEndian.length];
        for (int i = 0; i < b.length; i++) {
            b[i] = littleEndian[b.length - 1 - i];
        }
        BigInteger n = new BigInteger(b);
        return n.bitLength() < 64 ? (Object) n.longValue() : n;
    }

    private UserError refuse(String reason) {
        return new UserError(file + ": " + reason);
    }
}
