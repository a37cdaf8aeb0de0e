package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.audioldm.AudioLdm;
import dev.zoetrope.models.clap.ClapText;
import dev.zoetrope.models.hifigan.HifiGan;
import dev.zoetrope.models.unet.VideoUnet;
import dev.zoetrope.models.zeroscope.Zeroscope;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.Map;

/** What any-to-any models speak and draw with. */
final class AnyToAnyEntries {
    private static final Map<String, String> VIDEO_UNET_PARTS = Map.of(
            "conv_in", "conv_in", "transformer_in", "transformer_in", "down_blocks.0", "down_0", "mid_block", "mid");

    private AnyToAnyEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("hifigan.vocode", AnyToAnyEntries::vocode);
        entries.put("clap_text.encode", AnyToAnyEntries::clap);
        entries.put("audioldm.generate", AnyToAnyEntries::audio);
        entries.put("unet3d.forward", AnyToAnyEntries::videoUnet);
        entries.put("zeroscope.generate", AnyToAnyEntries::video);
    }

    private static void vocode(Case c, Answers answers) {
        try (HifiGan vocoder = HifiGan.load(c.model())) {
            Tensor mel = c.input("mel");
            answers.put("waveform", vocoder.forward(mel));
            answers.put("waveform_single", vocoder.forward(mel.narrow(0, 0, 1)).select(0, 0));
        }
    }

    private static void clap(Case c, Answers answers) {
        List<String> texts = c.params().get("texts", List.of());
        int width = c.params().requireInt("max_length");
        try (Tokenizer tokenizer = Tokenizer.open(c.model().resolve("tokenizer"));
                ClapText model = ClapText.load(c.model().resolve("text_encoder"))) {
            List<long[]> rows =
                    texts.stream().map(t -> tokenizer.encode(t, width)).toList();
            Tokenizer.Batch batch = tokenizer.pad(rows, width, tokenizer.paddingSide());
            Tensor ids = Case.rows(List.of(batch.ids()), 0);
            Tensor mask = Case.rows(List.of(batch.mask()), 0);
            answers.put("input_ids", ids);
            answers.put("attention_mask", mask);
            Tensor vectors = model.embed(ids, mask);
            answers.put("text_embeds", vectors);
            answers.put("normalized", ClapText.unit(vectors));
        }
    }

    private static void audio(Case c, Answers answers) {
        Json p = c.params();
        AudioLdm.Request request = new AudioLdm.Request(
                p.require("prompt"),
                p.get("negative_prompt", ""),
                p.get("audio_length_in_s", 5.),
                p.requireInt("steps"),
                p.get("guidance_scale", 2.5));
        try (AudioLdm model = AudioLdm.load(c.model());
                Draws draws = Draws.given(List.of(c.input("latents")));
                Trace trace = new Trace()) {
            AudioLdm.Sound sound = model.generate(request, draws, trace);
            answers.put("latents_steps", trace.samples());
            answers.put("mel", sound.mel());
            answers.put("audio", sound.samples());
        }
    }

    private static void videoUnet(Case c, Answers answers) {
        try (VideoUnet unet = VideoUnet.load(c.model())) {
            answers.put(
                    "prediction",
                    unet.forward(
                            c.input("sample"),
                            c.input("timesteps"),
                            c.input("encoder_hidden_states"),
                            answers.watch(VIDEO_UNET_PARTS)));
        }
    }

    private static void video(Case c, Answers answers) {
        Json p = c.params();
        Zeroscope.Request request = new Zeroscope.Request(
                p.require("prompt"),
                p.get("negative_prompt", ""),
                p.requireInt("frames"),
                p.requireInt("height"),
                p.requireInt("width"),
                p.requireInt("steps"),
                p.get("guidance_scale", 9.));
        try (Zeroscope model = Zeroscope.load(c.model());
                Draws draws = Draws.given(List.of(c.input("latents")));
                Trace trace = new Trace()) {
            Tensor video = model.generate(request, draws, trace);
            answers.put("latents_steps", trace.samples());
            answers.put("frames", video.permute(0, 2, 3, 4, 1).contiguous());
        }
    }
}
