package dev.zoetrope.parity;

import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.vae.Posterior;
import dev.zoetrope.models.vae.Tiling;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.tensor.Tensor;
import java.util.Map;

/** U-Nets and autoencoders of pictures. */
final class PictureEntries {
    private static final Map<String, String> UNET_PARTS = Map.of(
            "conv_in", "conv_in",
            "time_embedding", "time_embedding",
            "down_blocks.0.attentions.0", "attention_0",
            "down_blocks.0.attentions.0.transformer_blocks.0.fuser", "fuser_0",
            "down_blocks.0", "down_0",
            "mid_block", "mid",
            "up_blocks.0", "up_0");
    private static final Map<String, String> AUTOENCODER_PARTS = Map.of(
            "encoder.conv_in", "encoder_conv_in",
            "encoder.down_blocks.0", "encoder_down_0",
            "encoder.mid_block", "encoder_mid",
            "decoder.conv_in", "decoder_conv_in",
            "decoder.mid_block", "decoder_mid",
            "decoder.up_blocks.0", "decoder_up_0");

    private PictureEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("ddpm.forward", PictureEntries::pixelUnet);
        entries.put("unet.forward", PictureEntries::conditionalUnet);
        entries.put("gligen.forward", PictureEntries::boxes);
        entries.put("vae.encode_decode", PictureEntries::autoencoder);
        entries.put("vae.tiled", PictureEntries::tiled);
        entries.put("vqvae.encode_decode", PictureEntries::codebook);
    }

    private static void pixelUnet(Case c, Answers answers) {
        try (PixelUnet unet = PixelUnet.load(c.model())) {
            answers.put(
                    "sample",
                    unet.forward(
                            c.input("sample"),
                            c.input("timesteps"),
                            c.optionalInput("class_labels"),
                            answers.watch(UNET_PARTS)));
        }
    }

    private static void conditionalUnet(Case c, Answers answers) {
        Condition condition = Condition.NONE
                .withText(c.optionalInput("encoder_hidden_states"))
                .withTextMask(c.optionalInput("encoder_attention_mask"))
                .withLabels(c.optionalInput("class_labels"))
                .withSizes(c.optionalInput("text_embeds"), c.optionalInput("time_ids"));
        try (ConditionalUnet unet = ConditionalUnet.load(c.model())) {
            answers.put(
                    "sample",
                    unet.forward(c.input("sample"), c.input("timesteps"), condition, answers.watch(UNET_PARTS)));
        }
    }

    private static void boxes(Case c, Answers answers) {
        try (ConditionalUnet unet = ConditionalUnet.load(c.model())) {
            Tensor objects = unet.objects(c.input("boxes"), c.input("masks"), c.input("positive_embeddings"));
            answers.put("objects", objects);
            Condition condition =
                    Condition.ofText(c.input("encoder_hidden_states")).withObjects(objects);
            answers.put(
                    "sample",
                    unet.forward(c.input("sample"), c.input("timesteps"), condition, answers.watch(UNET_PARTS)));
        }
    }

    private static void autoencoder(Case c, Answers answers) {
        Tensor image = c.input("image");
        Tensor latents = c.input("latents");
        try (AutoencoderKl vae = AutoencoderKl.load(c.model())) {
            Posterior posterior = vae.encode(image);
            answers.put("mean", posterior.mean());
            answers.put("logvar", posterior.logVariance());
            answers.put("latent_sample", posterior.sample(c.input("noise")));
            answers.put("decoded", vae.decode(latents));
            vae.watch(image, latents, answers.watch(AUTOENCODER_PARTS));
        }
    }

    private static void tiled(Case c, Answers answers) {
        Tiling tiles = new Tiling(
                c.params().requireInt("tile_sample_min_size"),
                c.params().requireInt("tile_latent_min_size"),
                c.params().get("tile_overlap_factor", 0.25));
        try (AutoencoderKl vae = AutoencoderKl.load(c.model())) {
            answers.put("mean", vae.encode(c.input("image"), tiles).mean());
            answers.put("decoded", vae.decode(c.input("latents"), tiles));
        }
    }

    private static void codebook(Case c, Answers answers) {
        try (VqModel vae = VqModel.load(c.model())) {
            Tensor latents = vae.encode(c.input("image"));
            VqModel.Quantized quantized = vae.quantize(latents);
            answers.put("latents", latents);
            answers.put("indices", quantized.indices());
            answers.put("quantized", quantized.latents());
            answers.put("decoded", vae.decode(latents));
            answers.put("decoded_without_quantizing", vae.decodeQuantized(latents));
        }
    }
}
