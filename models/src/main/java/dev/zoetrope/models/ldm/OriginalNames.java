package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Renames;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** From diffusers' names to those of the original release of Stable Diffusion 1.x, which is one file. */
final class OriginalNames {
    static final String UNET = "model.diffusion_model.";
    static final String AUTOENCODER = "first_stage_model.";
    static final String TEXT = "cond_stage_model.transformer.";

    private static final Pattern IN_LEVEL = Pattern.compile("(down|up)_blocks\\.(\\d+)\\.(\\w+)\\.(\\d+)\\.(.*)");
    private static final Renames RESNET = Renames.of(
            "^norm1\\.", "in_layers.0.",
            "^conv1\\.", "in_layers.2.",
            "^time_emb_proj\\.", "emb_layers.1.",
            "^norm2\\.", "out_layers.0.",
            "^conv2\\.", "out_layers.3.",
            "^conv_shortcut\\.", "skip_connection.");
    private static final Renames AROUND_LEVELS = Renames.of(
            "^conv_in\\.", "input_blocks.0.0.",
            "^time_embedding\\.linear_1\\.", "time_embed.0.",
            "^time_embedding\\.linear_2\\.", "time_embed.2.",
            "^mid_block\\.attentions\\.0\\.", "middle_block.1.",
            "^conv_norm_out\\.", "out.0.",
            "^conv_out\\.", "out.2.");
    private static final String MIDDLE = "mid_block.resnets.";

    private OriginalNames() {}

    /**
     * Of the U-Net, whose blocks are counted through all levels.
     *
     * @param layers residual blocks of each level on the way down
     * @param attends whether a level on the way up attends to text
     */
    static UnaryOperator<String> unet(List<Integer> layers, List<Boolean> attends) {
        int levels = layers.size();
        List<Integer> down = new ArrayList<>(); // the number of a level's first block
        List<Integer> up = new ArrayList<>();
        int descending = 1;
        int rising = 0;
        for (int i = 0; i < levels; i++) {
            down.add(descending);
            up.add(rising);
            descending += layers.get(i) + 1; // the last one halves
            rising += layers.get(levels - 1 - i) + 1;
        }
        return name -> UNET + bare(name, layers, attends, down, up);
    }

    private static String bare(
            String name, List<Integer> layers, List<Boolean> attends, List<Integer> down, List<Integer> up) {
        if (name.startsWith(MIDDLE)) {
            String index = name.substring(MIDDLE.length(), MIDDLE.length() + 1);
            return "middle_block." + (index.equals("0") ? 0 : 2) + "."
                    + RESNET.apply(name.substring(MIDDLE.length() + 2));
        }
        Matcher m = IN_LEVEL.matcher(name);
        if (!m.matches()) {
            return AROUND_LEVELS.apply(name);
        }
        int level = Integer.parseInt(m.group(2));
        int index = Integer.parseInt(m.group(4));
        String rest = m.group(5);
        String block = m.group(1).equals("down")
                ? "input_blocks." + (down.get(level) + index)
                : "output_blocks." + (up.get(level) + index);
        return switch (m.group(3)) {
            case "resnets" -> block + ".0." + RESNET.apply(rest);
            case "attentions" -> block + ".1." + rest;
            case "downsamplers" ->
                "input_blocks." + (down.get(level) + layers.get(level)) + ".0.op." + rest.replaceFirst("^conv\\.", "");
            default -> {
                int last = up.get(level) + layers.get(layers.size() - 1 - level);
                yield "output_blocks." + last + (attends.get(level) ? ".2." : ".1.") + rest;
            }
        };
    }

    /** Of the autoencoder, whose decoder counts its levels from the picture. */
    static UnaryOperator<String> autoencoder(int levels, Checkpoint file) {
        Renames parts = Renames.of(
                "\\bmid_block\\.resnets\\.0\\.", "mid.block_1.",
                "\\bmid_block\\.resnets\\.1\\.", "mid.block_2.",
                "\\bmid_block\\.attentions\\.0\\.", "mid.attn_1.",
                "\\bdown_blocks\\.(\\d+)\\.resnets\\.", "down.$1.block.",
                "\\bdown_blocks\\.(\\d+)\\.downsamplers\\.0\\.", "down.$1.downsample.",
                "\\bup_blocks\\.(\\d+)\\.resnets\\.", "up.$1.block.",
                "\\bup_blocks\\.(\\d+)\\.upsamplers\\.0\\.", "up.$1.upsample.",
                "\\bconv_norm_out\\.", "norm_out.",
                "\\bconv_shortcut\\.", "nin_shortcut.",
                "\\bgroup_norm\\.", "norm.",
                "\\battn_1\\.to_([qkv])\\.", "attn_1.$1.",
                "\\battn_1\\.to_out\\.0\\.", "attn_1.proj_out.");
        Pattern decoderLevel = Pattern.compile("^decoder\\.up\\.(\\d+)\\.");
        return name -> {
            String r = parts.apply(name);
            Matcher m = decoderLevel.matcher(r);
            if (m.find()) {
                r = "decoder.up." + (levels - 1 - Integer.parseInt(m.group(1))) + "." + r.substring(m.end());
            }
            String full = AUTOENCODER + r;
            boolean convolution = r.contains(".attn_1.")
                    && file.has(full)
                    && file.shape(full).length == 4; // as first released; later tools store a matrix
            return convolution ? full + "#1x1" : full;
        };
    }

    /** Of the text encoder, with {@code text_model} in front or without. */
    static UnaryOperator<String> text(Checkpoint file) {
        boolean bare = file.has(TEXT + "embeddings.token_embedding.weight");
        return name -> TEXT + (bare ? name.replaceFirst("^text_model\\.", "") : name);
    }
}
