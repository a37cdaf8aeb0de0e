package dev.zoetrope.models.unet;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.function.BiConsumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One picture's way through a U-Net: where it stands, what the way down left for the way up, and what steers it. Of what
 * was made no more is held than is still needed.
 */
final class Pass {
    /**
     * What steers the blocks.
     *
     * @param time {@code [B, E]}
     * @param text {@code [B, T, F]}; null where attention looks at the picture alone
     * @param mask added to the scores of attention to the text, {@code [B, 1, 1, T]}
     * @param objects what boxes say, {@code [B, N, F]}
     * @param watch sees what named parts make, before it is freed
     */
    record Steering(
            Tensor time,
            @Nullable Tensor text,
            @Nullable Tensor mask,
            @Nullable Tensor objects,
            BiConsumer<String, Tensor> watch) {
        /** What attention looks at besides the picture. */
        Tensor[] seen() {
            return Stream.of(text, objects).filter(Objects::nonNull).toArray(Tensor[]::new);
        }

        /** The same with other tensors for {@link #seen}. */
        Steering with(List<Tensor> others) {
            return new Steering(
                    time,
                    text == null ? null : others.get(0),
                    mask,
                    objects == null ? null : others.get(others.size() - 1),
                    watch);
        }
    }

    private final Steering steering;
    private final Deque<Tensor> skips = new ArrayDeque<>();
    private Tensor x;
    private boolean held = true; // x is somebody's besides this pass
    private @Nullable Tensor picture;

    Pass(Tensor x, Steering steering) {
        this.x = x;
        this.steering = steering;
    }

    Steering steering() {
        return steering;
    }

    Tensor x() {
        return x;
    }

    void step(UnaryOperator<Tensor> layer) {
        Tensor before = x;
        try (Scope s = Scope.open()) {
            x = s.keep(layer.apply(before));
        }
        if (!held && before != x) {
            before.close();
        }
        held = false;
    }

    /** Leaves what is here for the way up. */
    void remember() {
        skips.addLast(x);
        held = true;
    }

    /** Appends the channels of the last that was left, and lets go of it. */
    void join() {
        Tensor skip = skips.removeLast();
        step(y -> Tensor.cat(1, y, skip));
        skip.close();
    }

    /** Goes on from what deep levels made of it before, and drops what was left for them last. */
    void resume(Tensor made) {
        skips.removeLast().close();
        x = made;
        held = true;
    }

    /** The next that was left, whose size the way up must come to. */
    Tensor next() {
        return skips.getLast();
    }

    void watched(String path) {
        steering.watch.accept(path, x);
    }

    /** The picture itself at this resolution, in networks that carry it along; null before there is one. */
    @Nullable
    Tensor picture() {
        return picture;
    }

    void setPicture(@Nullable Tensor value) {
        picture = value;
    }
}
