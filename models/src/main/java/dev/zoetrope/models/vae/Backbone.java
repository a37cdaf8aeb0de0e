package dev.zoetrope.models.vae;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.PictureAttention;
import dev.zoetrope.nn.Resample2d;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/**
 * The convolutional encoder and decoder that autoencoders of pictures share, arXiv:2112.10752. Every level but the last
 * halves height and width.
 *
 * @param channels of each level, from the picture's side
 * @param downAttention whether a level of the encoder attends within the picture
 * @param upAttention the same of the decoder, from the latents' side
 * @param layers residual blocks of a level of the encoder; the decoder has one more
 * @param midAttention whether the smallest pictures attend
 */
record Backbone(
        int inChannels,
        int outChannels,
        int latentChannels,
        List<Integer> channels,
        List<Boolean> downAttention,
        List<Boolean> upAttention,
        int layers,
        int groups,
        Act act,
        boolean midAttention) {
    private static final double EPS = 1e-6;

    Backbone {
        Check.positive(inChannels, "in_channels");
        Check.positive(outChannels, "out_channels");
        Check.positive(latentChannels, "latent_channels");
        Check.positive(layers, "layers_per_block");
        channels = List.copyOf(channels);
        downAttention = List.copyOf(downAttention);
        upAttention = List.copyOf(upAttention);
        Check.equal(downAttention.size(), channels.size(), "length of down_block_types", "of block_out_channels");
        Check.equal(upAttention.size(), channels.size(), "length of up_block_types", "of block_out_channels");
        for (int c : channels) {
            Check.divides(groups, c, "norm_num_groups", "block_out_channels");
        }
    }

    static Backbone of(Json j, int latentChannels) {
        List<Integer> channels = new ArrayList<>();
        for (int c : j.get("block_out_channels", new int[] {64})) {
            channels.add(c);
        }
        return new Backbone(
                j.get("in_channels", 3),
                j.get("out_channels", 3),
                j.get("latent_channels", latentChannels),
                channels,
                attention(j, "down_block_types", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
                attention(j, "up_block_types", "UpDecoderBlock2D", "AttnUpDecoderBlock2D"),
                j.get("layers_per_block", 1),
                j.get("norm_num_groups", 32),
                j.get("act_fn", Act.SILU, Act::of),
                j.get("mid_block_add_attention", true));
    }

    private static List<Boolean> attention(Json j, String key, String plain, String attending) {
        List<Boolean> r = new ArrayList<>();
        for (String type : j.get(key, List.of(plain))) {
            if (!type.equals(plain) && !type.equals(attending)) {
                throw j.unsupported(key, plain + ", " + attending);
            }
            r.add(type.equals(attending));
        }
        return r;
    }

    /** How many pixels a latent has in height and in width. */
    int factor() {
        return 1 << (channels.size() - 1);
    }

    private int last() {
        return channels.get(channels.size() - 1);
    }

    private ResnetBlock.Style style() {
        return ResnetBlock.Style.of(0, groups, EPS, act);
    }

    private Module resnet(Weights w, int in, int out) {
        return new ResnetBlock(w, style(), in, out);
    }

    private Module attention(Weights w, int width) {
        return new PictureAttention(w, width, width, groups, EPS, 1);
    }

    private Module middle(Weights w) {
        List<Module> r = new ArrayList<>();
        r.add(resnet(w.at("resnets.0"), last(), last()));
        if (midAttention) {
            r.add(attention(w.at("attentions.0"), last()));
        }
        r.add(resnet(w.at("resnets.1"), last(), last()));
        return sequence(r);
    }

    private static Module sequence(List<Module> layers) {
        return x -> {
            try (Scope s = Scope.open()) {
                return s.keep(Steps.run(x, layers));
            }
        };
    }

    /** Layers in a row, each under the name that those who look inside know it by. */
    static final class Half implements Module {
        private final List<String> names = new ArrayList<>();
        private final List<Module> layers = new ArrayList<>();

        private void add(String name, Module layer) {
            names.add(name);
            layers.add(layer);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(Steps.run(x, layers));
            }
        }

        /** As {@link #forward}, and hands over what each layer makes; it is freed right after. */
        Tensor forward(Tensor x, BiConsumer<String, Tensor> watch) {
            try (Scope s = Scope.open()) {
                Tensor y = x;
                for (int i = 0; i < layers.size(); i++) {
                    y = layers.get(i).forward(y);
                    watch.accept(names.get(i), y);
                }
                return s.keep(y);
            }
        }
    }

    /** {@code [B, in, H, W] -> [B, moments, h, w]}, h = H / factor. */
    Half encoder(Weights w, int moments) {
        Half r = new Half();
        int width = channels.get(0);
        r.add("conv_in", new Conv2d(w.at("conv_in"), inChannels, width, 3, 1, 1));
        for (int level = 0; level < channels.size(); level++) {
            Weights at = w.at("down_blocks").at(level);
            List<Module> steps = new ArrayList<>();
            for (int i = 0; i < layers; i++) {
                steps.add(resnet(at.at("resnets").at(i), width, channels.get(level)));
                width = channels.get(level);
                if (downAttention.get(level)) {
                    steps.add(attention(at.at("attentions").at(i), width));
                }
            }
            if (level + 1 < channels.size()) {
                steps.add(Resample2d.down(at.at("downsamplers.0"), width, 0));
            }
            r.add("down_blocks." + level, sequence(steps));
        }
        r.add("mid_block", middle(w.at("mid_block")));
        addHead(r, w, last(), moments);
        return r;
    }

    /** {@code [B, latent, h, w] -> [B, out, H, W]}. */
    Half decoder(Weights w) {
        Half r = new Half();
        int width = last();
        r.add("conv_in", new Conv2d(w.at("conv_in"), latentChannels, width, 3, 1, 1));
        r.add("mid_block", middle(w.at("mid_block")));
        for (int level = 0; level < channels.size(); level++) {
            Weights at = w.at("up_blocks").at(level);
            List<Module> steps = new ArrayList<>();
            int next = channels.get(channels.size() - 1 - level);
            for (int i = 0; i <= layers; i++) {
                steps.add(resnet(at.at("resnets").at(i), width, next));
                width = next;
                if (upAttention.get(level)) {
                    steps.add(attention(at.at("attentions").at(i), width));
                }
            }
            if (level + 1 < channels.size()) {
                steps.add(new Resample2d.Up(at.at("upsamplers.0"), width));
            }
            r.add("up_blocks." + level, sequence(steps));
        }
        addHead(r, w, width, outChannels);
        return r;
    }

    private void addHead(Half r, Weights w, int width, int out) {
        r.add("conv_norm_out", new GroupNorm(w.at("conv_norm_out"), groups, width, EPS));
        r.add("conv_act", Tensor::silu);
        r.add("conv_out", new Conv2d(w.at("conv_out"), width, out, 3, 1, 1));
    }

    /** Refuses a picture whose sides the levels cannot halve evenly. */
    void checkPicture(Tensor picture) {
        Check.shape(picture.shape(), "picture", -1, inChannels, -1, -1);
        for (int axis : new int[] {2, 3}) {
            if (picture.size(axis) < factor()) {
                throw new UserError("picture of " + picture.size(3) + " x " + picture.size(2)
                        + " is smaller than one latent, " + factor() + " x " + factor());
            }
        }
    }
}
