package dev.zoetrope.training;

import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/** Writes TensorBoard event files: numbers and pictures over steps. Records are framed as TFRecord, the content is protobuf. */
public final class TensorBoard implements AutoCloseable {
    private final OutputStream out;

    public TensorBoard(Path folder) {
        try {
            Files.createDirectories(folder);
            String name = "events.out.tfevents." + System.currentTimeMillis() / 1000 + ".zoetrope."
                    + ProcessHandle.current().pid();
            out = Files.newOutputStream(folder.resolve(name));
        } catch (IOException e) {
            throw new UserError(folder + ": cannot write event files: " + e.getMessage(), e);
        }
        Message version = new Message().number(1, now()).bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
        record(version.toBytes());
    }

    public void scalar(String tag, double value, long step) {
        event(step, new Message().text(1, tag).number(2, (float) value));
    }

    /** @param png an encoded picture */
    public void image(String tag, byte[] png, int width, int height, long step) {
        Message image =
                new Message().whole(1, height).whole(2, width).whole(3, 3).bytes(4, png);
        event(step, new Message().text(1, tag).bytes(4, image.toBytes()));
    }

    private void event(long step, Message value) {
        Message summary = new Message().bytes(1, value.toBytes());
        record(new Message()
                .number(1, now())
                .whole(2, step)
                .bytes(5, summary.toBytes())
                .toBytes());
    }

    private static double now() {
        return System.currentTimeMillis() / 1000.;
    }

    private synchronized void record(byte[] data) {
        ByteBuffer head = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        head.putLong(data.length);
        head.putInt(masked(head.array(), 8));
        try {
            out.write(head.array());
            out.write(data);
            out.write(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(masked(data, data.length))
                    .array());
            out.flush();
        } catch (IOException e) {
            throw new UserError("cannot write an event file: " + e.getMessage(), e);
        }
    }

    private static int masked(byte[] data, int length) {
        CRC32C crc = new CRC32C();
        crc.update(data, 0, length);
        int c = (int) crc.getValue();
        return ((c >>> 15) | (c << 17)) + 0xa282ead8;
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw new UserError("cannot close an event file: " + e.getMessage(), e);
        }
    }

    /** As much of protobuf's wire format as events need. */
    private static final class Message {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Message number(int field, double value) {
            varint(field << 3 | 1);
            little(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putDouble(value));
            return this;
        }

        Message number(int field, float value) {
            varint(field << 3 | 5);
            little(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(value));
            return this;
        }

        Message whole(int field, long value) {
            varint(field << 3);
            varint(value);
            return this;
        }

        Message text(int field, String value) {
            return bytes(field, value.getBytes(StandardCharsets.UTF_8));
        }

        Message bytes(int field, byte[] value) {
            varint(field << 3 | 2);
            varint(value.length);
            out.writeBytes(value);
            return this;
        }

        byte[] toBytes() {
            return out.toByteArray();
        }

        private void little(ByteBuffer b) {
            out.writeBytes(b.array());
        }

        private void varint(long value) {
            long v = value;
            while ((v & ~0x7fL) != 0) {
                out.write((int) (v & 0x7f | 0x80));
                v >>>= 7;
            }
            out.write((int) v);
        }
    }
}
