package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.nn.Act;
import dev.zoetrope.tensor.UserError;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Sizes of a Segment Anything model.
 *
 * @param vision of the image encoder
 * @param prompts of the prompt encoder
 * @param decoder of the mask decoder
 */
public record SamConfig(SamImageEncoder.Config vision, Prompts prompts, Decoder decoder) {
    /**
     * @param hidden C, channels of all embeddings
     * @param maskChannels widest layer that reads an earlier mask
     * @param pointKinds learned vectors: background, foreground, and a box's two corners
     */
    public record Prompts(int hidden, int maskChannels, int pointKinds, Act activation, double eps) {
        public Prompts {
            Check.divides(2, hidden, "2", "prompt_encoder_config.hidden_size");
            Check.divides(4, maskChannels, "4", "prompt_encoder_config.mask_input_channels");
            Check.equal(pointKinds, 4, "prompt_encoder_config.num_point_embeddings", "the four kinds there are,");
        }
    }

    /**
     * @param masks that a prompt gets when it is ambiguous; one more token is for a prompt that is not
     * @param downsample by how much the last attention is narrower than C
     * @param iouLayers of the head that predicts how good each mask is
     */
    public record Decoder(
            int hidden,
            int mlp,
            int layers,
            int heads,
            int downsample,
            int masks,
            int iouLayers,
            int iouHidden,
            Act activation,
            double eps) {
        public Decoder {
            Check.positive(layers, "mask_decoder_config.num_hidden_layers");
            Check.positive(masks, "mask_decoder_config.num_multimask_outputs");
            Check.between(8, 1 << 16, hidden, "mask_decoder_config.hidden_size"); // features are an eighth as wide
            Check.divides(heads, hidden, "mask_decoder_config.num_attention_heads", "hidden_size");
            Check.positive(downsample, "mask_decoder_config.attention_downsample_rate");
            Check.divides(
                    heads, hidden / downsample, "mask_decoder_config.num_attention_heads", "hidden_size downsampled");
            Check.between(2, 64, iouLayers, "mask_decoder_config.iou_head_depth");
        }

        int tokens() {
            return masks + 1;
        }
    }

    public SamConfig {
        Check.equal(vision.outChannels(), prompts.hidden, "vision_config.output_channels", "prompt hidden_size");
        Check.equal(decoder.hidden, prompts.hidden, "mask_decoder_config.hidden_size", "prompt hidden_size");
    }

    /** From a config.json. */
    public static SamConfig of(Json j) {
        j.expect("model_type", "sam");
        Json v = j.at("vision_config");
        Json p = j.at("prompt_encoder_config");
        Json d = j.at("mask_decoder_config");
        SamImageEncoder.Config vision = SamImageEncoder.Config.of(v);
        Prompts prompts = new Prompts(
                p.get("hidden_size", 256),
                p.get("mask_input_channels", 16),
                p.get("num_point_embeddings", 4),
                p.get("hidden_act", Act.GELU, Act::of),
                p.get("layer_norm_eps", 1e-6));
        Check.equal(
                p.get("image_size", 1024),
                vision.imageSize(),
                "prompt_encoder_config.image_size",
                "vision_config.image_size");
        Check.equal(
                p.get("patch_size", 16),
                vision.patch(),
                "prompt_encoder_config.patch_size",
                "vision_config.patch_size");
        Check.equal(
                v.get("num_pos_feats", 128), prompts.hidden / 2, "vision_config.num_pos_feats", "half of hidden_size");
        return new SamConfig(
                vision,
                prompts,
                new Decoder(
                        d.get("hidden_size", 256),
                        d.get("mlp_dim", 2048),
                        d.get("num_hidden_layers", 2),
                        d.get("num_attention_heads", 8),
                        d.get("attention_downsample_rate", 2),
                        d.get("num_multimask_outputs", 3),
                        d.get("iou_head_depth", 3),
                        d.get("iou_head_hidden_dim", 256),
                        d.get("hidden_act", Act.RELU, Act::of),
                        d.get("layer_norm_eps", 1e-6)));
    }

    /** From the words of the original release, with ViT-B's sizes for what is absent. */
    public static SamConfig original(Json j) {
        int hidden = j.get("encoder_embed_dim", 768);
        int channels = j.get("prompt_embed_dim", 256);
        return new SamConfig(
                new SamImageEncoder.Config(
                        j.get("image_size", 1024),
                        j.get("patch_size", 16),
                        3,
                        hidden,
                        (int) (hidden * j.get("encoder_mlp_ratio", 4.0)),
                        j.get("encoder_depth", 12),
                        j.get("encoder_num_heads", 12),
                        j.get("window_size", 14),
                        SamImageEncoder.Config.set(j.get("encoder_global_attn_indexes", new int[] {2, 5, 8, 11})),
                        channels,
                        true,
                        true,
                        true,
                        Act.GELU,
                        1e-6),
                new Prompts(channels, j.get("mask_in_chans", 16), 4, Act.GELU, 1e-6),
                new Decoder(
                        channels,
                        j.get("decoder_mlp_dim", 2048),
                        j.get("decoder_depth", 2),
                        j.get("decoder_num_heads", 8),
                        2,
                        j.get("num_multimask_outputs", 3),
                        j.get("iou_head_depth", 3),
                        j.get("iou_head_hidden_dim", 256),
                        Act.RELU,
                        1e-5)); // the original's blocks keep PyTorch's default, the other layout says 1e-6
    }

    /**
     * A published size, told by the width of its image encoder: 768 is ViT-B, 1024 ViT-L, 1280 ViT-H.
     *
     * @param file what errors call the checkpoint
     */
    static SamConfig published(long hidden, String file) {
        String sizes =
                switch ((int) hidden) {
                    case 768 -> "{}";
                    case 1024 ->
                        "{\"encoder_embed_dim\": 1024, \"encoder_depth\": 24, \"encoder_num_heads\": 16, "
                                + "\"encoder_global_attn_indexes\": [5, 11, 17, 23]}";
                    case 1280 ->
                        "{\"encoder_embed_dim\": 1280, \"encoder_depth\": 32, \"encoder_num_heads\": 16, "
                                + "\"encoder_global_attn_indexes\": [7, 15, 23, 31]}";
                    default ->
                        throw new UserError(
                                file + ": an image encoder " + hidden + " wide is none of the published "
                                        + "768 (ViT-B), 1024 (ViT-L) and 1280 (ViT-H); put its sizes into architecture.json beside it");
                };
        return original(Json.parse(file, sizes));
    }

    /** As a config.json has it: {@link #of} reads it back. */
    public Map<String, Object> json() {
        Map<String, Object> v = new LinkedHashMap<>();
        v.put("model_type", "sam_vision_model");
        v.put("image_size", vision.imageSize());
        v.put("patch_size", vision.patch());
        v.put("num_channels", vision.channels());
        v.put("hidden_size", vision.hidden());
        v.put("mlp_dim", vision.mlp());
        v.put("num_hidden_layers", vision.layers());
        v.put("num_attention_heads", vision.heads());
        v.put("window_size", vision.window());
        v.put("global_attn_indexes", vision.global().stream().sorted().toList());
        v.put("output_channels", vision.outChannels());
        v.put("num_pos_feats", prompts.hidden / 2);
        v.put("qkv_bias", vision.qkvBias());
        v.put("use_abs_pos", vision.absolutePositions());
        v.put("use_rel_pos", vision.relativePositions());
        v.put("hidden_act", name(vision.activation()));
        v.put("layer_norm_eps", vision.eps());
        Map<String, Object> p = new LinkedHashMap<>();
        p.put("model_type", "sam_prompt_encoder");
        p.put("hidden_size", prompts.hidden);
        p.put("image_size", vision.imageSize());
        p.put("patch_size", vision.patch());
        p.put("image_embedding_size", vision.side());
        p.put("mask_input_channels", prompts.maskChannels);
        p.put("num_point_embeddings", prompts.pointKinds);
        p.put("hidden_act", name(prompts.activation));
        p.put("layer_norm_eps", prompts.eps);
        Map<String, Object> d = new LinkedHashMap<>();
        d.put("model_type", "sam_mask_decoder");
        d.put("hidden_size", decoder.hidden);
        d.put("mlp_dim", decoder.mlp);
        d.put("num_hidden_layers", decoder.layers);
        d.put("num_attention_heads", decoder.heads);
        d.put("attention_downsample_rate", decoder.downsample);
        d.put("num_multimask_outputs", decoder.masks);
        d.put("iou_head_depth", decoder.iouLayers);
        d.put("iou_head_hidden_dim", decoder.iouHidden);
        d.put("hidden_act", name(decoder.activation));
        d.put("layer_norm_eps", decoder.eps);
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("architectures", List.of("SamModel"));
        all.put("model_type", "sam");
        all.put("vision_config", v);
        all.put("prompt_encoder_config", p);
        all.put("mask_decoder_config", d);
        return all;
    }

    private static String name(Act act) {
        return switch (act) {
            case GELU_TANH -> "gelu_pytorch_tanh";
            case IDENTITY -> "linear";
            default -> act.name().toLowerCase(Locale.ROOT);
        };
    }
}
