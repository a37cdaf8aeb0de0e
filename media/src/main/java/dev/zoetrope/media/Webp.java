package dev.zoetrope.media;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.bytedeco.ffmpeg.global.avcodec.AV_CODEC_ID_WEBP;
import static org.bytedeco.ffmpeg.global.avcodec.av_new_packet;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_alloc;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_free;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_alloc_context3;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_find_decoder;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_free_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_open2;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_receive_frame;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_send_packet;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_ARGB;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_YUV420P;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_YUVA420P;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_alloc;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_free;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.ffmpeg.avcodec.AVCodec;
import org.bytedeco.ffmpeg.avcodec.AVCodecContext;
import org.bytedeco.ffmpeg.avcodec.AVPacket;
import org.bytedeco.ffmpeg.avutil.AVDictionary;
import org.bytedeco.ffmpeg.avutil.AVFrame;
import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

/**
 * WebP, still and animated. FFmpeg decodes the samples of single frames; the container, the animation and the way from luma
 * and chroma to RGB are here, the latter by libwebp's formulas, so that what comes out equals Pillow's bit for bit.
 */
final class Webp {

    private static final int DESCRIPTION = 0x10e;
    private static final int HAS_EXIF = 0x08;
    private static final int HAS_ALPHA = 0x10;

    private Webp() {}

    static boolean is(byte[] data) {
        return data.length >= 12 && tag(data, 0).equals("RIFF") && tag(data, 8).equals("WEBP");
    }

    private static String tag(byte[] data, int at) {
        return new String(data, at, 4, ISO_8859_1);
    }

    private record Chunk(String tag, int from, int length) {}

    /** The chunks between two places. What is cut off at the end is left out. */
    private static List<Chunk> chunks(byte[] data, int from, int to) {
        List<Chunk> chunks = new ArrayList<>();
        ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        long at = from;
        while (at + 8 <= to) {
            long length = in.getInt((int) at + 4) & 0xffffffffL;
            if (at + 8 + length > to) {
                break;
            }
            chunks.add(new Chunk(tag(data, (int) at), (int) at + 8, (int) length));
            at += 8 + length + length % 2;
        }
        return chunks;
    }

    /**
     * A picture of an animation, or the only one.
     *
     * @param milliseconds how long it is shown
     * @param blends whether it is laid over what is there, or takes its place
     * @param disposes whether its rectangle is emptied afterwards
     * @param from where its chunks begin
     * @param to where they end
     */
    private record Part(int left, int top, int milliseconds, boolean blends, boolean disposes, int from, int to) {}

    /** Samples with alpha, 0xAARRGGBB. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Pixels(int width, int height, int[] argb) {

        Image image() {
            byte[] rgb = new byte[3 * argb.length];
            for (int i = 0; i < argb.length; i++) {
                rgb[3 * i] = (byte) (argb[i] >> 16);
                rgb[3 * i + 1] = (byte) (argb[i] >> 8);
                rgb[3 * i + 2] = (byte) argb[i];
            }
            return new Image(width, height, rgb);
        }
    }

    /** The picture, or the first of an animation. */
    static Image read(byte[] data, String name) {
        return read(data, name, Clips.Limits.first(1)).frames().get(0);
    }

    /** The pictures within limits, at the mean of their rates. */
    static Clip read(byte[] data, String name, Clips.Limits limits) {
        List<Chunk> chunks = chunks(data, 12, data.length);
        List<Part> parts = parts(data, chunks);
        if (parts.isEmpty()) {
            throw Images.broken(name, "WebP has no picture: the file is cut off or damaged");
        }
        Chunk extended = find(chunks, "VP8X");
        List<Image> frames = new ArrayList<>();
        Pixels canvas = null;
        long total = 0;
        for (int i = 0; i < parts.size() && frames.size() < limits.frames(); i++) {
            Part part = parts.get(i);
            Pixels pixels = decoded(data, part, name);
            if (canvas == null) {
                int width = extended == null ? pixels.width : 1 + triple(data, extended.from + 4);
                int height = extended == null ? pixels.height : 1 + triple(data, extended.from + 7);
                Images.checkSize(name, width, height);
                canvas = new Pixels(width, height, new int[width * height]);
            }
            draw(pixels, part, canvas);
            if (limits.takes(i, frames.size(), parts.size())) {
                limits.check(name, frames.size() + 1, canvas.width, canvas.height);
                frames.add(canvas.image());
            }
            if (part.disposes) {
                clear(canvas, part, pixels);
            }
        }
        for (Part part : parts) {
            total += part.milliseconds;
        }
        double fps = total > 0 ? 1000.0 * parts.size() / total : 10;
        return new Clip(frames, limits.spread() ? fps * frames.size() / parts.size() : fps);
    }

    private static @Nullable Chunk find(List<Chunk> chunks, String tag) {
        return chunks.stream().filter(c -> c.tag.equals(tag)).findFirst().orElse(null);
    }

    private static int triple(byte[] data, int at) {
        return (data[at] & 0xff) | ((data[at + 1] & 0xff) << 8) | ((data[at + 2] & 0xff) << 16);
    }

    private static List<Part> parts(byte[] data, List<Chunk> chunks) {
        List<Part> parts = new ArrayList<>();
        for (Chunk chunk : chunks) {
            if (chunk.tag.equals("ANMF") && chunk.length >= 16) {
                int flags = data[chunk.from + 15];
                parts.add(new Part(
                        2 * triple(data, chunk.from),
                        2 * triple(data, chunk.from + 3),
                        triple(data, chunk.from + 12),
                        (flags & 2) == 0,
                        (flags & 1) != 0,
                        chunk.from + 16,
                        chunk.from + chunk.length));
            }
        }
        if (parts.isEmpty() && (find(chunks, "VP8 ") != null || find(chunks, "VP8L") != null)) {
            parts.add(new Part(0, 0, 0, false, false, 12, data.length));
        }
        return parts;
    }

    private static void draw(Pixels pixels, Part part, Pixels canvas) {
        for (int y = 0; y < pixels.height && part.top + y < canvas.height; y++) {
            for (int x = 0; x < pixels.width && part.left + x < canvas.width; x++) {
                int at = (part.top + y) * canvas.width + part.left + x;
                int above = pixels.argb[y * pixels.width + x];
                canvas.argb[at] = part.blends ? blended(above, canvas.argb[at]) : above;
            }
        }
    }

    private static int blended(int above, int below) {
        int alpha = above >>> 24;
        if (alpha == 255 || alpha == 0) {
            return alpha == 0 ? below : above;
        }
        int mixed = 0xff000000;
        for (int shift = 0; shift <= 16; shift += 8) {
            int sum = ((above >> shift) & 0xff) * alpha + ((below >> shift) & 0xff) * (255 - alpha);
            mixed |= ((sum + 127) / 255) << shift;
        }
        return mixed;
    }

    private static void clear(Pixels canvas, Part part, Pixels pixels) {
        for (int y = part.top; y < Math.min(canvas.height, part.top + pixels.height); y++) {
            for (int x = part.left; x < Math.min(canvas.width, part.left + pixels.width); x++) {
                canvas.argb[y * canvas.width + x] = 0;
            }
        }
    }

    /** Decodes the samples of one picture, whose chunks are put into a file of their own for that. */
    private static Pixels decoded(byte[] data, Part part, String name) {
        List<Chunk> chunks = chunks(data, part.from, part.to);
        Chunk lossy = find(chunks, "VP8 ");
        Chunk lossless = find(chunks, "VP8L");
        Chunk alpha = find(chunks, "ALPH");
        Chunk samples = lossy == null ? lossless : lossy;
        if (samples == null || samples.length < 10) {
            throw Images.broken(name, "WebP frame has no samples: the file is cut off or damaged");
        }
        ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        int bits = lossy == null ? in.getInt(samples.from + 1) : 0;
        int width = lossy == null ? 1 + (bits & 0x3fff) : in.getShort(samples.from + 6) & 0x3fff;
        int height = lossy == null ? 1 + ((bits >> 14) & 0x3fff) : in.getShort(samples.from + 8) & 0x3fff;
        Images.checkSize(name, width, height);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        if (lossy != null && alpha != null) {
            body.writeBytes(extended(width, height, HAS_ALPHA));
            copy(data, alpha, body);
        }
        copy(data, samples, body);
        return decoded(file(body.toByteArray()), name);
    }

    /** The header of files that have more than samples. */
    private static byte[] extended(int width, int height, int flags) {
        ByteBuffer header = ByteBuffer.allocate(18).order(ByteOrder.LITTLE_ENDIAN);
        header.put("VP8X".getBytes(ISO_8859_1)).putInt(10).putInt(flags);
        header.putShort((short) (width - 1)).put((byte) 0).putShort((short) (height - 1)); // sides end at 16383
        return header.array();
    }

    private static void copy(byte[] data, Chunk chunk, ByteArrayOutputStream to) {
        to.write(data, chunk.from - 8, 8 + chunk.length);
        if (chunk.length % 2 == 1) {
            to.write(0);
        }
    }

    private static byte[] file(byte[] chunks) {
        ByteBuffer file = ByteBuffer.allocate(12 + chunks.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put("RIFF".getBytes(ISO_8859_1)).putInt(4 + chunks.length);
        file.put("WEBP".getBytes(ISO_8859_1)).put(chunks);
        return file.array();
    }

    private static Pixels decoded(byte[] file, String name) {
        try (PointerScope scope = new PointerScope()) {
            AVCodec codec = avcodec_find_decoder(AV_CODEC_ID_WEBP);
            AVCodecContext decoder = avcodec_alloc_context3(codec);
            AVPacket packet = av_packet_alloc();
            AVFrame frame = av_frame_alloc();
            try {
                decoder.thread_count(1);
                String what = "WebP cannot be decoded";
                Ffmpeg.check(avcodec_open2(decoder, codec, (AVDictionary) null), name, what);
                Ffmpeg.check(av_new_packet(packet, file.length), name, what);
                packet.data().put(file);
                Ffmpeg.check(avcodec_send_packet(decoder, packet), name, what);
                Ffmpeg.check(avcodec_receive_frame(decoder, frame), name, what);
                return pixels(frame, name);
            } finally {
                av_frame_free(frame);
                av_packet_free(packet);
                avcodec_free_context(decoder);
            }
        }
    }

    private static Pixels pixels(AVFrame frame, String name) {
        int width = frame.width();
        int height = frame.height();
        int[] argb = new int[width * height];
        if (frame.format() == AV_PIX_FMT_ARGB) {
            byte[] packed = plane(frame, 0, 4 * width, height);
            ByteBuffer.wrap(packed).asIntBuffer().get(argb);
            return new Pixels(width, height, argb);
        }
        boolean alpha = frame.format() == AV_PIX_FMT_YUVA420P;
        if (!alpha && frame.format() != AV_PIX_FMT_YUV420P) {
            throw Images.broken(name, "WebP of pixel format " + frame.format() + " cannot be read");
        }
        int chromaWidth = (width + 1) / 2;
        int chromaHeight = (height + 1) / 2;
        byte[] luma = plane(frame, 0, width, height);
        byte[] blue = plane(frame, 1, chromaWidth, chromaHeight);
        byte[] red = plane(frame, 2, chromaWidth, chromaHeight);
        byte[] opacity = alpha ? plane(frame, 3, width, height) : new byte[0];
        for (int y = 0, i = 0; y < height; y++) {
            for (int x = 0; x < width; x++, i++) {
                int u = upsampled(blue, chromaWidth, chromaHeight, x, y, width);
                int v = upsampled(red, chromaWidth, chromaHeight, x, y, width);
                int a = alpha ? opacity[i] & 0xff : 255;
                argb[i] = (a << 24) | rgb(luma[i] & 0xff, u, v);
            }
        }
        return new Pixels(width, height, argb);
    }

    private static byte[] plane(AVFrame frame, int number, int rowBytes, int rows) {
        int stride = frame.linesize(number);
        ByteBuffer from = frame.data(number)
                .capacity((long) stride * (rows - 1) + rowBytes)
                .asByteBuffer();
        byte[] plane = new byte[rowBytes * rows];
        for (int y = 0; y < rows; y++) {
            from.position(y * stride);
            from.get(plane, y * rowBytes, rowBytes);
        }
        return plane;
    }

    /** Chroma at a pixel: of the four samples round it 9/16 the nearest, 3/16 its neighbours, 1/16 the one across. */
    private static int upsampled(byte[] chroma, int chromaWidth, int chromaHeight, int x, int y, int width) {
        int nearX = x / 2;
        int nearY = y / 2;
        int farY = Math.max(0, Math.min(chromaHeight - 1, y % 2 == 1 ? nearY + 1 : nearY - 1));
        int near = chroma[nearY * chromaWidth + nearX] & 0xff;
        int vertical = chroma[farY * chromaWidth + nearX] & 0xff;
        boolean atSide = x == 0 || (x == width - 1 && x % 2 == 1);
        if (atSide) {
            return (3 * near + vertical + 2) >> 2;
        }
        int farX = x % 2 == 1 ? nearX + 1 : nearX - 1;
        int horizontal = chroma[nearY * chromaWidth + farX] & 0xff;
        int across = chroma[farY * chromaWidth + farX] & 0xff;
        int mixed = (near + across + 3 * (horizontal + vertical) + 8) >> 3;
        return (mixed + near) >> 1;
    }

    /** BT.601 at video range in the fixed point of libwebp. */
    private static int rgb(int y, int u, int v) {
        int luma = (y * 19077) >> 8;
        int red = luma + ((v * 26149) >> 8) - 14234;
        int green = luma - ((u * 6419) >> 8) - ((v * 13320) >> 8) + 8708;
        int blue = luma + ((u * 33050) >> 8) - 17685;
        return (level(red) << 16) | (level(green) << 8) | level(blue);
    }

    private static int level(int fixed) {
        return Math.max(0, Math.min(255, fixed >> 6));
    }

    /** The bytes of an EXIF chunk, or null. */
    static byte @Nullable [] exif(byte[] data) {
        Chunk exif = find(chunks(data, 12, data.length), "EXIF");
        if (exif == null) {
            return null;
        }
        boolean prefixed = exif.length > 6 && tag(data, exif.from).equals("Exif"); // some writers copy JPEG's signature
        int from = exif.from + (prefixed ? 6 : 0);
        return Arrays.copyOfRange(data, from, exif.from + exif.length);
    }

    /** What {@link #described} wrote, or null. */
    static @Nullable String description(byte[] data) {
        byte[] exif = exif(data);
        if (exif == null || exif.length < 26 || ByteBuffer.wrap(exif).getShort(10) != DESCRIPTION) {
            return null;
        }
        return new String(exif, 26, exif.length - 27, UTF_8);
    }

    /**
     * The file with a text as image description in an Exif block.
     *
     * @param clip what the file holds
     */
    static byte[] described(byte[] data, Clip clip, String text) {
        byte[] words = (text + "\0").getBytes(UTF_8);
        ByteBuffer exif = ByteBuffer.allocate(26 + words.length); // one directory of one entry, its text behind it
        exif.put("MM".getBytes(ISO_8859_1)).putShort((short) 42).putInt(8);
        exif.putShort((short) 1).putShort((short) DESCRIPTION).putShort((short) 2);
        exif.putInt(words.length).putInt(26).putInt(0).put(words);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        if (!tag(data, 12).equals("VP8X")) {
            body.writeBytes(extended(clip.width(), clip.height(), 0));
        }
        body.write(data, 12, data.length - 12);
        ByteBuffer header = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        header.put("EXIF".getBytes(ISO_8859_1)).putInt(exif.capacity());
        body.writeBytes(header.array());
        body.writeBytes(exif.array());
        if (exif.capacity() % 2 == 1) {
            body.write(0);
        }
        byte[] chunks = body.toByteArray();
        chunks[8] |= HAS_EXIF;
        return file(chunks);
    }
}
