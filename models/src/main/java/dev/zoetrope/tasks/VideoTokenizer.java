package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.emu3.Emu3Tokenizer;
import dev.zoetrope.models.videopoet.VisionTokenizer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Padding;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Clips and pictures as tokens and back, by the tokenizer of Emu3 or of a VideoPoet.
 *
 * <pre>{@code
 * try (Scope s = Scope.open(); VideoTokenizer tokenizer = VideoTokenizer.load(folder)) {
 *     Tokens tokens = tokenizer.encode(Clips.read(file));
 *     Clips.write(tokenizer.decode(tokens), copy);
 * }
 * }</pre>
 *
 * A clip is cut into pieces of 32 frames (33 by a VideoPoet's), each of which stands on its own. Not safe for use by several threads
 * at once.
 */
public final class VideoTokenizer implements AutoCloseable {
    private static final int LEVELS = 255;
    private static final String POET = "videopoet_vision";
    private static final String PART = "vision_tokenizer"; // of a whole VideoPoet

    /** One of the models. Tensors {@code [T, 3, H, W]} in -1..1, codes {@code [t, h, w]} or {@code [t, h, w, part]}. */
    private interface Codec extends AutoCloseable {
        Tensor encode(Tensor frames);

        Tensor decode(Tensor codes);

        @Override
        void close();
    }

    private final Codec codec;
    private final String name;
    private final int piece;
    private final int space;

    /**
     * @param piece most frames at once
     * @param space pixels of a token
     */
    private VideoTokenizer(Codec codec, String name, int piece, int space) {
        this.codec = codec;
        this.name = name;
        this.piece = piece;
        this.space = space;
    }

    /** Whether a folder holds such a tokenizer, alone or as part of a model. */
    public static boolean isIn(Path folder) {
        if (Files.isRegularFile(folder.resolve("model_index.json"))) {
            return Files.isRegularFile(folder.resolve(PART).resolve("config.json"));
        }
        String type = Json.read(folder.resolve("config.json")).get("model_type", "");
        return type.startsWith("emu3") || type.equals(POET);
    }

    public static VideoTokenizer load(Path folder) {
        if (Files.isRegularFile(folder.resolve("model_index.json"))) {
            return load(folder.resolve(PART));
        }
        return Pretrained.load(folder, (json, w) -> switch (json.get("model_type", "")) {
            case "emu3_vqgan" -> emu3(new Emu3Tokenizer(Emu3Tokenizer.Config.of(json), w));
            case "emu3" -> {
                w.ignorable("text_model\\..*"); // tokens are made without the language model
                yield emu3(new Emu3Tokenizer(Emu3Tokenizer.Config.of(json.at("vq_config")), w.at("vqmodel")));
            }
            case POET -> poet(new VisionTokenizer(VisionTokenizer.Config.of(json), w));
            default -> throw json.unsupported("model_type", "emu3_vqgan, emu3, " + POET);
        });
    }

    private static VideoTokenizer emu3(Emu3Tokenizer model) {
        int time = model.config().frames();
        Codec codec = new Codec() {
            @Override
            public Tensor encode(Tensor frames) {
                long after = missing(frames.size(0), time);
                Tensor all = after == 0
                        ? frames
                        : Tensor.cat(
                                0,
                                frames,
                                frames.narrow(0, frames.size(0) - 1, 1).expand(after, -1, -1, -1));
                return model.encode(all.unsqueeze(0)).codes().select(0, 0); // [t, h, w]
            }

            @Override
            public Tensor decode(Tensor codes) {
                Check.shape(codes.shape(), "codes", -1, -1, -1);
                int codeLimit = model.config().codes();
                if (codes.min().item() < 0 || codes.max().item() >= codeLimit) {
                    throw new UserError("tokens: a code is outside 0.." + (codeLimit - 1));
                }
                return model.decode(codes.unsqueeze(0)).select(0, 0); // [T, 3, H, W]
            }

            @Override
            public void close() {
                model.close();
            }
        };
        return new VideoTokenizer(
                codec,
                Tokens.identity("emu3", model.weights(), "quantize.embedding.weight"),
                32,
                model.config().factor());
    }

    private static VideoTokenizer poet(VisionTokenizer model) {
        Codec codec = new Codec() {
            @Override
            public Tensor encode(Tensor frames) {
                Tensor video = frames.transpose(0, 1).unsqueeze(0); // [1, 3, T, H, W]
                return model.encode(video).select(0, 0); // [t, h, w, part]
            }

            @Override
            public Tensor decode(Tensor codes) {
                return model.decode(codes.unsqueeze(0)).select(0, 0).transpose(0, 1);
            }

            @Override
            public void close() {
                model.close();
            }
        };
        return new VideoTokenizer(
                codec,
                Tokens.identity("videopoet-vision", model.weights(), "encoder.conv_out.weight"),
                model.config().frames(9),
                model.config().spaceFactor());
    }

    /** Kind and digest; tokens are only decoded by the tokenizer that made them. */
    public String name() {
        return name;
    }

    /** The tokens of a clip, or of a picture as a clip of one frame; owned by the innermost scope. Sound is left out. */
    public Tokens encode(Clip clip) {
        int frames = clip.frames().size();
        Map<String, Tensor> pieces = new LinkedHashMap<>();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            for (int from = 0; from < frames; from += piece) {
                try (Scope one = Scope.open()) {
                    Tensor codes =
                            codec.encode(padded(tensor(clip.frames().subList(from, Math.min(frames, from + piece)))));
                    pieces.put(Tokens.name(pieces.size()), one.keep(codes));
                }
            }
            pieces.values().forEach(s::keep);
            return new Tokens(
                    name,
                    pieces,
                    Map.of(
                            "frames", String.valueOf(frames),
                            "width", String.valueOf(clip.width()),
                            "height", String.valueOf(clip.height()),
                            "fps", String.valueOf(clip.fps())));
        }
    }

    private static Tensor tensor(List<Image> images) { // [T, 3, H, W]
        int height = images.get(0).height();
        int width = images.get(0).width();
        byte[] bytes = new byte[Math.multiplyExact(images.size(), Math.multiplyExact(3 * height, width))];
        for (int i = 0; i < images.size(); i++) {
            byte[] rgb = images.get(i).rgb();
            System.arraycopy(rgb, 0, bytes, i * rgb.length, rgb.length);
        }
        return VideoTensors.fromBytes(bytes, 1, images.size(), height, width)
                .select(0, 0)
                .transpose(0, 1);
    }

    /** To whole codes: the last row and column go on. */
    private Tensor padded(Tensor x) {
        long right = missing(x.size(3), space);
        long below = missing(x.size(2), space);
        return right + below == 0 ? x : Functional.pad(x, Padding.REPLICATE, 0, right, 0, below);
    }

    private static long missing(long length, long unit) {
        return (unit - length % unit) % unit;
    }

    /** The clip of tokens. */
    public Clip decode(Tokens tokens) {
        tokens.check(name);
        int frames = tokens.whole("frames");
        int width = tokens.whole("width");
        int height = tokens.whole("height");
        List<Image> images = new ArrayList<>();
        try (Autograd.Mode off = Autograd.off()) {
            for (int i = 0; i < tokens.length(); i++) {
                try (Scope s = Scope.open()) {
                    Tensor x = codec.decode(tokens.piece(i)); // [T, 3, H, W]
                    Check.atMost(x.size(3), width, "the width of the codes", "width");
                    Check.atMost(x.size(2), height, "the height of the codes", "height");
                    long kept = Math.min(x.size(0), frames - images.size());
                    Tensor shown = x.narrow(0, 0, kept).narrow(2, 0, height).narrow(3, 0, width);
                    images.addAll(VideoTensors.toClip(shown.transpose(0, 1), 1).frames());
                }
            }
        }
        return new Clip(images, tokens.number("fps"));
    }

    /** Peak signal to noise ratio over all frames in dB; infinite for equal clips. */
    public static double psnr(Clip a, Clip b) {
        Check.equal(a.frames().size(), b.frames().size(), "frames of the first clip", "of the second");
        Check.equal(a.width(), b.width(), "width of the first clip", "of the second");
        Check.equal(a.height(), b.height(), "height of the first clip", "of the second");
        double sum = 0;
        long count = 0;
        for (int i = 0; i < a.frames().size(); i++) {
            byte[] x = a.frames().get(i).rgb();
            byte[] y = b.frames().get(i).rgb();
            for (int k = 0; k < x.length; k++) {
                int d = (x[k] & LEVELS) - (y[k] & LEVELS);
                sum += d * d;
            }
            count += x.length;
        }
        return 10 * Math.log10((double) LEVELS * LEVELS * count / sum);
    }

    @Override
    public void close() {
        codec.close();
    }
}
