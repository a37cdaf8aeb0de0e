package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Files of named tensors in the safetensors format. */
public final class Safetensors {
    private static final int CHUNK_BYTES = 1 << 24;

    private Safetensors() {}

    /**
     * All tensors of a file, by name in the order of its header. They show the mapped file, are owned by the innermost
     * scope, and stay valid when the file is deleted or replaced by another (never overwrite one in place).
     */
    public static Map<String, Tensor> read(Path file) {
        Map<String, Tensor> r = new LinkedHashMap<>();
        try (TensorFile f = open(file)) {
            for (String name : f.entries().keySet()) {
                r.put(name, f.read(name));
            }
        }
        return r;
    }

    /** What a file says of itself. */
    public static Map<String, String> metadata(Path file) {
        try (TensorFile f = open(file)) {
            return f.metadata();
        }
    }

    /** Writes with the metadata {@code format: pt} that readers of the field look for. */
    public static void write(Path file, Map<String, Tensor> tensors) {
        write(file, tensors, Map.of("format", "pt"));
    }

    /** The file appears complete or not at all; one that was there is replaced. */
    public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
        // As the reference does: wide types first, so that every tensor is aligned to its elements.
        List<Map.Entry<String, Tensor>> order = new ArrayList<>(tensors.entrySet());
        order.sort(Comparator.comparingInt(
                        (Map.Entry<String, Tensor> e) -> -e.getValue().dtype().bytes())
                .thenComparing(Map.Entry::getKey));
        byte[] header = header(order, metadata);
        AtomicFile.write(file, out -> {
            out.write(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(header.length)
                    .array());
            out.write(header);
            for (Map.Entry<String, Tensor> e : order) {
                writeBytes(e.getValue(), out);
            }
        });
    }

    private static byte[] header(List<Map.Entry<String, Tensor>> order, Map<String, String> metadata) {
        Map<String, Object> root = new LinkedHashMap<>();
        if (!metadata.isEmpty()) {
            root.put("__metadata__", metadata);
        }
        long at = 0;
        for (Map.Entry<String, Tensor> e : order) {
            Tensor t = e.getValue();
            long end = at + t.numel() * t.dtype().bytes();
            root.put(e.getKey(), new Entry(t.dtype().safetensorsName(), t.shape(), new long[] {at, end}));
            at = end;
        }
        byte[] json = Json.bytes(root);
        byte[] padded = Arrays.copyOf(json, (json.length + 7) / 8 * 8);
        Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        return padded;
    }

    @SuppressWarnings({"UnusedVariable", "ArrayRecordComponent"}) // written by Jackson, never compared
    private record Entry(String dtype, long[] shape, long[] data_offsets) {}

    private static void writeBytes(Tensor t, OutputStream out) throws IOException {
        try (Scope s = Scope.open()) {
            Tensor flat = t.detach().to(Device.CPU).contiguous().reshape(-1);
            long step = CHUNK_BYTES / t.dtype().bytes();
            for (long i = 0; i < flat.numel(); i += step) {
                try (Scope chunk = Scope.open()) {
                    out.write(
                            flat.narrow(0, i, Math.min(step, flat.numel() - i)).toBytes());
                }
            }
        }
    }

    /** The header as checked; nothing is mapped yet. */
    static TensorFile open(Path file) {
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
            long size = Files.size(file);
            return new Mapped(new MappedFile(file, size), SafetensorsHeader.read(in, size, file.toString()));
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": there is no such file", e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot read: " + e, e);
        }
    }

    private static final class Mapped implements TensorFile {
        private final MappedFile file;
        private final SafetensorsHeader header;

        Mapped(MappedFile file, SafetensorsHeader header) {
            this.file = file;
            this.header = header;
        }

        @Override
        public String name() {
            return file.toString();
        }

        @Override
        public Map<String, SafetensorsHeader.Slot> entries() {
            return header.tensors();
        }

        @Override
        public Map<String, String> metadata() {
            return header.metadata();
        }

        @Override
        public Tensor read(String name) {
            SafetensorsHeader.Slot slot = header.tensors().get(name);
            if (slot == null) {
                throw new IllegalArgumentException(file + " has no tensor " + name);
            }
            return file.view(header.dataStart() + slot.begin, slot.dtype(), slot.shape())
                    .named(name);
        }

        @Override
        public void close() {
            file.close();
        }
    }
}
