package dev.zoetrope.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, checked as strictly as the reference implementation does before any tensor is
 * looked at: eight bytes of length, JSON of names with type, shape and offsets, then the data without gap or overlap up
 * to the end of the file.
 */
record SafetensorsHeader(long dataStart, Map<String, Slot> tensors, Map<String, String> metadata) {
    /** The reference's limit; a length above it is an attack or a file of another format. */
    static final long MAX_BYTES = 100_000_000;

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(4)
                    .maxNumberLength(20)
                    .maxNameLength(10_000)
                    .maxStringLength((int) MAX_BYTES)
                    .maxDocumentLength(MAX_BYTES)
                    .build())
            .build();

    /** Bytes {@code begin} to {@code end}, counted from the start of the data. */
    static final class Slot implements TensorFile.Entry {
        private final DType dtype;
        private final long[] shape;
        final long begin;
        final long end;

        Slot(DType dtype, long[] shape, long begin, long end) {
            this.dtype = dtype;
            this.shape = shape;
            this.begin = begin;
            this.end = end;
        }

        @Override
        public DType dtype() {
            return dtype;
        }

        @Override
        public long[] shape() {
            return shape.clone();
        }
    }

    /** @param file what messages call the file */
    static SafetensorsHeader read(InputStream in, long fileSize, String file) {
        try {
            byte[] prefix = in.readNBytes(8);
            if (prefix.length < 8) {
                throw refuse(file, "it has " + fileSize + " bytes, a safetensors file has at least 8");
            }
            long length = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
            if (length < 2 || length > MAX_BYTES) {
                throw refuse(
                        file,
                        "header length " + Long.toUnsignedString(length) + " is not between 2 and " + MAX_BYTES
                                + " bytes; this is not a safetensors file");
            }
            if (length > fileSize - 8) {
                throw refuse(
                        file,
                        "header of " + length + " bytes reaches past the end of the file (" + fileSize
                                + " bytes); the file is cut short, download it again");
            }
            return parse(new Bounded(in, length), 8 + length, fileSize, file);
        } catch (CharacterCodingException e) {
            throw refuse(file, "the header is not UTF-8");
        } catch (JsonProcessingException e) {
            throw new UserError(file + ": bad safetensors header: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot read: " + e.getMessage(), e);
        }
    }

    private static SafetensorsHeader parse(InputStream header, long dataStart, long fileSize, String file)
            throws IOException {
        Map<String, Slot> tensors = new LinkedHashMap<>();
        Map<String, String> metadata = Map.of();
        // Decoding here, strictly: the parser itself would also accept UTF-16 and some malformed UTF-8.
        InputStreamReader text = new InputStreamReader(header, StandardCharsets.UTF_8.newDecoder());
        try (JsonParser p = JSON.createParser(text)) {
            expect(p.nextToken(), JsonToken.START_OBJECT, file, "the header");
            if (p.currentTokenLocation().getCharOffset() != 0) {
                throw refuse(file, "the header does not start with {");
            }
            while (p.nextToken() != JsonToken.END_OBJECT) {
                String name = p.currentName();
                JsonToken value = p.nextToken();
                if (name.equals("__metadata__")) {
                    metadata = metadata(p, value, file);
                } else {
                    tensors.put(name, slot(p, value, name, file));
                }
            }
            if (p.nextToken() != null) {
                throw refuse(file, "something follows the header's closing brace");
            }
        }
        checkLayout(tensors, fileSize - dataStart, file);
        return new SafetensorsHeader(dataStart, tensors, metadata);
    }

    private static Map<String, String> metadata(JsonParser p, JsonToken first, String file) throws IOException {
        Map<String, String> r = new LinkedHashMap<>();
        expect(first, JsonToken.START_OBJECT, file, "__metadata__");
        while (p.nextToken() != JsonToken.END_OBJECT) {
            String key = p.currentName();
            expect(p.nextToken(), JsonToken.VALUE_STRING, file, "__metadata__ " + key);
            r.put(key, p.getText());
        }
        return r;
    }

    private static Slot slot(JsonParser p, JsonToken first, String name, String file) throws IOException {
        String what = "tensor '" + name + "'";
        DType dtype = null;
        long[] shape = null;
        long[] offsets = null;
        expect(first, JsonToken.START_OBJECT, file, what);
        while (p.nextToken() != JsonToken.END_OBJECT) {
            String key = p.currentName();
            JsonToken value = p.nextToken();
            switch (key) {
                case "dtype" -> {
                    expect(value, JsonToken.VALUE_STRING, file, what + ": dtype");
                    dtype = dtype(p.getText(), what, file);
                }
                case "shape" -> shape = numbers(p, value, file, what + ": shape");
                case "data_offsets" -> offsets = numbers(p, value, file, what + ": data_offsets");
                default -> throw refuse(file, what + " has an unknown field '" + key + "'");
            }
        }
        if (dtype == null || shape == null || offsets == null) {
            throw refuse(file, what + " lacks one of dtype, shape and data_offsets");
        }
        if (offsets.length != 2 || offsets[0] > offsets[1]) {
            throw refuse(file, what + ": data_offsets " + Arrays.toString(offsets) + " are not a begin and an end");
        }
        long bytes;
        try {
            bytes = Math.multiplyExact(Arrays.stream(shape).reduce(1, Math::multiplyExact), (long) dtype.bytes());
        } catch (ArithmeticException e) {
            throw refuse(file, what + ": shape " + Arrays.toString(shape) + " overflows");
        }
        if (bytes != offsets[1] - offsets[0]) {
            throw refuse(
                    file,
                    what + ": shape " + Arrays.toString(shape) + " of " + dtype.safetensorsName() + " needs " + bytes
                            + " bytes, its offsets " + Arrays.toString(offsets) + " give "
                            + (offsets[1] - offsets[0]));
        }
        return new Slot(dtype, shape, offsets[0], offsets[1]);
    }

    private static DType dtype(String name, String what, String file) {
        for (DType d : DType.values()) {
            if (d.safetensorsName().equals(name)) {
                return d;
            }
        }
        throw refuse(
                file,
                what + ": dtype " + name + " is not supported; supported: "
                        + Arrays.stream(DType.values())
                                .map(DType::safetensorsName)
                                .toList());
    }

    private static long[] numbers(JsonParser p, JsonToken first, String file, String what) throws IOException {
        expect(first, JsonToken.START_ARRAY, file, what);
        long[] r = new long[4];
        int n = 0;
        for (JsonToken t = p.nextToken(); t != JsonToken.END_ARRAY; t = p.nextToken()) {
            expect(t, JsonToken.VALUE_NUMBER_INT, file, what);
            if (p.getNumberType() == JsonParser.NumberType.BIG_INTEGER || p.getLongValue() < 0) {
                throw refuse(file, what + ": " + p.getText() + " is not between 0 and 2^63 - 1");
            }
            if (n == MAX_AXES) {
                throw refuse(file, what + " has more than " + MAX_AXES + " numbers");
            }
            if (n == r.length) {
                r = Arrays.copyOf(r, 2 * n);
            }
            r[n++] = p.getLongValue();
        }
        return Arrays.copyOf(r, n);
    }

    /** libtorch's own operators stop at 64 axes. */
    private static final int MAX_AXES = 64;

    private static void checkLayout(Map<String, Slot> tensors, long dataSize, String file) {
        List<Map.Entry<String, Slot>> inOrder = new ArrayList<>(tensors.entrySet());
        inOrder.sort(Comparator.comparingLong((Map.Entry<String, Slot> e) -> e.getValue().begin)
                .thenComparingLong(e -> e.getValue().end));
        long at = 0;
        for (Map.Entry<String, Slot> e : inOrder) {
            if (e.getValue().begin != at) {
                throw refuse(
                        file,
                        "tensor '" + e.getKey() + "' begins at byte " + e.getValue().begin + " of the data, expected "
                                + at + ": tensors must follow each other without gap or overlap");
            }
            at = e.getValue().end;
        }
        if (at != dataSize) {
            throw refuse(
                    file,
                    "its tensors need " + at + " bytes of data, the file has " + dataSize
                            + (at > dataSize ? "; the file is cut short, download it again" : ""));
        }
    }

    private static void expect(JsonToken found, JsonToken expected, String file, String what) {
        if (found != expected) {
            throw refuse(file, what + " should be " + words(expected) + ", found " + words(found));
        }
    }

    private static String words(JsonToken t) {
        return switch (t) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "an array";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT -> "a whole number";
            case VALUE_NUMBER_FLOAT -> "a fraction";
            case VALUE_NULL -> "null";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            default -> "the end";
        };
    }

    private static UserError refuse(String file, String reason) {
        return new UserError(file + ": " + reason);
    }

    /** At most so many bytes of a stream, which stays open. */
    private static final class Bounded extends InputStream {
        private final InputStream in;
        private long left;

        Bounded(InputStream in, long length) {
            this.in = in;
            this.left = length;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] b, int off, int len) throws IOException {
            if (len == 0) {
                return 0;
            }
            int n = left == 0 ? -1 : in.read(b, off, (int) Math.min(len, left));
            left -= Math.max(n, 0);
            return n;
        }
    }
}
