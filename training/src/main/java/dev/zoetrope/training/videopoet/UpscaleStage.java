package dev.zoetrope.training.videopoet;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.videopoet.TokenUpscaler;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tensor.Autocast;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.training.sora.SoraData;
import dev.zoetrope.world.World;
import java.util.List;
import java.util.Random;

/**
 * Trains the upscaler: clips rendered at twice the size, whose shrunken copies give the small tokens. Some of these are drawn
 * anew at random, for those that the language model says are not all right either (arXiv:2312.14125).
 */
final class UpscaleStage implements Trainer.Objective, AutoCloseable {
    private final VideoPoet poet;
    private final TokenUpscaler model;
    private final LatentPool clips;
    private final double dropped;
    private final double disturbed;

    UpscaleStage(VideoPoet poet, TokenUpscaler model, SoraData data, Json j) {
        this.poet = poet;
        this.model = model;
        dropped = j.get("caption_dropout", .1);
        disturbed = j.get("disturbed", .1);
        Bucket small = data.buckets().get(0);
        World.Canvas canvas =
                new World.Canvas(2 * small.canvas().width(), 2 * small.canvas().height());
        Bucket large = new Bucket(small.frames(), canvas, 1, j.get("batch", 4), small.motions());
        clips = new LatentPool(data.world(large), large, this::tokens, j.get("pool", 256), j.get("uses", 8));
    }

    /** Tokens of the clip and of the shrunken clip side by side, {@code [B, n]}. */
    private Tensor tokens(Tensor video) { // [B, 3, T, H, W]
        Tensor frames = video.transpose(1, 2).flatten(0, 1);
        Tensor shrunk = Functional.interpolate(
                        frames, video.size(3) / 2, video.size(4) / 2, Functional.Interpolation.BICUBIC, false, true)
                .unflatten(0, video.size(0), -1)
                .transpose(1, 2)
                .clamp(-1, 1);
        try (Autocast full = Autocast.off()) {
            return Tensor.cat(
                    1,
                    poet.vision().encode(video).flatten(1),
                    poet.vision().encode(shrunk).flatten(1));
        }
    }

    @Override
    public Tensor loss(Trainer.Share part, RandomSource random, Metrics metrics) {
        LatentPool.Batch batch = clips.batch(part.number());
        int parts = model.config().parts();
        int planes = poet.canvas().planes();
        int rows = poet.canvas().rows();
        int columns = poet.canvas().columns();
        long n = 4L * poet.canvas().visual() * parts;
        Tensor all = batch.latents();
        Tensor codes = all.narrow(1, 0, n).unflatten(1, planes, 2L * rows, 2L * columns, parts);
        Tensor small = all.narrow(1, n, all.size(1) - n).unflatten(1, planes, rows, columns, parts);
        Tensor wrong = random.uniform(small.shape()).lt(disturbed);
        small = Tensor.where(wrong, random.integers(0, model.config().codes(), small.shape()), small);
        Random words = new Random(part.number());
        List<String> captions = SoraData.captions(batch.scenes(), batch.pass(), dropped, words);
        double share = Math.cos(Math.PI / 2 * words.nextDouble()); // as in decoding, mostly much is hidden
        Tensor hidden =
                random.uniform(codes.size(0), planes, 2L * rows, 2L * columns).lt(share);
        return model.loss(codes, hidden, small, poet.encode(captions));
    }

    @Override
    public void close() {
        clips.close();
    }
}
