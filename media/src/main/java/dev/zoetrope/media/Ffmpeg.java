package dev.zoetrope.media;

import static org.bytedeco.ffmpeg.global.avutil.AVCOL_RANGE_JPEG;
import static org.bytedeco.ffmpeg.global.avutil.AV_LOG_QUIET;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_RGB24;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_alloc;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_free;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_get_buffer;
import static org.bytedeco.ffmpeg.global.avutil.av_log_set_level;
import static org.bytedeco.ffmpeg.global.avutil.av_strerror;
import static org.bytedeco.ffmpeg.global.swscale.SWS_ACCURATE_RND;
import static org.bytedeco.ffmpeg.global.swscale.SWS_BICUBIC;
import static org.bytedeco.ffmpeg.global.swscale.SWS_FULL_CHR_H_INP;
import static org.bytedeco.ffmpeg.global.swscale.SWS_FULL_CHR_H_INT;
import static org.bytedeco.ffmpeg.global.swscale.sws_alloc_context;
import static org.bytedeco.ffmpeg.global.swscale.sws_freeContext;
import static org.bytedeco.ffmpeg.global.swscale.sws_scale_frame;

import dev.zoetrope.tensor.UserError;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.bytedeco.ffmpeg.avutil.AVFrame;
import org.bytedeco.ffmpeg.swscale.SwsContext;

/** What reading and writing by FFmpeg's libraries share. */
final class Ffmpeg {

    static {
        av_log_set_level(AV_LOG_QUIET); // what goes wrong is said by our messages, and stderr belongs to progress
    }

    private Ffmpeg() {}

    /** Turns an error code into the user's error. @return the code, where it is none */
    static int check(int code, String name, String what) {
        if (code < 0) {
            throw new UserError(name + ": " + what + " (" + message(code) + ")");
        }
        return code;
    }

    static String message(int code) {
        byte[] text = new byte[256];
        av_strerror(code, text, text.length);
        int length = 0;
        while (text[length] != 0) {
            length++;
        }
        return new String(text, 0, length, StandardCharsets.UTF_8);
    }

    /** Changes pixel formats without changing sizes. Use by one thread at a time. */
    static final class Converter implements AutoCloseable {
        private final SwsContext context = sws_alloc_context();

        Converter() {
            context.flags(SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP);
        }

        void convert(AVFrame from, AVFrame to, String name) {
            check(sws_scale_frame(context, to, from), name, "the pixel format cannot be converted");
        }

        @Override
        public void close() {
            sws_freeContext(context);
        }
    }

    /** A frame with memory for its pixels. */
    static AVFrame frame(int format, int width, int height) {
        AVFrame frame = av_frame_alloc();
        frame.format(format).width(width).height(height);
        if (av_frame_get_buffer(frame, 0) < 0) {
            av_frame_free(frame);
            throw new OutOfMemoryError("frame of " + width + "x" + height);
        }
        return frame;
    }

    /** A frame of packed RGB samples. */
    static AVFrame rgbFrame(int width, int height) {
        return frame(AV_PIX_FMT_RGB24, width, height).color_range(AVCOL_RANGE_JPEG);
    }

    /** Copies a picture into the top left of a frame, whose further columns and rows repeat the picture's last ones. */
    static void put(Image image, AVFrame frame) {
        int stride = frame.linesize(0);
        ByteBuffer to = frame.data(0).capacity((long) stride * frame.height()).asByteBuffer();
        int rowBytes = 3 * image.width();
        for (int y = 0; y < frame.height(); y++) {
            int from = Math.min(y, image.height() - 1) * rowBytes;
            to.position(y * stride);
            to.put(image.rgb(), from, rowBytes);
            for (int x = image.width(); x < frame.width(); x++) {
                to.put(image.rgb(), from + rowBytes - 3, 3);
            }
        }
    }

    /** The picture of a frame of packed RGB samples. */
    static Image image(AVFrame frame) {
        int width = frame.width();
        int height = frame.height();
        int stride = frame.linesize(0);
        ByteBuffer from = frame.data(0).capacity((long) stride * height).asByteBuffer();
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        for (int y = 0; y < height; y++) {
            from.position(y * stride);
            from.get(rgb, 3 * y * width, 3 * width);
        }
        return new Image(width, height, rgb);
    }
}
