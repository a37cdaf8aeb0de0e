package dev.zoetrope.media;

import static org.bytedeco.ffmpeg.global.avcodec.AV_CODEC_FLAG_GLOBAL_HEADER;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_alloc;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_free;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_rescale_ts;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_alloc_context3;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_find_encoder_by_name;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_free_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_open2;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_parameters_from_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_receive_packet;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_send_frame;
import static org.bytedeco.ffmpeg.global.avformat.AVFMT_GLOBALHEADER;
import static org.bytedeco.ffmpeg.global.avformat.AVIO_FLAG_WRITE;
import static org.bytedeco.ffmpeg.global.avformat.av_interleaved_write_frame;
import static org.bytedeco.ffmpeg.global.avformat.av_write_trailer;
import static org.bytedeco.ffmpeg.global.avformat.avformat_alloc_output_context2;
import static org.bytedeco.ffmpeg.global.avformat.avformat_free_context;
import static org.bytedeco.ffmpeg.global.avformat.avformat_new_stream;
import static org.bytedeco.ffmpeg.global.avformat.avformat_write_header;
import static org.bytedeco.ffmpeg.global.avformat.avio_closep;
import static org.bytedeco.ffmpeg.global.avformat.avio_open;
import static org.bytedeco.ffmpeg.global.avutil.AVCOL_PRI_BT709;
import static org.bytedeco.ffmpeg.global.avutil.AVCOL_RANGE_MPEG;
import static org.bytedeco.ffmpeg.global.avutil.AVCOL_SPC_BT709;
import static org.bytedeco.ffmpeg.global.avutil.AVCOL_TRC_BT709;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EAGAIN;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EOF;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_BGRA;
import static org.bytedeco.ffmpeg.global.avutil.AV_PIX_FMT_YUV420P;
import static org.bytedeco.ffmpeg.global.avutil.AV_SAMPLE_FMT_FLTP;
import static org.bytedeco.ffmpeg.global.avutil.av_channel_layout_default;
import static org.bytedeco.ffmpeg.global.avutil.av_d2q;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_free;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_set;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_alloc;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_free;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_get_buffer;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_make_writable;
import static org.bytedeco.ffmpeg.global.avutil.av_inv_q;
import static org.bytedeco.ffmpeg.global.avutil.av_opt_set;

import dev.zoetrope.tensor.UserError;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.ffmpeg.avcodec.AVCodec;
import org.bytedeco.ffmpeg.avcodec.AVCodecContext;
import org.bytedeco.ffmpeg.avcodec.AVPacket;
import org.bytedeco.ffmpeg.avformat.AVFormatContext;
import org.bytedeco.ffmpeg.avformat.AVIOContext;
import org.bytedeco.ffmpeg.avformat.AVStream;
import org.bytedeco.ffmpeg.avutil.AVDictionary;
import org.bytedeco.ffmpeg.avutil.AVFrame;
import org.bytedeco.ffmpeg.avutil.AVRational;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

/** Writes clips by FFmpeg: MP4 with H.264 and AAC, animated WebP. */
final class VideoWriter implements AutoCloseable {

    private final String name;
    private final PointerScope scope = new PointerScope();
    private final AVFormatContext format = new AVFormatContext(null);
    private final AVPacket packet = av_packet_alloc();
    private @Nullable Track video;
    private @Nullable Track audio;
    private @Nullable Pictures pictures;

    /** A stream and the encoder that feeds it. */
    private record Track(AVCodecContext encoder, AVStream stream) {}

    private VideoWriter(Path file, String formatName, String name) {
        this.name = name;
        try {
            check(avformat_alloc_output_context2(format, null, formatName, file.toString()), "cannot be written");
            AVIOContext io = new AVIOContext(null);
            check(avio_open(io, file.toString(), AVIO_FLAG_WRITE), "cannot be opened for writing");
            format.pb(io);
        } catch (UserError e) {
            close();
            throw e;
        }
    }

    private int check(int code, String what) {
        return Ffmpeg.check(code, name, what);
    }

    /**
     * Writes H.264 and, if the clip has sound, AAC.
     *
     * @param file where the bytes go
     * @param name what errors call it
     */
    static void mp4(Clip clip, Path file, String name, Map<String, String> metadata) {
        try (VideoWriter writer = new VideoWriter(file, "mp4", name)) {
            writer.video = writer.open(writer.h264(clip.width(), clip.height(), clip.fps()));
            if (clip.audio() != null) {
                writer.audio = writer.open(writer.aac(clip.audio()));
            }
            writer.header(metadata, "movflags", "+faststart");
            writer.frames(clip, writer.video, AV_PIX_FMT_YUV420P);
            if (writer.audio != null) {
                writer.sound(Resample.to(clip.audio(), writer.audio.encoder.sample_rate()), writer.audio);
            }
            writer.check(av_write_trailer(writer.format), "cannot be finished");
        }
    }

    /** H.264 frame by frame: {@link #add} each, then {@link #finish}. */
    static VideoWriter mp4(Path file, String name, int width, int height, double fps, Map<String, String> metadata) {
        VideoWriter writer = new VideoWriter(file, "mp4", name);
        try {
            writer.video = writer.open(writer.h264(width, height, fps));
            writer.header(metadata, "movflags", "+faststart");
            writer.pictures = writer.new Pictures(writer.video, AV_PIX_FMT_YUV420P);
            return writer;
        } catch (UserError e) {
            writer.close();
            throw e;
        }
    }

    void add(Image frame) {
        Objects.requireNonNull(pictures, "not opened for frames").add(frame);
    }

    void finish() {
        encode(Objects.requireNonNull(video), null);
        check(av_write_trailer(format), "cannot be finished");
    }

    private AVCodecContext h264(int clipWidth, int clipHeight, double fps) {
        // Two by two pixels share their colour, so sides are even; the encoder takes none below 16.
        int width = Math.max(16, clipWidth + clipWidth % 2);
        int height = Math.max(16, clipHeight + clipHeight % 2);
        AVCodecContext h264 = encoder("libopenh264");
        h264.width(width).height(height).pix_fmt(AV_PIX_FMT_YUV420P);
        AVRational rate = av_d2q(fps, 1_000_000);
        h264.framerate(rate).time_base(av_inv_q(rate));
        h264.colorspace(AVCOL_SPC_BT709).color_primaries(AVCOL_PRI_BT709).color_trc(AVCOL_TRC_BT709);
        h264.color_range(AVCOL_RANGE_MPEG);
        // Quality rules and not size: the quantiser is held where flat colours and edges show no blocks.
        h264.gop_size((int) Math.max(1, Math.round(2 * fps)));
        h264.qmin(8).qmax(16).bit_rate(100_000_000L);
        return h264;
    }

    /** Clips up to this many pixels are kept to the last bit in WebP; larger ones would take more room than they are worth. */
    private static final long LOSSLESS_PIXELS = 1L << 22;

    /** Writes WebP that loops for ever. */
    static void webp(Clip clip, Path file, String name) {
        try (VideoWriter writer = new VideoWriter(file, "webp", name)) {
            AVCodecContext webp = writer.encoder("libwebp_anim");
            webp.width(clip.width()).height(clip.height()).pix_fmt(AV_PIX_FMT_BGRA);
            AVRational rate = av_d2q(clip.fps(), 1_000_000);
            webp.framerate(rate).time_base(av_inv_q(rate));
            long pixels = (long) clip.width() * clip.height() * clip.frames().size();
            av_opt_set(webp.priv_data(), "lossless", pixels <= LOSSLESS_PIXELS ? "1" : "0", 0);
            av_opt_set(webp.priv_data(), "quality", pixels <= LOSSLESS_PIXELS ? "75" : "92", 0);
            writer.video = writer.open(webp);
            writer.header(Map.of(), "loop", "0");
            writer.frames(clip, writer.video, AV_PIX_FMT_BGRA);
            writer.check(av_write_trailer(writer.format), "cannot be finished");
        }
    }

    private AVCodecContext encoder(String codecName) {
        AVCodec codec = avcodec_find_encoder_by_name(codecName);
        if (codec == null) {
            throw new UserError(name + ": cannot be written: this build of FFmpeg has no encoder " + codecName);
        }
        return avcodec_alloc_context3(codec);
    }

    private AVCodecContext aac(Audio sound) {
        AVCodecContext aac = encoder("aac");
        aac.sample_fmt(AV_SAMPLE_FMT_FLTP).sample_rate(48_000).bit_rate(192_000L);
        av_channel_layout_default(aac.ch_layout(), sound.channels());
        aac.time_base().num(1).den(48_000);
        return aac;
    }

    /** Opens an encoder and makes a stream for it; the encoder is the stream's from now on. */
    private Track open(AVCodecContext encoder) {
        encoder.thread_count(1); // the same bytes whatever the machine
        if ((format.oformat().flags() & AVFMT_GLOBALHEADER) != 0) {
            encoder.flags(encoder.flags() | AV_CODEC_FLAG_GLOBAL_HEADER);
        }
        AVStream stream = avformat_new_stream(format, null);
        Track track = new Track(encoder, stream);
        check(avcodec_open2(encoder, encoder.codec(), (AVDictionary) null), "the encoder cannot be opened");
        stream.time_base(encoder.time_base());
        check(avcodec_parameters_from_context(stream.codecpar(), encoder), "the encoder cannot be used");
        return track;
    }

    private void header(Map<String, String> metadata, String option, String value) {
        AVDictionary tags = new AVDictionary(null);
        metadata.forEach((key, text) -> av_dict_set(tags, key, text, 0));
        format.metadata(tags); // freed with the format
        AVDictionary options = new AVDictionary(null);
        av_dict_set(options, option, value, 0);
        try {
            check(avformat_write_header(format, options), "cannot be written");
        } finally {
            av_dict_free(options);
        }
    }

    private void frames(Clip clip, Track track, int pixelFormat) {
        try (Pictures p = new Pictures(track, pixelFormat)) {
            clip.frames().forEach(p::add);
            encode(track, null);
        }
    }

    /** Frames on their way to an encoder, converted to its pixels. */
    private final class Pictures implements AutoCloseable {
        private final Track track;
        private final AVFrame rgb;
        private final AVFrame converted;
        private final Ffmpeg.Converter converter = new Ffmpeg.Converter();
        private long count;

        Pictures(Track track, int pixelFormat) {
            AVCodecContext encoder = track.encoder;
            this.track = track;
            rgb = Ffmpeg.rgbFrame(encoder.width(), encoder.height());
            converted = Ffmpeg.frame(pixelFormat, encoder.width(), encoder.height());
            converted.colorspace(encoder.colorspace()).color_range(encoder.color_range());
        }

        void add(Image frame) {
            check(av_frame_make_writable(converted), "a frame cannot be written");
            Ffmpeg.put(frame, rgb);
            converter.convert(rgb, converted, name);
            converted.pts(count++).duration(1);
            encode(track, converted);
        }

        @Override
        public void close() {
            converter.close();
            av_frame_free(rgb);
            av_frame_free(converted);
        }
    }

    private void sound(Audio sound, Track track) {
        int size = track.encoder.frame_size();
        AVFrame frame = av_frame_alloc();
        try {
            frame.format(AV_SAMPLE_FMT_FLTP).nb_samples(size).sample_rate(sound.rate());
            av_channel_layout_default(frame.ch_layout(), sound.channels());
            check(av_frame_get_buffer(frame, 0), "sound cannot be written");
            for (int from = 0; from < sound.length(); from += size) {
                check(av_frame_make_writable(frame), "sound cannot be written");
                int count = Math.min(size, sound.length() - from);
                for (int c = 0; c < sound.channels(); c++) {
                    FloatBuffer to = new FloatPointer(frame.extended_data(c))
                            .capacity(size)
                            .asBuffer();
                    to.put(sound.samples()[c], from, count);
                    while (to.hasRemaining()) {
                        to.put(0f);
                    }
                }
                frame.pts(from);
                encode(track, frame);
            }
            encode(track, null);
        } finally {
            av_frame_free(frame);
        }
    }

    /** Hands a frame, or at the end null, to the encoder, and what comes out to the file. */
    private void encode(Track track, @Nullable AVFrame frame) {
        check(avcodec_send_frame(track.encoder, frame), "a frame cannot be encoded");
        while (true) {
            int code = avcodec_receive_packet(track.encoder, packet);
            if (code == AVERROR_EAGAIN() || code == AVERROR_EOF()) {
                return;
            }
            check(code, "a frame cannot be encoded");
            if (packet.duration() == 0) {
                packet.duration(1);
            }
            av_packet_rescale_ts(packet, track.encoder.time_base(), track.stream.time_base());
            packet.stream_index(track.stream.index());
            check(av_interleaved_write_frame(format, packet), "cannot be written");
        }
    }

    @Override
    public void close() {
        if (pictures != null) {
            pictures.close();
        }
        for (Track track : new Track[] {video, audio}) {
            if (track != null) {
                avcodec_free_context(track.encoder);
            }
        }
        av_packet_free(packet);
        if (!format.isNull()) {
            if (format.pb() != null) {
                avio_closep(format.pb());
            }
            avformat_free_context(format);
        }
        scope.close();
    }
}
