package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.cogvideox.CogVideoX;
import dev.zoetrope.models.cogvideox.CogVideoXAutoencoder;
import dev.zoetrope.models.cogvideox.CogVideoXTransformer;
import dev.zoetrope.models.latte.Latte;
import dev.zoetrope.models.latte.LatteTransformer;
import dev.zoetrope.models.video.VideoPipeline;
import dev.zoetrope.models.video.VideoRequest;
import dev.zoetrope.models.wan.Wan;
import dev.zoetrope.models.wan.WanAutoencoder;
import dev.zoetrope.models.wan.WanTransformer;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Text to video: transformers, autoencoders and whole pipelines. */
final class VideoEntries {
    private VideoEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("cogvideox.forward", VideoEntries::cogVideoX);
        entries.put("cogvideox_vae.encode_decode", VideoEntries::cogVideoXAutoencoder);
        entries.put("cogvideox_vae.tiled_decode", VideoEntries::cogVideoXTiled);
        entries.put("cogvideox.t2v", (c, answers) -> pipeline(c, answers, CogVideoX::load));
        entries.put("cogvideox.i2v", (c, answers) -> pipeline(c, answers, CogVideoX::load));
        entries.put("cogvideox.v2v", (c, answers) -> pipeline(c, answers, CogVideoX::load));
        entries.put("latte.forward", VideoEntries::latte);
        entries.put("latte.t2v", VideoEntries::latteVideo);
        entries.put("wan.forward", VideoEntries::wan);
        entries.put("wan_vae.encode_decode", VideoEntries::wanAutoencoder);
        entries.put("wan.t2v", (c, answers) -> pipeline(c, answers, Wan::load));
        entries.put("wan.i2v", (c, answers) -> pipeline(c, answers, Wan::load));
    }

    private static void cogVideoX(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor words = c.input("encoder_hidden_states");
        @Nullable Tensor offset = c.optionalInput("ofs");
        try (CogVideoXTransformer model = CogVideoXTransformer.load(c.model())) {
            CogVideoXTransformer.Streams first = model.firstBlock(latents, timesteps, words, offset);
            answers.put("tokens", model.tokens(latents, words));
            answers.put("time", model.time(timesteps));
            answers.put("block_0", first.video());
            answers.put("block_0_text", first.text());
            put(answers, model.rotary(latents));
            answers.put("sample", model.forward(latents, timesteps, words, offset));
        }
    }

    /** Cases name each angle twice, once for either of a pair. */
    private static void put(Answers answers, @Nullable Rotary rotary) {
        if (rotary != null) {
            answers.put("rope_cos", rotary.cos().repeatInterleave(2, -1));
            answers.put("rope_sin", rotary.sin().repeatInterleave(2, -1));
        }
    }

    private static void cogVideoXAutoencoder(Case c, Answers answers) {
        Tensor video = c.input("video");
        try (CogVideoXAutoencoder model = CogVideoXAutoencoder.load(c.model())) {
            CogVideoXAutoencoder.Moments m = model.encode(video);
            answers.put("mean", m.mean());
            answers.put("logvar", m.logvar());
            answers.put("decoded", model.decode(c.input("latents")));
            List<Tensor> states = model.encoderStates(video);
            answers.put("encoder_conv_in", states.get(0));
            answers.put("encoder_down_0", states.get(1));
        }
    }

    private static void cogVideoXTiled(Case c, Answers answers) {
        Json p = c.params();
        try (CogVideoXAutoencoder model = CogVideoXAutoencoder.load(c.model())) {
            CogVideoXAutoencoder.Tiling d = CogVideoXAutoencoder.Tiling.of(model.config());
            CogVideoXAutoencoder.Tiling tiling = new CogVideoXAutoencoder.Tiling(
                    p.get("tile_sample_min_height", d.height()),
                    p.get("tile_sample_min_width", d.width()),
                    p.get("tile_overlap_factor_height", d.overlapHeight()),
                    p.get("tile_overlap_factor_width", d.overlapWidth()));
            answers.put("decoded", model.decode(c.input("latents"), tiling));
        }
    }

    private static void latte(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor words = c.input("encoder_hidden_states");
        try (LatteTransformer model = LatteTransformer.load(c.model())) {
            List<Tensor> blocks = model.firstBlocks(latents, timesteps, words);
            answers.put("patches", model.patches(latents).flatten(0, 1));
            answers.put("time", model.modulationOf(timesteps).flatten(1, 2));
            answers.put("caption", model.caption(words));
            answers.put("spatial_0", blocks.get(0).flatten(0, 1));
            answers.put("temporal_0", blocks.get(1).transpose(1, 2).flatten(0, 1));
            answers.put("sample", model.forward(latents, timesteps, words, true));
            answers.put("sample_spatial_only", model.forward(latents, timesteps, words, false));
        }
    }

    private static void latteVideo(Case c, Answers answers) {
        c.params().expect("clean_caption", false);
        boolean cutsText = c.params().get("mask_feature", true);
        pipeline(c, answers, folder -> Latte.load(folder, cutsText));
    }

    private static void wan(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor words = c.input("encoder_hidden_states");
        @Nullable Tensor picture = c.optionalInput("encoder_hidden_states_image");
        try (WanTransformer model = WanTransformer.load(c.model())) {
            answers.put("patches", model.patches(latents));
            answers.put("block_0", model.firstBlock(latents, timesteps, words, picture));
            put(answers, model.rotary(latents));
            answers.put("sample", model.forward(latents, timesteps, words, picture));
        }
    }

    private static void wanAutoencoder(Case c, Answers answers) {
        try (WanAutoencoder model = WanAutoencoder.load(c.model())) {
            WanAutoencoder.Moments m = model.encode(c.input("video"));
            answers.put("mean", m.mean());
            answers.put("logvar", m.logvar());
            answers.put("decoded", model.decode(c.input("latents")));
        }
    }

    private static void pipeline(Case c, Answers answers, Function<Path, VideoPipeline> loader) {
        Json p = c.params();
        List<Tensor> predictions = new ArrayList<>();
        List<Tensor> latents = new ArrayList<>();
        try (VideoPipeline pipeline = loader.apply(c.model())) {
            VideoRequest.Defaults d = pipeline.defaults();
            int height = p.get("height", d.height());
            int width = p.get("width", d.width());
            VideoRequest r = VideoRequest.of(p.require("prompt"), d)
                    .withNegative(p.get("negative_prompt", ""))
                    .withSize(p.get("frames", d.frames()), height, width)
                    .withSteps(p.get("steps", d.steps()))
                    .withGuidance(p.get("guidance_scale", d.guidanceScale()), p.get("use_dynamic_cfg", false))
                    .withTextLength(p.get("max_sequence_length", d.textLength()));
            if (p.has("image")) {
                r = r.withImage(Images.read(c.file("image")));
            }
            @Nullable Tensor video = c.optionalInput("video");
            if (video != null) {
                r = r.withVideo(video.select(0, 0), p.get("strength", 1.0));
            }
            Tensor made = pipeline.sample(r, noise(c, r.image() != null), (step, steps, prediction, after) -> {
                predictions.add(Scope.detach(prediction.copy()));
                latents.add(Scope.detach(after.copy()));
                return true;
            });
            answers.put("model_outputs", Tensor.stack(0, predictions));
            answers.put("latents_steps", Tensor.stack(0, latents));
            predictions.forEach(Tensor::close);
            latents.forEach(Tensor::close);
            answers.put("frames", made.div(2.0).add(0.5).clamp(0, 1).permute(0, 2, 3, 4, 1));
        }
    }

    /** The stored draws in the order of the reference, which encodes a picture before it draws the latents. */
    private static Noise noise(Case c, boolean imageFirst) {
        List<Tensor> draws = new ArrayList<>();
        for (int i = 0; c.optionalInput("noise_" + i) != null; i++) {
            draws.add(c.input("noise_" + i));
        }
        @Nullable Tensor latents = c.optionalInput("latents");
        if (latents != null) {
            draws.add(imageFirst && !draws.isEmpty() ? 1 : 0, latents);
        }
        Iterator<Tensor> next = draws.iterator();
        return shape -> {
            if (!next.hasNext()) {
                throw new UserError("the pipeline draws more often than the case's " + draws.size() + " times");
            }
            Tensor t = next.next();
            if (!Arrays.equals(t.shape(), shape)) {
                throw new UserError("the pipeline draws noise of shape " + Arrays.toString(shape) + ", the case has "
                        + Arrays.toString(t.shape()));
            }
            return t;
        };
    }
}
