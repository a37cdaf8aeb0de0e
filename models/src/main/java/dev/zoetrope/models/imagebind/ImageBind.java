package dev.zoetrope.models.imagebind;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.PatchPositions;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * ImageBind, arXiv:2305.05665: six towers whose answers lie in one space, so that a sound can be held against a picture.
 * Names as in imagebind_huge.pth.
 *
 * <p>Axes: B inputs, S side of a picture, T tokens, D width of a tower, E width of the common space.
 */
public final class ImageBind implements AutoCloseable {
    private static final double PATCH_EPS = 1e-5;
    private static final double MOST_SCALE = 100;

    /** Width, depth and heads of a modality's transformer. */
    public record Tower(int width, int blocks, int heads) {
        public Tower {
            Check.positive(blocks, "num_blocks");
            Check.divides(heads, width, "num_heads", "embed_dim");
        }
    }

    /**
     * @param imageSize S
     * @param kernel frames, rows and columns of a patch of video
     * @param audioKernel rows and columns of a patch of sound
     * @param audioStride steps between these, which overlap
     * @param bands of a clip of sound
     * @param audioFrames of a clip of sound
     * @param imuKernel samples of a token of motion
     */
    public record Config(
            int imageSize,
            int videoFrames,
            List<Integer> kernel,
            int audioKernel,
            int audioStride,
            int bands,
            int audioFrames,
            int depthKernel,
            int thermalKernel,
            int imuKernel,
            int imuLength,
            int vocabulary,
            int contextLength,
            int out,
            Map<Modality, Tower> towers) {
        public Config {
            kernel = List.copyOf(kernel);
            Check.equal(3, kernel.size(), "3", "the numbers of kernel_size");
            Check.equal(videoFrames, kernel.get(0), "video_frames", "kernel_size[0]");
            Check.equal(kernel.get(1), kernel.get(2), "kernel_size[1]", "kernel_size[2]");
            Check.divides(kernel.get(1), imageSize, "kernel_size", "image_size");
            Check.divides(depthKernel, imageSize, "depth_kernel_size", "image_size");
            Check.divides(thermalKernel, imageSize, "thermal_kernel_size", "image_size");
            Check.divides(imuKernel, imuLength, "imu_kernel_size", "imu_length");
            Check.positive(audioStride, "audio_stride");
            towers = Map.copyOf(towers);
        }

        /** The defaults are those of the published model. */
        public static Config of(Json j) {
            Map<Modality, Tower> towers = new EnumMap<>(Modality.class);
            towers.put(Modality.VISION, tower(j, "vision", 1280, 32, 16));
            towers.put(Modality.TEXT, tower(j, "text", 1024, 24, 16));
            towers.put(Modality.AUDIO, tower(j, "audio", 768, 12, 12));
            towers.put(Modality.DEPTH, tower(j, "depth", 384, 12, 8));
            towers.put(Modality.THERMAL, tower(j, "thermal", 768, 12, 12));
            towers.put(Modality.IMU, tower(j, "imu", 512, 6, 8));
            return new Config(
                    j.get("image_size", 224),
                    j.get("video_frames", 2),
                    Arrays.stream(j.get("kernel_size", new int[] {2, 14, 14}))
                            .boxed()
                            .toList(),
                    j.get("audio_kernel_size", 16),
                    j.get("audio_stride", 10),
                    j.get("audio_num_mel_bins", 128),
                    j.get("audio_target_len", 204),
                    j.get("depth_kernel_size", 16),
                    j.get("thermal_kernel_size", 16),
                    j.get("imu_kernel_size", 8),
                    j.get("imu_length", 2000),
                    j.get("vocab_size", 49408),
                    j.get("context_length", 77),
                    j.get("out_embed_dim", 1024),
                    towers);
        }

        private static Tower tower(Json j, String name, int width, int blocks, int heads) {
            return new Tower(
                    j.get(name + "_embed_dim", width),
                    j.get(name + "_num_blocks", blocks),
                    j.get(name + "_num_heads", heads));
        }

        int audioRows() {
            return (bands - audioKernel) / audioStride + 1;
        }

        int audioColumns() {
            return (audioFrames - audioKernel) / audioStride + 1;
        }
    }

    /** From an input to tokens with their places. */
    private interface Stem extends Module {}

    private final Weights weights;
    private final Config config;
    private final Map<Modality, Stem> stems = new EnumMap<>(Modality.class);
    private final Map<Modality, Trunk> trunks = new EnumMap<>(Modality.class);
    private final Map<Modality, LayerNorm> norms = new EnumMap<>(Modality.class);
    private final Map<Modality, Linear> heads = new EnumMap<>(Modality.class);
    private final Map<Modality, Tensor> scales = new EnumMap<>(Modality.class);

    public ImageBind(Config c, Weights w) {
        weights = w;
        config = c;
        Weights stem = w.at("modality_preprocessors");
        stems.put(Modality.VISION, new Vision(c, stem.at("vision")));
        stems.put(Modality.TEXT, new Words(c, stem.at("text")));
        stems.put(Modality.AUDIO, Patches.audio(c, stem.at("audio")));
        stems.put(Modality.DEPTH, Patches.square(c, stem.at("depth"), Modality.DEPTH, "depth_stem", c.depthKernel));
        stems.put(
                Modality.THERMAL,
                Patches.square(c, stem.at("thermal"), Modality.THERMAL, "rgbt_stem", c.thermalKernel));
        stems.put(Modality.IMU, new Motion(c, stem.at("imu")));
        for (Modality m : Modality.values()) {
            Tower t = c.towers.get(m);
            boolean seesOrReads = m == Modality.VISION || m == Modality.TEXT;
            trunks.put(
                    m,
                    new Trunk(
                            w.at("modality_trunks").at(m.key()),
                            t,
                            m == Modality.VISION,
                            !seesOrReads,
                            m == Modality.TEXT));
            Weights head = w.at("modality_heads").at(m.key());
            // Layers without weights, a choice of the token and a dropout, count in the names.
            String norm = m == Modality.TEXT ? "proj.0" : "0";
            String linear = m == Modality.TEXT ? "proj.1" : m == Modality.IMU ? "3" : "2";
            norms.put(m, new LayerNorm(head.at(norm), t.width, Trunk.EPS));
            heads.put(m, new Linear(head.at(linear), t.width, c.out, false));
            if (m != Modality.VISION) {
                Weights after = w.at("modality_postprocessors").at(m.key()).at("1");
                scales.put(m, scale(after, m));
            }
        }
        w.ignorable("modality_preprocessors\\.text\\.mask");
    }

    /** Learned for text; fixed for the others, but stored. */
    private static Tensor scale(Weights w, Modality m) {
        double fixed =
                switch (m) {
                    case AUDIO -> 20;
                    case THERMAL -> 10;
                    case TEXT -> 1 / 0.07;
                    default -> 5;
                };
        Init log = Init.constant(Math.log(fixed));
        return m == Modality.TEXT ? w.tensor("log_logit_scale", log) : w.buffer("log_logit_scale", log);
    }

    /** imagebind_huge.pth, or a folder with config.json and weights. */
    public static ImageBind load(Path fileOrFolder) {
        if (Files.isRegularFile(fileOrFolder.resolve("config.json"))) {
            return Pretrained.load(fileOrFolder, (json, w) -> new ImageBind(Config.of(json), w));
        }
        try (Checkpoint file = Checkpoint.open(fileOrFolder)) {
            Weights w = Weights.load(file);
            try {
                return new ImageBind(Config.of(Json.empty()), w);
            } catch (RuntimeException e) {
                w.close();
                throw e;
            }
        }
    }

    public Config config() {
        return config;
    }

    /**
     * Inputs in the common space. The dot product of two such vectors says how well they fit; that of a text comes with
     * a temperature, others with a fixed factor, pictures with length 1. Several clips of an input are averaged.
     *
     * @param input as {@link Modality} says
     * @return {@code [B, E]}
     */
    public Tensor embed(Modality m, Tensor input) {
        try (Scope s = Scope.open()) {
            Tensor all = project(m, input, trunks.get(m).forward(tokens(m, input))); // [B clips, E]
            long inputs = input.size(0);
            return s.keep(
                    all.size(0) == inputs ? all : all.unflatten(0, inputs, -1).mean(1));
        }
    }

    private Tensor project(Modality m, Tensor input, Tensor x) {
        Tensor one = m == Modality.TEXT ? atEnds(input, x) : x.select(1, 0); // [B, D]
        Tensor y = heads.get(m).forward(norms.get(m).forward(one));
        Tensor length = y.norm(true, -1).clamp(1e-12, Double.POSITIVE_INFINITY);
        Tensor unit = y.div(length);
        Tensor scale = scales.get(m);
        return scale == null ? unit : unit.mul(scale.exp().clamp(0, MOST_SCALE));
    }

    /** The state of each text's last token, the one with the highest id. */
    private static Tensor atEnds(Tensor ids, Tensor x) {
        Tensor row = Tensor.arange(ids.size(0)).to(x.device()).mul(ids.size(1));
        return x.flatten(0, 1).indexSelect(0, ids.argmax(-1).add(row));
    }

    /** What enters the transformer, {@code [B clips, T, D]}. */
    public Tensor tokens(Modality m, Tensor input) {
        return stems.get(m).forward(input);
    }

    /** Tokens after so many blocks; all of them with -1. {@code [B clips, T, D]}. */
    public Tensor hidden(Modality m, Tensor tokens, int blocks) {
        Trunk t = trunks.get(m);
        return blocks < 0 ? t.forward(tokens) : t.run(tokens, blocks);
    }

    /** Class token in front, places added: {@code [B, N, D] -> [B, 1 + N, D]}. */
    private static Tensor placed(Tensor patches, Tensor classToken, Tensor places) {
        Tensor first = classToken.expand(patches.size(0), 1, patches.size(2));
        return Tensor.cat(1, first, patches).add(places);
    }

    private static Tensor classToken(Weights w, int width) {
        return w.tensor("cls_token", Init.normal(0.02), 1, 1, width);
    }

    /** Two frames a patch; a picture stands still for two frames. */
    private static final class Vision implements Stem {
        private final Config config;
        private final Tensor classToken;
        private final Conv3d proj;
        private final PatchPositions grid;
        private final Tensor places;

        Vision(Config c, Weights w) {
            int d = c.towers.get(Modality.VISION).width;
            int side = c.imageSize / c.kernel.get(1);
            long[] kernel = c.kernel.stream().mapToLong(Integer::longValue).toArray();
            config = c;
            classToken = classToken(w, d);
            proj = new Conv3d(w.at("rgbt_stem.proj.1"), 3, d, kernel, kernel, new long[3], Conv3d.Past.PADDED, false);
            grid = new PatchPositions(1, side, side);
            places = w.tensor("pos_embedding_helper.pos_embed", Init.normal(0.02), 1, grid.size(), d);
        }

        @Override
        public Tensor forward(Tensor x) {
            int frames = config.videoFrames;
            try (Scope s = Scope.open()) {
                Tensor video; // [B clips, 3, frames, S, S]
                if (x.dim() == 4) {
                    Check.shape(x.shape(), "picture", -1, 3, -1, -1);
                    video = x.unsqueeze(2).repeat(1, 1, frames, 1, 1);
                } else {
                    Check.shape(x.shape(), "video", -1, -1, 3, frames, -1, -1);
                    video = x.flatten(0, 1);
                }
                Check.equal(video.size(3), video.size(4), "height", "width, as pictures are square here,");
                Check.divides(config.kernel.get(1), video.size(3), "kernel_size", "size of the picture");
                long side = video.size(3) / config.kernel.get(1);
                Tensor patches = proj.forward(video).flatten(2).transpose(1, 2); // [B clips, N, D]
                return s.keep(placed(patches, classToken, grid.resized(places.select(0, 0), side, side)));
            }
        }
    }

    private static final class Words implements Stem {
        private final Embedding words;
        private final Tensor places;

        Words(Config c, Weights w) {
            int d = c.towers.get(Modality.TEXT).width;
            places = w.tensor("pos_embed", Init.normal(0.01), 1, c.contextLength, d);
            words = new Embedding(w.at("token_embedding"), c.vocabulary, d, Init.normal(0.02));
        }

        @Override
        public Tensor forward(Tensor ids) {
            Check.shape(ids.shape(), "token ids", -1, places.size(1));
            return words.forward(ids).add(places);
        }
    }

    /** Sound, depth and heat: patches of one channel, each normalised. */
    private static final class Patches implements Stem {
        private final String what;
        private final Tensor classToken;
        private final Conv2d proj;
        private final LayerNorm norm;
        private final PatchPositions grid;
        private final Tensor places;
        private final boolean fixed;

        private Patches(Weights w, Tower t, String what, String stem, int kernel, int stride, PatchPositions grid) {
            this.what = what;
            this.grid = grid;
            this.fixed = kernel != stride;
            classToken = classToken(w, t.width);
            proj = new Conv2d(w.at(stem + ".proj"), 1, t.width, kernel, stride, 0, 1, false);
            norm = new LayerNorm(w.at(stem + ".norm_layer"), t.width, PATCH_EPS);
            places = w.tensor("pos_embedding_helper.pos_embed", Init.normal(0.02), 1, grid.size(), t.width);
        }

        static Patches audio(Config c, Weights w) {
            PatchPositions grid = new PatchPositions(1, c.audioRows(), c.audioColumns());
            Tower t = c.towers.get(Modality.AUDIO);
            return new Patches(w, t, "audio", "rgbt_stem", c.audioKernel, c.audioStride, grid);
        }

        static Patches square(Config c, Weights w, Modality m, String stem, int kernel) {
            int side = c.imageSize / kernel;
            return new Patches(w, c.towers.get(m), m.key(), stem, kernel, kernel, new PatchPositions(1, side, side));
        }

        @Override
        public Tensor forward(Tensor input) {
            Tensor x = input.dim() == 5 ? input.flatten(0, 1) : input;
            Check.shape(x.shape(), what, -1, 1, -1, -1);
            try (Scope s = Scope.open()) {
                Tensor maps = proj.forward(x); // [B clips, D, rows, columns]
                long rows = maps.size(2);
                long columns = maps.size(3);
                if (fixed && (rows != grid.rows() || columns != grid.columns())) {
                    throw new UserError(what + " of " + x.size(2) + " bands and " + x.size(3)
                            + " frames is not what this model reads; see ImageBindInputs.audio");
                }
                Tensor patches = norm.forward(maps.flatten(2).transpose(1, 2));
                return s.keep(placed(patches, classToken, grid.resized(places.select(0, 0), rows, columns)));
            }
        }
    }

    /** Pieces of a few samples of all six channels. */
    private static final class Motion implements Stem {
        private static final int CHANNELS = 6;

        private final Config config;
        private final Tensor places;
        private final Tensor classToken;
        private final Linear proj;
        private final LayerNorm norm;

        Motion(Config c, Weights w) {
            int d = c.towers.get(Modality.IMU).width;
            config = c;
            places = w.tensor("pos_embed", Init.normal(0.02), 1, 1 + c.imuLength / c.imuKernel, d);
            classToken = classToken(w, d);
            proj = new Linear(w.at("imu_stem.proj"), (long) CHANNELS * c.imuKernel, d, false);
            norm = new LayerNorm(w.at("imu_stem.norm_layer"), d, PATCH_EPS);
        }

        @Override
        public Tensor forward(Tensor x) {
            Check.shape(x.shape(), "imu", -1, CHANNELS, config.imuLength);
            try (Scope s = Scope.open()) {
                Tensor pieces = x.unflatten(2, -1, config.imuKernel)
                        .transpose(1, 2) // [B, N, 6, kernel]
                        .flatten(2);
                return s.keep(placed(norm.forward(proj.forward(pieces)), classToken, places));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
