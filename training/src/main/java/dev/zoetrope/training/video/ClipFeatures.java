package dev.zoetrope.training.video;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.FrechetDistance;
import dev.zoetrope.training.judge.ObjectJudge;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Clips as vectors whose distributions can be compared. A frame becomes {@value #WIDTH} numbers: features of a picture
 * network under a fixed random projection, few enough that a hundred clips tell their covariance. A clip is their mean
 * over time, how much they change from frame to frame, and how its second half differs from its first: the same frames in
 * another order are another clip.
 *
 * <p>Axes: T frames, F features of the network.
 */
public final class ClipFeatures implements AutoCloseable {
    private static final int WIDTH = 32;
    private static final int SIDE = 64; // of what the judge was trained on

    private final Function<List<Image>, Tensor> network;
    private final Tensor projection; // [F, WIDTH]
    private final List<Tensor> clips = new ArrayList<>();

    private ClipFeatures(Function<List<Image>, Tensor> network, int features) {
        this.network = network;
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(0)) {
            projection = Scope.detach(random.normal(features, WIDTH).div(Math.sqrt(features)));
        }
    }

    /** In the space of the judge of Carousel's objects; the judge stays the caller's. */
    public static ClipFeatures of(ObjectJudge judge) {
        return new ClipFeatures(frames -> judge.features(tensor(frames)), ObjectJudge.FEATURES);
    }

    /** In the space of a CLIP or SigLIP, which stays the caller's. */
    public static ClipFeatures of(Embed model) {
        return new ClipFeatures(
                frames -> {
                    float[][] rows = model.images(frames);
                    float[] all = new float[rows.length * model.width()];
                    for (int i = 0; i < rows.length; i++) {
                        System.arraycopy(rows[i], 0, all, i * model.width(), model.width());
                    }
                    return Tensor.of(all, rows.length, model.width());
                },
                model.width());
    }

    /** {@code [T, 3, H, W]} in -1..1, the shorter side 64. */
    static Tensor tensor(List<Image> frames) {
        Image first = frames.get(0);
        double scale = (double) SIDE / Math.min(first.width(), first.height());
        int width = (int) Math.max(1, Math.round(first.width() * scale));
        int height = (int) Math.max(1, Math.round(first.height() * scale));
        return Frames.of(frames, width, height).transpose(0, 1);
    }

    /** {@code [T, F]} of frames, owned by the innermost scope. */
    Tensor frames(List<Image> frames) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            return s.keep(network.apply(frames));
        }
    }

    /** Counts a clip in. @param features {@link #frames} of it */
    void add(Tensor features) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor x = features.matmul(projection); // [T, WIDTH]
            long half = Math.max(1, x.size(0) / 2);
            Tensor mean = x.mean(0);
            long steps = x.size(0) - 1;
            Tensor change = steps == 0
                    ? Tensor.zeros(WIDTH)
                    : x.narrow(0, 1, steps).sub(x.narrow(0, 0, steps)).abs().mean(0);
            Tensor turn = x.narrow(0, x.size(0) - half, half)
                    .mean(0)
                    .sub(x.narrow(0, 0, half).mean(0));
            clips.add(Scope.detach(Tensor.cat(0, mean, change, turn))); // [3 WIDTH]
        }
    }

    /** Counts a clip in. */
    public void add(Clip clip) {
        try (Scope s = Scope.open()) {
            add(frames(clip.frames()));
        }
    }

    public int size() {
        return clips.size();
    }

    /** Frechet distance of the clips here to those there, at least two on each side. */
    public double distance(ClipFeatures other) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            return FrechetDistance.between(
                    FrechetDistance.Normal.of(Tensor.stack(0, clips)),
                    FrechetDistance.Normal.of(Tensor.stack(0, other.clips)));
        }
    }

    @Override
    public void close() {
        clips.forEach(Tensor::close);
        projection.close();
    }
}
