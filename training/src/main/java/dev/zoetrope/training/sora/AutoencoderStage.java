package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.sora.VideoAutoencoder;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.autoencoder.PixelLoss;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.List;

/**
 * Trains the autoencoder on rendered clips. The linear part starts as the principal components of the pictures; noise on the latents makes the decoder
 * forgive the transformer's small errors, and a light pull keeps the latents near zero.
 */
final class AutoencoderStage implements Trainer.Objective {
    private static final int PATCH = 8;
    private static final int PATCHES = 8000;
    /** Power of a component's deviation that its latent keeps: 0 would make noise as strong as shape. */
    private static final double KEPT_POWER = .4;

    private final VideoAutoencoder model;
    private final SoraData data;
    private final List<World> worlds;
    private final int groups;
    private final double noise;
    private final double pull;
    private final PixelLoss loss;

    AutoencoderStage(VideoAutoencoder model, SoraData data, Json j) {
        this.model = model;
        this.data = data;
        this.worlds = data.buckets().stream().map(data::world).toList();
        this.groups = j.get("groups", 16);
        this.noise = j.get("latent_noise", .1);
        this.pull = j.get("latent_pull", 1e-4);
        this.loss = new PixelLoss(j.get("object_weight", 2.));
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        int bucket = data.bucketOf(share.step());
        int frames = data.buckets().get(bucket).frames();
        int clips = Math.max(1, groups / model.config().groups(frames));
        long first = share.number() * clips;
        Tensor video = LatentPool.video(scenes(worlds.get(bucket), first, clips));
        Tensor x = model.groups(video); // [N, groupFrames * 3, H, W]
        Tensor z = model.encodeGroups(x); // [N, K, h, w]
        Tensor noisy = z.add(random.normal(z.shape()).mul(noise));
        Tensor y = model.decodeGroups(noisy.unflatten(0, clips, -1)).flatten(0, 1);
        return loss.of(y, x, metrics).add(z.square().mean().mul(pull));
    }

    private static List<Scene> scenes(World world, long first, int n) {
        List<Scene> scenes = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            scenes.add(world.scene(first + i));
        }
        return scenes;
    }

    /** Puts the principal components of rendered patches into the linear part. */
    void initialise(Weights weights, long seed) {
        try (var off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(seed)) {
            List<Tensor> parts = new ArrayList<>();
            for (int b = 0; b < worlds.size(); b++) {
                Tensor x = model.groups(LatentPool.video(scenes(worlds.get(b), 0, 64)));
                Tensor patches =
                        Functional.pixelUnshuffle(x, PATCH).permute(0, 2, 3, 1).flatten(0, 2); // [M, P]
                Tensor some = random.permutation(patches.size(0)).narrow(0, 0, Math.min(PATCHES, patches.size(0)));
                parts.add(patches.indexSelect(0, some));
            }
            Tensor x = Tensor.cat(0, parts).to(DType.FLOAT64);
            Tensor mean = x.mean(0); // [P]
            Tensor centred = x.sub(mean);
            Functional.Eigen eigen =
                    Functional.eigh(centred.transpose(0, 1).matmul(centred).div(x.size(0)));
            long k = model.config().latentChannels();
            Tensor u = eigen.vectors().narrow(1, x.size(1) - k, k).flip(1); // [P, K], largest first
            Tensor std = eigen.values()
                    .narrow(0, x.size(1) - k, k)
                    .flip(0)
                    .clamp(1e-12, 1e12)
                    .sqrt(); // [K]
            Tensor scale = std.pow(1 - KEPT_POWER);
            scale = scale.mul(std.div(scale).square().mean().sqrt()); // latents with variance 1 on the whole
            set(weights, "encoder.analysis.weight", u.div(scale).transpose(0, 1));
            set(weights, "encoder.analysis.bias", mean.matmul(u).div(scale).neg());
            set(weights, "decoder.synthesis.weight", u.mul(scale));
            set(weights, "decoder.synthesis.bias", mean);
        }
    }

    /** Stores what the latents' mean a channel and common deviation are. */
    void measure(Weights weights) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> parts = new ArrayList<>();
            for (World world : worlds) {
                for (int i = 0; i < 4; i++) {
                    Tensor z = model.encodeGroups(model.groups(LatentPool.video(scenes(world, 1000 + 32L * i, 32))));
                    parts.add(z.permute(0, 2, 3, 1).flatten(0, 2)); // [M, K]
                }
            }
            Tensor z = Tensor.cat(0, parts);
            Tensor mean = z.mean(0);
            weights.buffers().get("latents_mean").copyInPlace(mean);
            weights.buffers()
                    .get("latents_std")
                    .copyInPlace(z.sub(mean).square().mean().sqrt().reshape(1));
        }
    }

    private static void set(Weights weights, String name, Tensor value) {
        Tensor t = weights.named().get(name);
        t.copyInPlace(value.to(DType.FLOAT32).reshape(t.shape()));
    }
}
