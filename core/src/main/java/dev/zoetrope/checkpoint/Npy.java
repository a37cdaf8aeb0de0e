package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A NumPy array file of floats with one or two axes, read row by row from its beginning to its end: it may be larger than
 * memory, and may come from anywhere that gives a stream.
 */
public final class Npy implements AutoCloseable {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int HEADER = 128;
    private static final int MAX_HEADER = 1 << 16;
    private static final Pattern DESCR = Pattern.compile("'descr'\\s*:\\s*'([^']*)'");
    private static final Pattern SHAPE =
            Pattern.compile("'shape'\\s*:\\s*\\(\\s*(\\d{1,18})\\s*,?\\s*(\\d{1,9})?\\s*,?\\s*\\)");
    private static final Pattern FORTRAN = Pattern.compile("'fortran_order'\\s*:\\s*True");

    private final String name;
    private final DataInputStream in;
    private final int bytes;
    private final long rows;
    private final int columns;
    private long read;

    private Npy(String name, DataInputStream in, int bytes, long rows, int columns) {
        this.name = name;
        this.in = in;
        this.bytes = bytes;
        this.rows = rows;
        this.columns = columns;
    }

    public static Npy open(Path file) {
        try {
            return open(file.toString(), Files.newInputStream(file));
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": there is no such file", e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e, e);
        }
    }

    /**
     * Reads the header.
     *
     * @param name what messages call the file
     * @param stream closed by {@link #close}, or here after a failure
     */
    public static Npy open(String name, InputStream stream) {
        DataInputStream in = new DataInputStream(new BufferedInputStream(stream, 1 << 16));
        try {
            return header(name, in);
        } catch (IOException | UserError e) {
            try (in) {
                throw e instanceof UserError u
                        ? u
                        : new UserError(name + ": is no NumPy array, or is cut off: " + e, e);
            } catch (IOException closing) {
                throw new UserError(name + ": cannot be read: " + closing, closing);
            }
        }
    }

    private static Npy header(String name, DataInputStream in) throws IOException {
        byte[] magic = in.readNBytes(MAGIC.length);
        if (!Arrays.equals(magic, MAGIC)) {
            throw new UserError(name + ": is no NumPy array (.npy): it does not begin as one");
        }
        int version = in.readUnsignedByte();
        in.readUnsignedByte();
        int length = Short.toUnsignedInt(Short.reverseBytes(in.readShort()));
        if (version > 1) {
            length |= Short.toUnsignedInt(Short.reverseBytes(in.readShort())) << 16;
        }
        if (length < 0 || length > MAX_HEADER) {
            throw new UserError(name + ": the header of " + Integer.toUnsignedString(length) + " bytes is too long");
        }
        byte[] text = new byte[length];
        in.readFully(text);
        String header = new String(text, StandardCharsets.ISO_8859_1);
        Matcher descr = DESCR.matcher(header);
        Matcher shape = SHAPE.matcher(header);
        if (!descr.find() || !shape.find()) {
            throw new UserError(name + ": expected an array with one or two axes, the header says " + header.strip());
        }
        int bytes =
                switch (descr.group(1)) {
                    case "<f2" -> 2;
                    case "<f4" -> 4;
                    case "<f8" -> 8;
                    default ->
                        throw new UserError(name + ": elements of type " + descr.group(1)
                                + " are not supported; supported: <f2, <f4, <f8");
                };
        int columns = shape.group(2) == null ? 1 : Integer.parseInt(shape.group(2));
        if (FORTRAN.matcher(header).find() && columns > 1) {
            throw new UserError(name + ": is stored column by column; save it by numpy.ascontiguousarray");
        }
        if ((long) columns * bytes > Integer.MAX_VALUE) {
            throw new UserError(name + ": rows of " + columns + " numbers are too long");
        }
        return new Npy(name, in, bytes, Long.parseLong(shape.group(1)), columns);
    }

    /** What messages call the file. */
    public String name() {
        return name;
    }

    public long rows() {
        return rows;
    }

    /** Numbers of a row; 1 for an array of one axis. */
    public int columns() {
        return columns;
    }

    /** Bytes of one number: 2, 4 or 8. */
    public int elementBytes() {
        return bytes;
    }

    /** The bytes of the next rows, as many as are left but no more than {@code most}; empty at the end. */
    public byte[] nextBytes(int most) {
        int count = (int) Math.min(Math.min(most, rows - read), (Integer.MAX_VALUE - 8) / Math.max(1, columns * bytes));
        byte[] r = new byte[count * columns * bytes];
        try {
            in.readFully(r);
        } catch (EOFException e) {
            throw new UserError(
                    name + ": is cut off within the rows " + read + " to " + (read + count) + " of " + rows, e);
        } catch (IOException e) {
            throw new UserError(name + ": cannot be read: " + e, e);
        }
        read += count;
        return r;
    }

    /** Leaves out the next rows. */
    public void skip(long count) {
        try {
            in.skipNBytes(count * columns * bytes);
        } catch (IOException e) {
            throw new UserError(name + ": is cut off before row " + (read + count) + " of " + rows + ": " + e, e);
        }
        read += count;
    }

    /** The next rows as float32, one after the other; see {@link #nextBytes}. */
    public float[] nextFloats(int most) {
        return floats(nextBytes(most), bytes);
    }

    /** All rows of a file at once, float32 {@code [row, column]}. */
    public static float[] readAll(Path file) {
        try (Npy npy = open(file)) {
            if (npy.rows * npy.columns > Integer.MAX_VALUE - 8) {
                throw new UserError(file + ": " + npy.rows + " rows of " + npy.columns + " numbers are too many");
            }
            return npy.nextFloats(Integer.MAX_VALUE);
        }
    }

    /** Little-endian floats of 2, 4 or 8 bytes as float32. */
    public static float[] floats(byte[] raw, int elementBytes) {
        ByteBuffer b = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        float[] r = new float[raw.length / elementBytes];
        switch (elementBytes) {
            case 2 -> {
                for (int i = 0; i < r.length; i++) {
                    r[i] = half(b.getShort(2 * i));
                }
            }
            case 4 -> b.asFloatBuffer().get(r);
            case 8 -> {
                for (int i = 0; i < r.length; i++) {
                    r[i] = (float) b.getDouble(8 * i);
                }
            }
            default -> throw new IllegalArgumentException("floats of " + elementBytes + " bytes");
        }
        return r;
    }

    /** A float16 as a float. */
    public static float half(short bits) {
        int sign = (bits & 0x8000) << 16;
        int exponent = bits >> 10 & 0x1f;
        int fraction = bits & 0x3ff;
        if (exponent == 0) { // zero and what is below the smallest normal number
            float tiny = fraction * 0x1p-24f;
            return sign == 0 ? tiny : -tiny;
        }
        int wide = exponent == 31 ? 255 : exponent + 127 - 15;
        return Float.intBitsToFloat(sign | wide << 23 | fraction << 13);
    }

    /**
     * What a file begins with.
     *
     * @param elementBytes 2, 4 or 8
     */
    public static byte[] headerOf(int elementBytes, long rows, int columns) {
        String text = "{'descr': '<f" + elementBytes + "', 'fortran_order': False, 'shape': (" + rows + ", " + columns
                + "), }";
        String padded = text + " ".repeat(HEADER - 10 - text.length() - 1) + "\n";
        ByteBuffer b = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
        b.put(MAGIC).put((byte) 1).put((byte) 0);
        b.putShort((short) (HEADER - 10)).put(padded.getBytes(StandardCharsets.US_ASCII));
        return b.array();
    }

    /** Float32 numbers as a file's rows. */
    public static byte[] bytesOf(float... values) {
        ByteBuffer b = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        b.asFloatBuffer().put(values);
        return b.array();
    }

    @Override
    public void close() {
        try {
            in.close();
        } catch (IOException e) {
            throw new UserError(name + ": cannot be read: " + e, e);
        }
    }
}
