package dev.zoetrope.models.wan;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The video transformer of Wan, arXiv:2503.20314, names as in the {@code transformer} of
 * Wan-AI/Wan2.1-T2V-1.3B-Diffusers, Wan2.1-I2V-14B-480P-Diffusers and Wan2.2-TI2V-5B-Diffusers.
 *
 * <p>Axes: B videos, C latent channels, O predicted channels, F x H x W latent frames, rows and columns, N patches, L text
 * tokens, P picture tokens, D hidden size.
 */
public final class WanTransformer implements AutoCloseable {
    /** Text tokens that go in: what stands before them is the picture's. */
    static final int TEXT_LENGTH = 512;

    private static final double IMAGE_EPS = 1e-5;
    private static final double THETA = 10000;

    /**
     * @param patch frames, rows and columns of a patch
     * @param waves numbers that the time becomes at first
     * @param crossNorm whether the norm before cross-attention is there
     * @param imageSize width of a picture's tokens, 0 where the model takes none
     * @param imageKeys whether cross-attention has keys and values of its own for them
     * @param longest places along each axis
     * @param imagePlaces places of picture tokens that have an embedding of their own, 0 for none
     */
    public record Config(
            List<Integer> patch,
            int heads,
            int headSize,
            int inChannels,
            int outChannels,
            int textSize,
            int waves,
            int feedSize,
            int layers,
            boolean crossNorm,
            double eps,
            int imageSize,
            boolean imageKeys,
            int longest,
            int imagePlaces) {
        public Config {
            Check.equal(patch.size(), 3, "the number of lengths in patch_size", "that of axes");
            Check.positive(heads, "num_attention_heads");
            Check.divides(2, headSize, "2", "attention_head_dim");
            Check.positive(inChannels, "in_channels");
            Check.positive(layers, "num_layers");
            if (imageKeys && imageSize == 0) {
                throw new UserError("added_kv_proj_dim is given without image_dim");
            }
        }

        public static Config of(Json j) {
            j.expect("qk_norm", "rms_norm_across_heads");
            int heads = j.get("num_attention_heads", 40);
            int headSize = j.get("attention_head_dim", 128);
            int keys = j.get("added_kv_proj_dim", 0);
            if (keys != 0 && keys != heads * headSize) {
                throw j.unsupported("added_kv_proj_dim", heads * headSize);
            }
            int channels = j.get("in_channels", 16);
            return new Config(
                    java.util.Arrays.stream(j.get("patch_size", new int[] {1, 2, 2}))
                            .boxed()
                            .toList(),
                    heads,
                    headSize,
                    channels,
                    j.has("out_channels") ? j.get("out_channels", 16) : channels,
                    j.get("text_dim", 4096),
                    j.get("freq_dim", 256),
                    j.get("ffn_dim", 13824),
                    j.get("num_layers", 40),
                    j.get("cross_attn_norm", true),
                    j.get("eps", 1e-6),
                    j.get("image_dim", 0),
                    keys != 0,
                    j.get("rope_max_seq_len", 1024),
                    j.get("pos_embed_seq_len", 0));
        }

        /** Wan 2.1 text to video with 1.4 billion parameters. */
        public static Config published13b() {
            return new Config(List.of(1, 2, 2), 12, 128, 16, 16, 4096, 256, 8960, 30, true, 1e-6, 0, false, 1024, 0);
        }

        public int hidden() {
            return heads * headSize;
        }

        private long[] patchLengths() {
            return patch.stream().mapToLong(Integer::longValue).toArray();
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv3d patches;
    private final TimeEmbedding time;
    private final Linear timeProjection;
    private final Mlp text;
    private final @Nullable ImageTokens image;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Linear output;
    private final Tensor scaleShift;

    public WanTransformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        Weights e = w.at("condition_embedder");
        patches = new Conv3d(
                w.at("patch_embedding"),
                c.inChannels,
                d,
                c.patchLengths(),
                c.patchLengths(),
                new long[] {0, 0, 0},
                Conv3d.Past.PADDED,
                true);
        time = new TimeEmbedding(e.at("time_embedder"), c.waves, d, Act.SILU);
        timeProjection = new Linear(e.at("time_proj"), d, 6L * d);
        text = new Mlp(
                new Linear(e.at("text_embedder.linear_1"), c.textSize, d),
                Act.GELU_TANH,
                new Linear(e.at("text_embedder.linear_2"), d, d));
        image = c.imageSize == 0 ? null : new ImageTokens(c, e.at("image_embedder"));
        blocks = w.at("blocks").stack(c.layers, at -> new Block(c, at));
        norm = LayerNorm.plain(d, c.eps);
        long patch = (long) c.patch.get(0) * c.patch.get(1) * c.patch.get(2);
        output = new Linear(w.at("proj_out"), d, patch * c.outChannels);
        scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 1, 2, d);
    }

    public static WanTransformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new WanTransformer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * @param latents noisy, {@code [B, C, F, H, W]}
     * @param timesteps {@code [B]}, or {@code [B, N]} where each patch has a time of its own; 0 to 1000
     * @param words {@code [B, L, text]}
     * @param picture {@code [B, P, image]}; null for none
     * @return velocity, {@code [B, O, F, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor timesteps, Tensor words, @Nullable Tensor picture) {
        try (Scope s = Scope.open()) {
            Condition condition = condition(timesteps, words, picture);
            Rotary rotary = rotary(latents);
            Tensor x = patches(latents).flatten(2).transpose(1, 2).contiguous(); // [B, N, D]
            for (Block block : blocks) {
                Tensor next = block.forward(x, condition, rotary);
                x.close();
                x = next;
            }
            return s.keep(predict(x, condition.time(), latents));
        }
    }

    /** Patches after the first block, {@code [B, N, D]}. */
    public Tensor firstBlock(Tensor latents, Tensor timesteps, Tensor words, @Nullable Tensor picture) {
        try (Scope s = Scope.open()) {
            Tensor x = patches(latents).flatten(2).transpose(1, 2);
            return s.keep(blocks.get(0).forward(x, condition(timesteps, words, picture), rotary(latents)));
        }
    }

    /** {@code [B, D, f, h, w]}. */
    public Tensor patches(Tensor latents) {
        Check.shape(latents.shape(), "latents", -1, config.inChannels, -1, -1, -1);
        Check.divides(config.patch.get(0), latents.size(2), "patch_size", "frames of the latents");
        Check.divides(config.patch.get(1), latents.size(3), "patch_size", "height of the latents");
        Check.divides(config.patch.get(2), latents.size(4), "patch_size", "width of the latents");
        return patches.forward(latents);
    }

    /** How queries and keys turn: part of the features by the frame, and two parts by row and column. */
    public Rotary rotary(Tensor latents) {
        int ofSpace = 2 * (config.headSize / 6);
        int[] sizes = {config.headSize - 2 * ofSpace, ofSpace, ofSpace};
        long[] n = new long[3];
        for (int axis = 0; axis < 3; axis++) {
            n[axis] = latents.size(2 + axis) / config.patch.get(axis);
            Check.atMost(config.longest, n[axis], "rope_max_seq_len", "the number of patches along an axis");
        }
        try (Scope s = Scope.open()) {
            Tensor[] angles = new Tensor[3];
            for (int axis = 0; axis < 3; axis++) {
                long[] place = {1, 1, 1, -1};
                place[axis] = n[axis];
                angles[axis] = angles(n[axis], sizes[axis]).reshape(place).expand(n[0], n[1], n[2], -1);
            }
            Tensor all = Tensor.cat(-1, angles).flatten(0, 2);
            return new Rotary(
                    s.keep(all.cos().to(DType.FLOAT32).to(latents.device())),
                    s.keep(all.sin().to(DType.FLOAT32).to(latents.device())));
        }
    }

    private static Tensor angles(long n, int size) {
        Tensor frequencies = Tensor.arange(size / 2)
                .to(DType.FLOAT64)
                .mul(-2 * Math.log(THETA) / size)
                .exp();
        return Tensor.arange(n).to(DType.FLOAT64).unsqueeze(1).mul(frequencies);
    }

    /**
     * @param time {@code [B or B N, D]}
     * @param modulation {@code [B, 1 or N, 6, D]}
     * @param words {@code [B, L, D]}
     * @param picture {@code [B, P, D]}
     */
    private record Condition(Tensor time, Tensor modulation, Tensor words, @Nullable Tensor picture) {}

    private Condition condition(Tensor timesteps, Tensor words, @Nullable Tensor picture) {
        Tensor waves = new Timesteps(config.waves, true, 0).forward(timesteps.flatten(0));
        Tensor t = time.forward(waves).unflatten(0, timesteps.size(0), -1); // [B, 1 or N, D]
        Tensor modulation = timeProjection.forward(t.silu()).unflatten(-1, 6, -1);
        Tensor text = this.text.forward(words);
        if (picture == null) {
            return new Condition(t, modulation, text, null);
        }
        if (image == null) {
            throw new UserError("this model takes no picture (image_dim is not set)");
        }
        Tensor tokens = image.forward(picture);
        if (config.imageKeys) {
            // As published: the last 512 tokens are the text, whatever its length, and the picture is what is before.
            Tensor all = Tensor.cat(1, tokens, text);
            long before = all.size(1) - TEXT_LENGTH;
            return before >= 0
                    ? new Condition(t, modulation, all.narrow(1, before, TEXT_LENGTH), all.narrow(1, 0, before))
                    : shortText(t, modulation, all, before);
        }
        return new Condition(t, modulation, Tensor.cat(1, tokens, text), null);
    }

    /** Fewer tokens than 512 in all: a negative end counts from the last token, as the reference's slice does. */
    private static Condition shortText(Tensor t, Tensor modulation, Tensor all, long before) {
        long cut = Math.max(0, all.size(1) + before);
        return new Condition(t, modulation, all.narrow(1, cut, all.size(1) - cut), all.narrow(1, 0, cut));
    }

    private Tensor predict(Tensor x, Tensor time, Tensor latents) {
        List<Integer> p = config.patch;
        List<Tensor> m = scaleShift.unsqueeze(0).add(time.unsqueeze(2)).unbind(2); // 2 x [B, 1 or N, D]
        Tensor y = output.forward(norm.forward(x).mul(m.get(1).add(1)).add(m.get(0)));
        return y.unflatten(2, p.get(0), p.get(1), p.get(2), -1)
                .unflatten(1, latents.size(2) / p.get(0), latents.size(3) / p.get(1), latents.size(4) / p.get(2))
                .permute(0, 7, 1, 4, 2, 5, 3, 6) // [B, O, f, p, h, p, w, p]
                .flatten(6, 7)
                .flatten(4, 5)
                .flatten(2, 3);
    }

    /** A picture's tokens brought to the width of the text's. */
    private static final class ImageTokens {
        private final LayerNorm before;
        private final LayerNorm after;
        private final Mlp feed;
        private final @Nullable Tensor places;

        ImageTokens(Config c, Weights w) {
            before = new LayerNorm(w.at("norm1"), c.imageSize(), IMAGE_EPS);
            feed = new Mlp(
                    new Linear(w.at("ff.net.0.proj"), c.imageSize(), c.imageSize()),
                    Act.GELU,
                    new Linear(w.at("ff.net.2"), c.imageSize(), c.hidden()));
            after = new LayerNorm(w.at("norm2"), c.hidden(), IMAGE_EPS);
            places = c.imagePlaces() == 0
                    ? null
                    : w.tensor("pos_embed", Init.zeros(), 1, c.imagePlaces(), c.imageSize());
        }

        Tensor forward(Tensor tokens) {
            Tensor x = tokens;
            if (places != null) { // of the first and the last frame's pictures, one after the other
                x = x.reshape(-1, 2 * x.size(1), x.size(2)).add(places);
            }
            return after.forward(feed.forward(before.forward(x)));
        }
    }

    /** Attention among patches, to the text, and a feed-forward layer; the first and last modulated by the time. */
    private static final class Block {
        private final LayerNorm plain;
        private final SelfOrCross self;
        private final SelfOrCross cross;
        private final @Nullable LayerNorm crossNorm;
        private final Mlp feed;
        private final Tensor scaleShift;

        Block(Config c, Weights w) {
            int d = c.hidden();
            plain = LayerNorm.plain(d, c.eps());
            self = new SelfOrCross(c, w.at("attn1"), false);
            cross = new SelfOrCross(c, w.at("attn2"), c.imageKeys());
            crossNorm = c.crossNorm() ? new LayerNorm(w.at("norm2"), d, c.eps()) : null;
            feed = Mlp.feedForward(w.at("ffn"), d, c.feedSize(), Act.GELU_TANH);
            scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 1, 6, d);
        }

        Tensor forward(Tensor x, Condition c, Rotary rotary) { // [B, N, D]
            try (Scope s = Scope.open()) {
                List<Tensor> m = scaleShift.unsqueeze(0).add(c.modulation()).unbind(2); // 6 x [B, 1 or N, D]
                Tensor h = plain.forward(x).mul(m.get(1).add(1)).add(m.get(0));
                Tensor y = x.add(self.forward(h, h, null, rotary).mul(m.get(2)));
                Tensor q = crossNorm == null ? y : crossNorm.forward(y);
                y = y.add(cross.forward(q, c.words(), c.picture(), null));
                h = plain.forward(y).mul(m.get(4).add(1)).add(m.get(3));
                return s.keep(y.add(feed.forward(h).mul(m.get(5))));
            }
        }
    }

    /** Attention with norms over all heads of queries and keys, and a second context with keys of its own. */
    private static final class SelfOrCross {
        private final Linear query;
        private final Linear key;
        private final Linear value;
        private final Linear out;
        private final RmsNorm queryNorm;
        private final RmsNorm keyNorm;
        private final @Nullable Added added;
        private final int heads;

        private record Added(Linear key, Linear value, RmsNorm keyNorm) {}

        SelfOrCross(Config c, Weights w, boolean picture) {
            int d = c.hidden();
            query = new Linear(w.at("to_q"), d, d);
            key = new Linear(w.at("to_k"), d, d);
            value = new Linear(w.at("to_v"), d, d);
            out = new Linear(w.at("to_out.0"), d, d);
            queryNorm = new RmsNorm(w.at("norm_q"), d, c.eps());
            keyNorm = new RmsNorm(w.at("norm_k"), d, c.eps());
            added = picture
                    ? new Added(
                            new Linear(w.at("add_k_proj"), d, d),
                            new Linear(w.at("add_v_proj"), d, d),
                            new RmsNorm(w.at("norm_added_k"), d, c.eps()))
                    : null;
            heads = c.heads();
            w.ignorable("norm_added_q\\.weight"); // some releases hold it, none uses it
        }

        Tensor forward(Tensor x, Tensor context, @Nullable Tensor picture, @Nullable Rotary rotary) {
            try (Scope s = Scope.open()) {
                Tensor q = Heads.split(queryNorm.forward(query.forward(x)), heads); // [B, heads, N, D / heads]
                Tensor k = Heads.split(keyNorm.forward(key.forward(context)), heads);
                Tensor v = Heads.split(value.forward(context), heads);
                if (rotary != null) {
                    q = rotary.neighbours(q);
                    k = rotary.neighbours(k);
                }
                Tensor y = Heads.merge(Functional.attention(q, k, v, null, false, null));
                if (added != null && picture != null && picture.size(1) > 0) {
                    Tensor pk = Heads.split(added.keyNorm.forward(added.key.forward(picture)), heads);
                    Tensor pv = Heads.split(added.value.forward(picture), heads);
                    y = y.add(Heads.merge(Functional.attention(q, pk, pv, null, false, null)));
                }
                return s.keep(out.forward(y));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
