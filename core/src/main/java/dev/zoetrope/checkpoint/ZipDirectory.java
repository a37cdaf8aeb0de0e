package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Where the entries of a zip archive begin in its file, which the JDK's reader does not tell: PyTorch stores tensors
 * without compression, so that they can be mapped. Archives over 4 GiB (zip64) too.
 */
final class ZipDirectory {
    private static final int END = 0x06054b50;
    private static final int END_64 = 0x06064b50;
    private static final int LOCATOR_64 = 0x07064b50;
    private static final int CENTRAL = 0x02014b50;
    private static final int LOCAL = 0x04034b50;
    private static final int END_SIZE = 22;
    private static final int LOCATOR_SIZE = 20;
    private static final int MAX_COMMENT = 65_535;
    private static final long MAX_DIRECTORY = 64 << 20;

    /** Bytes {@code offset} to {@code offset + size} of the file; something else where it is compressed. */
    record Entry(long offset, long size, boolean compressed) {}

    private final FileChannel file;
    private final long fileSize;
    private final String name;

    private ZipDirectory(FileChannel file, String name) throws IOException {
        this.file = file;
        this.fileSize = file.size();
        this.name = name;
    }

    static Map<String, Entry> read(FileChannel file, String name) throws IOException {
        return new ZipDirectory(file, name).entries();
    }

    private Map<String, Entry> entries() throws IOException {
        int tailSize = (int) Math.min(fileSize, END_SIZE + MAX_COMMENT);
        long tailStart = fileSize - tailSize;
        ByteBuffer tail = bytes(tailStart, tailSize);
        int end = tailSize - END_SIZE;
        while (end >= 0 && tail.getInt(end) != END) {
            end--;
        }
        if (end < 0) {
            throw refuse("the zip directory is missing: the file is cut short, download it again");
        }
        long count = Short.toUnsignedInt(tail.getShort(end + 10));
        long size = Integer.toUnsignedLong(tail.getInt(end + 12));
        long start = Integer.toUnsignedLong(tail.getInt(end + 16));
        if (end >= LOCATOR_SIZE && tail.getInt(end - LOCATOR_SIZE) == LOCATOR_64) {
            ByteBuffer end64 = bytes(tail.getLong(end - LOCATOR_SIZE + 8), 56);
            if (end64.getInt(0) != END_64) {
                throw refuse("its zip64 directory is damaged");
            }
            count = end64.getLong(32);
            size = end64.getLong(40);
            start = end64.getLong(48);
        }
        if (size < 0 || size > MAX_DIRECTORY) {
            throw refuse(
                    "its zip directory of " + Long.toUnsignedString(size) + " bytes is larger than " + MAX_DIRECTORY);
        }
        ByteBuffer directory = bytes(start, (int) size);
        Map<String, Entry> r = new LinkedHashMap<>();
        for (long i = 0; i < count; i++) {
            addEntry(directory, r);
        }
        return r;
    }

    private void addEntry(ByteBuffer d, Map<String, Entry> into) throws IOException {
        if (d.remaining() < 46 || d.getInt(d.position()) != CENTRAL) {
            throw refuse("its zip directory is damaged");
        }
        int at = d.position();
        int flags = Short.toUnsignedInt(d.getShort(at + 8));
        int method = Short.toUnsignedInt(d.getShort(at + 10));
        long stored = Integer.toUnsignedLong(d.getInt(at + 20));
        long size = Integer.toUnsignedLong(d.getInt(at + 24));
        int nameSize = Short.toUnsignedInt(d.getShort(at + 28));
        int extraSize = Short.toUnsignedInt(d.getShort(at + 30));
        int commentSize = Short.toUnsignedInt(d.getShort(at + 32));
        long local = Integer.toUnsignedLong(d.getInt(at + 42));
        if (d.remaining() < 46 + nameSize + extraSize + commentSize) {
            throw refuse("its zip directory is damaged");
        }
        byte[] nameBytes = new byte[nameSize];
        d.get(at + 46, nameBytes);
        String entry = new String(nameBytes, StandardCharsets.UTF_8);

        // Sizes and offset that need 64 bits stand in an extra field, in this order, each only if its own field is
        // full.
        ByteBuffer wide = extra(d.slice(at + 46 + nameSize, extraSize).order(ByteOrder.LITTLE_ENDIAN));
        size = widened(size, wide);
        stored = widened(stored, wide);
        local = widened(local, wide);
        d.position(at + 46 + nameSize + extraSize + commentSize);

        if ((flags & 1) != 0) {
            throw refuse("entry " + entry + " is encrypted");
        }
        ByteBuffer header = bytes(local, 30);
        if (header.getInt(0) != LOCAL) {
            throw refuse("entry " + entry + " is damaged");
        }
        long offset = local + 30 + Short.toUnsignedInt(header.getShort(26)) + Short.toUnsignedInt(header.getShort(28));
        if (size < 0 || stored < 0 || offset > fileSize || stored > fileSize - offset) {
            throw refuse("entry " + entry + " of " + stored + " bytes reaches past the end of the file");
        }
        boolean compressed = method != 0 || stored != size;
        if (into.put(entry, new Entry(offset, size, compressed)) != null) {
            throw refuse("entry " + entry + " is there twice");
        }
    }

    private ByteBuffer extra(ByteBuffer fields) {
        while (fields.remaining() >= 4) {
            int id = Short.toUnsignedInt(fields.getShort());
            int length = Short.toUnsignedInt(fields.getShort());
            if (length > fields.remaining()) {
                throw refuse("its zip directory is damaged");
            }
            if (id == 1) {
                return fields.slice(fields.position(), length).order(ByteOrder.LITTLE_ENDIAN);
            }
            fields.position(fields.position() + length);
        }
        return ByteBuffer.allocate(0);
    }

    private long widened(long value, ByteBuffer wide) {
        if (value != 0xffff_ffffL) {
            return value;
        }
        if (wide.remaining() < 8) {
            throw refuse("its zip directory is damaged");
        }
        return wide.getLong();
    }

    private ByteBuffer bytes(long offset, int length) throws IOException {
        if (offset < 0 || offset > fileSize - length) {
            throw refuse("its zip directory points past the end of the file: the file is cut short, download it again");
        }
        ByteBuffer b = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        while (b.hasRemaining()) {
            if (file.read(b, offset + b.position()) < 0) {
                throw refuse("the file became shorter while it was read");
            }
        }
        return b.flip();
    }

    private UserError refuse(String reason) {
        return new UserError(name + ": " + reason);
    }
}
