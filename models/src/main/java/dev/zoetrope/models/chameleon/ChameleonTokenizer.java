package dev.zoetrope.models.chameleon;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.Codebook;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Resample2d;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The picture tokenizer of Chameleon (arXiv:2203.13131), of which the releases have the encoder alone. Names as in
 * facebook/chameleon-7b ({@code model.vqmodel}).
 *
 * <p>Axes: B pictures, H x W pixels, h x w codes, E width of a code.
 */
public final class ChameleonTokenizer {
    /**
     * @param codes entries of the table
     * @param codeWidth E
     * @param latents channels that the encoder makes
     * @param resolution side of the pictures that {@code attending} refers to
     * @param channels of each level, from the picture's side
     * @param layers residual blocks of a level
     * @param attending sides at which places attend to each other
     * @param vanilla whether anything attends at all
     */
    public record Config(
            int codes,
            int codeWidth,
            int latents,
            int in,
            int resolution,
            List<Integer> channels,
            int layers,
            List<Integer> attending,
            boolean vanilla) {
        public Config {
            Check.positive(codes, "num_embeddings");
            Check.positive(codeWidth, "embed_dim");
            Check.positive(latents, "latent_channels");
            Check.positive(layers, "num_res_blocks");
            channels = List.copyOf(channels);
            attending = List.copyOf(attending);
            Check.positive(channels.size(), "number of channel_multiplier");
        }

        public static Config of(Json j) {
            j.expect("double_latent", false);
            int base = j.get("base_channels", 128);
            boolean vanilla =
                    switch (j.get("attn_type", "vanilla")) {
                        case "vanilla" -> true;
                        case "none" -> false;
                        default -> throw j.unsupported("attn_type", "vanilla, none");
                    };
            return new Config(
                    j.get("num_embeddings", 8192),
                    j.get("embed_dim", 256),
                    j.get("latent_channels", 256),
                    j.get("in_channels", 3),
                    j.get("resolution", 512),
                    Arrays.stream(j.get("channel_multiplier", new int[] {1, 1, 2, 2, 4}))
                            .map(m -> base * m)
                            .boxed()
                            .toList(),
                    j.get("num_res_blocks", 2),
                    Arrays.stream(j.get("attn_resolutions", new int[0])).boxed().toList(),
                    vanilla);
        }
    }

    private static final int GROUPS = 32;
    private static final double EPS = 1e-6;
    private static final Renames SHORTCUT = Renames.of("\\.conv_shortcut\\.", ".nin_shortcut.");

    private final Config config;
    private final List<Module> encoder = new ArrayList<>();
    private final Embedding table;

    public ChameleonTokenizer(Config c, Weights w) {
        config = c;
        ResnetBlock.Style style = ResnetBlock.Style.of(0, GROUPS, EPS, Act.SILU);
        Weights e = w.at("encoder");
        int width = c.channels.get(0);
        encoder.add(new Conv2d(e.at("conv_in"), c.in, width, 3, 1, 1));
        for (int i = 0; i < c.channels.size(); i++) {
            Weights at = e.at("down").at(i);
            for (int j = 0; j < c.layers; j++) {
                int out = c.channels.get(i);
                encoder.add(new ResnetBlock(at.at("block").at(j).renamed(SHORTCUT), style, width, out));
                width = out;
                if (c.vanilla && c.attending.contains(c.resolution >> i)) {
                    encoder.add(new Places(at.at("attn").at(j), width));
                }
            }
            if (i + 1 < c.channels.size()) {
                encoder.add(Resample2d.down(at.at("downsample"), width, 0));
            }
        }
        Weights mid = e.at("mid");
        encoder.add(new ResnetBlock(mid.at("block_1"), style, width, width));
        if (c.vanilla) {
            encoder.add(new Places(mid.at("attn_1"), width));
        }
        encoder.add(new ResnetBlock(mid.at("block_2"), style, width, width));
        encoder.add(new GroupNorm(e.at("norm_out"), GROUPS, width, EPS));
        encoder.add(Tensor::silu);
        encoder.add(new Conv2d(e.at("conv_out"), width, c.latents, 3, 1, 1));
        table = new Embedding(w.at("quantize.embedding"), c.codes, c.codeWidth, Init.uniform(1.0 / c.codes));
        encoder.add(new Conv2d(w.at("quant_conv"), c.latents, c.codeWidth, 1, 1, 0));
        w.ignorable("post_quant_conv\\.(weight|bias)"); // of the decoder that was not released
    }

    public Config config() {
        return config;
    }

    /** {@code [B, 3, H, W]} in -1..1 -> {@code [B, h, w]} INT64. */
    public Tensor encode(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.in, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor x = Steps.run(pixels, encoder); // [B, E, h, w]
            return s.keep(Codebook.nearest(x.permute(0, 2, 3, 1), table.weight()));
        }
    }

    /** One head of attention among all places of a picture. */
    private static final class Places implements Module {
        private final GroupNorm norm;
        private final Conv2d query;
        private final Conv2d key;
        private final Conv2d value;
        private final Conv2d out;

        Places(Weights w, int width) {
            norm = new GroupNorm(w.at("norm"), GROUPS, width, EPS);
            query = new Conv2d(w.at("q"), width, width, 1, 1, 0);
            key = new Conv2d(w.at("k"), width, width, 1, 1, 0);
            value = new Conv2d(w.at("v"), width, width, 1, 1, 0);
            out = new Conv2d(w.at("proj_out"), width, width, 1, 1, 0);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                Tensor h = norm.forward(x);
                Tensor y = Functional.attention(row(query, h), row(key, h), row(value, h), null, false, null);
                return s.keep(x.add(out.forward(y.squeeze(1).transpose(1, 2).reshape(x.shape()))));
            }
        }

        private static Tensor row(Conv2d conv, Tensor x) { // [B, C, h, w] -> [B, 1, h w, C]
            return conv.forward(x).flatten(2).transpose(1, 2).unsqueeze(1);
        }
    }
}
