package dev.zoetrope.training.judge;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** A small convolutional network that names the one object of Carousel in a frame. B frames. */
public final class ObjectJudge implements AutoCloseable {
    private static final int[] WIDTHS = {24, 48, 96, 160};
    /** Numbers that {@link #features} makes of a frame. */
    public static final int FEATURES = 4 * 160;

    private final Weights weights;
    private final List<Conv2d> convs;
    private final List<GroupNorm> norms;
    private final Linear head;

    ObjectJudge(Weights w, int objects) {
        weights = w;
        convs = new java.util.ArrayList<>();
        norms = new java.util.ArrayList<>();
        int channels = 3;
        for (int i = 0; i < WIDTHS.length; i++) {
            convs.add(new Conv2d(w.at("convs").at(i), channels, WIDTHS[i], i == 0 ? 5 : 3, 2, i == 0 ? 2 : 1));
            norms.add(new GroupNorm(w.at("norms").at(i), 8, WIDTHS[i], 1e-5));
            channels = WIDTHS[i];
        }
        head = new Linear(w.at("head"), 4L * channels, objects);
    }

    /** The one that comes with Zoetrope. */
    public static ObjectJudge builtIn() {
        return load(BuiltIn.folder(BuiltIn.JUDGE));
    }

    public static ObjectJudge load(Path folder) {
        int objects = Json.read(folder.resolve("config.json")).requireInt("objects");
        return new ObjectJudge(Weights.load(Checkpoint.open(folder)), objects);
    }

    /** @param frames {@code [B, 3, H, W]} in -1..1; returns logits {@code [B, objects]} */
    public Tensor forward(Tensor frames) {
        try (Scope s = Scope.open()) {
            return s.keep(logits(features(frames)));
        }
    }

    /** From {@link #features} to logits {@code [B, objects]}. */
    public Tensor logits(Tensor features) {
        return head.forward(features);
    }

    /** What the objects are told by, {@code [B, FEATURES]}: a space in which sets of pictures can be compared. */
    public Tensor features(Tensor frames) {
        try (Scope s = Scope.open()) {
            Tensor x = frames;
            for (int i = 0; i < WIDTHS.length; i++) {
                x = norms.get(i).forward(convs.get(i).forward(x)).silu(); // [B, C, H/2, W/2]
            }
            // Means of the quarters: what is where in the frame hardly matters, but a little of the layout does.
            return s.keep(Functional.adaptiveAvgPool2d(x, 2, 2).flatten(1));
        }
    }

    /** The object of a clip {@code [3, T, H, W]}: the class with the highest mean probability over its frames. */
    public int classify(Tensor clip) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor logits = forward(clip.transpose(0, 1)); // [T, objects]
            return (int) logits.softmax(-1).mean(0).argmax(0).item();
        }
    }

    /** The object in each frame of a clip {@code [3, T, H, W]}. */
    public int[] eachFrame(Tensor clip) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            long[] ids = forward(clip.transpose(0, 1)).argmax(-1).toLongs(); // [T]
            return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
