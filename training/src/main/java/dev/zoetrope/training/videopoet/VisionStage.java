package dev.zoetrope.training.videopoet;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.videopoet.VisionTokenizer;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.autoencoder.AdversarialLoss;
import dev.zoetrope.training.autoencoder.PatchDiscriminator;
import dev.zoetrope.training.autoencoder.PixelLoss;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.training.sora.SoraData;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Trains the vision tokenizer on rendered clips: errors of the pixels, what the quantiser asks for and, where the recipe
 * says so, a discriminator of frames that starts late.
 */
final class VisionStage implements Trainer.Objective {
    private final VisionTokenizer model;
    private final World world;
    private final int clips;
    private final PixelLoss pixels;
    private final double costWeight;
    private final double criticWeight;
    private final long criticStart;
    private final Weights criticWeights;
    private final @Nullable PatchDiscriminator critic;

    /** @param criticWeights from which a discriminator is drawn */
    VisionStage(VisionTokenizer model, SoraData data, Json j, Weights criticWeights) {
        this.model = model;
        Bucket bucket = data.buckets().get(0);
        world = data.world(bucket);
        clips = j.get("batch", 8);
        pixels = new PixelLoss(j.get("object_weight", 2.));
        costWeight = j.get("quantizer_weight", .1);
        criticWeight = j.get("disc_weight", 0.);
        criticStart = j.get("disc_start", 0L);
        this.criticWeights = criticWeights;
        critic = criticWeight == 0
                ? null
                : new PatchDiscriminator(PatchDiscriminator.Config.of(j.at("discriminator")), criticWeights);
    }

    Map<String, Tensor> parameters() {
        Map<String, Tensor> r = new LinkedHashMap<>(model.weights().named());
        criticWeights.named().forEach((name, w) -> r.put("discriminator." + name, w));
        return r;
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        long first = share.number() * clips;
        List<Scene> scenes = new ArrayList<>();
        for (int i = 0; i < clips; i++) {
            scenes.add(world.scene(first + i));
        }
        Tensor video = LatentPool.video(scenes); // [B, 3, T, H, W]
        VisionTokenizer.Trained t = model.reconstruct(video);
        Tensor made = frames(t.video().narrow(2, 0, video.size(2)));
        Tensor wanted = frames(video);
        Tensor likelihood = pixels.of(made, wanted, metrics);
        metrics.add("quantizer", t.cost().item());
        Tensor loss = likelihood.add(t.cost().mul(costWeight));
        return critic == null || share.step() < criticStart
                ? loss
                : loss.add(AdversarialLoss.both(
                        critic,
                        wanted,
                        made,
                        likelihood,
                        model.weights().named().get("decoder.conv_out.weight"),
                        criticWeight,
                        metrics));
    }

    private static Tensor frames(Tensor video) { // [B, 3, T, H, W] -> [B T, 3, H, W]
        return video.transpose(1, 2).flatten(0, 1);
    }
}
