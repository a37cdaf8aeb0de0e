package dev.zoetrope.models.sora;

import dev.zoetrope.models.sora.Sora.Given;
import dev.zoetrope.models.sora.Sora.Sampling;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Videos longer than those trained on, and videos of which parts are given: window after window of latent frames, each of
 * which sees the end of the one before. Frames are decoded as soon as their window is done, so memory does not grow with
 * the length.
 *
 * <p>Axes: K latent channels, G latent frames, h x w latent rows and columns.
 */
public final class Windows implements AutoCloseable {
    /** Latent frames of a window: as many as the model was trained with most. */
    private static final int WINDOW = 4;
    /** Those of them that the window before has made already: with two, errors of one window weigh more in the next. */
    private static final int OVERLAP = 1;
    /** Up to so many are made in one pass. */
    private static final int ONE_PASS = 8;
    /** Time up to which the latents of a first frame are held: they stand still, the video shall not. */
    private static final double STILL = 0.5;
    /** Latent frames that lead from the end of a loop to its beginning. */
    private static final int BRIDGE = 2;

    private final Sora model;
    private final Sampling sampling;
    private final RandomSource random;
    private final CaptionEncoder.Encoded captions;
    private final Scope scope;
    private final Autograd.Mode off;
    private final Sora.Observer observer;
    private int stepsDone;
    private int stepsInAll;

    /** @param sampling whose frames do not count here */
    public Windows(Sora model, String prompt, String negative, long seed, Sampling sampling, Sora.Observer observer) {
        this.model = model;
        this.sampling = sampling;
        this.observer = observer;
        this.random = RandomSource.of(seed);
        this.off = Autograd.off();
        this.scope = Scope.open();
        this.captions = model.encode(List.of(prompt), sampling.guided() ? List.of(negative) : List.of());
    }

    /** Latents of a video {@code [3, T, H, W]} in -1..1, {@code [K, G, h, w]}; T a multiple of the frames of a latent one. */
    public Tensor encode(Tensor video) {
        return model.autoencoder().encode(video.unsqueeze(0)).select(0, 0);
    }

    /**
     * Goes on from what is given, or from nothing.
     *
     * @param before {@code [K, G, h, w]}; null for nothing
     * @param groups latent frames to be made
     * @param frames told of each piece of new video, {@code [3, t, H, W]} in -1..1
     */
    public void forward(@Nullable Tensor before, int groups, Consumer<Tensor> frames) {
        stepsInAll = passes(before == null ? 0 : (int) before.size(1), groups) * sampling.steps();
        run(before, groups, null, 0, (made, context) -> decode(made, context, frames));
    }

    /**
     * A video whose first frame is given. The latent frame of a picture stands still; it is held only until it is decided
     * what will be seen.
     *
     * @param still {@code [K, 1, h, w]}
     */
    public void from(Tensor still, int groups, Consumer<Tensor> frames) {
        int first = Math.min(groups, WINDOW);
        stepsInAll = (1 + passes(first, groups - first)) * sampling.steps();
        boolean[] known = new boolean[first];
        known[0] = true;
        Tensor source = Tensor.cat(1, still, Tensor.zeros(model.latentShape(sampling, first - 1)));
        Tensor made = pass(new Given(source.unsqueeze(0), Tensor.of(known, first), STILL, true), first, null, 0);
        decode(made, null, frames);
        run(made, groups - first, null, 0, (more, context) -> decode(more, context, frames));
    }

    /** As {@link #forward}, but starting from a noised video, of which the first {@code skipped} steps are spared. */
    public void edit(Tensor video, int skipped, Consumer<Tensor> frames) {
        int groups = (int) video.size(1);
        stepsInAll = passes(0, groups) * (sampling.steps() - skipped);
        run(null, groups, video, skipped, (made, context) -> decode(made, context, frames));
    }

    /** What leads from one given part to another, in one pass. */
    public void between(Tensor before, int groups, Tensor after, Consumer<Tensor> frames) {
        stepsInAll = sampling.steps();
        Tensor end = last(before, 1);
        decode(window(end, groups, after.narrow(1, 0, 1), null, 0), end, frames);
    }

    /** What leads to a given part, from the last window to the first. */
    public void backward(Tensor after, int groups, Consumer<Tensor> frames) {
        stepsInAll = passes((int) after.size(1), groups) * sampling.steps();
        List<Tensor> parts = new ArrayList<>();
        Tensor next = after;
        for (int left = groups; left > 0; ) {
            int fresh = Math.min(left, WINDOW - OVERLAP);
            Tensor seen = next.narrow(1, 0, Math.min(WINDOW - fresh, next.size(1)));
            Tensor made = window(null, fresh, seen, null, 0);
            parts.add(0, made);
            Tensor both = Tensor.cat(1, made, next);
            next = both.narrow(1, 0, Math.min(WINDOW - 1, both.size(1)));
            left -= fresh;
        }
        decodeAll(Tensor.cat(1, parts), null, frames);
    }

    /** A video whose end leads to its beginning. */
    public void loop(int groups, Consumer<Tensor> frames) {
        int base = Math.max(1, groups - BRIDGE);
        stepsInAll = (passes(0, base) + 1) * sampling.steps();
        List<Tensor> parts = new ArrayList<>();
        run(null, base, null, 0, (made, context) -> parts.add(made));
        Tensor whole = Tensor.cat(1, parts);
        Tensor bridge = window(last(whole, 1), Math.max(1, groups - base), whole.narrow(1, 0, 1), null, 0);
        decodeAll(Tensor.cat(1, whole, bridge), last(bridge, 1), frames);
    }

    private interface Piece {
        /** @param context the latent frame before what was made; null for none */
        void accept(Tensor made, @Nullable Tensor context);
    }

    private static int passes(int known, int groups) {
        if (known == 0 && groups <= ONE_PASS) {
            return 1;
        }
        int first = known == 0 ? WINDOW : 0;
        return (known == 0 ? 1 : 0) + (Math.max(0, groups - first) + WINDOW - OVERLAP - 1) / (WINDOW - OVERLAP);
    }

    private void run(@Nullable Tensor before, int groups, @Nullable Tensor source, int skipped, Piece piece) {
        @Nullable Tensor tail = before == null ? null : last(before, WINDOW - 1);
        for (int made = 0; made < groups; ) {
            int left = groups - made;
            int fresh = tail == null ? left <= ONE_PASS ? left : WINDOW : Math.min(left, WINDOW - OVERLAP);
            try (Scope s = Scope.open()) {
                @Nullable Tensor known = tail == null ? null : last(tail, WINDOW - fresh);
                @Nullable Tensor part = source == null ? null : source.narrow(1, made, fresh);
                Tensor z = s.keep(window(known, fresh, null, part, skipped));
                piece.accept(z, known == null ? null : last(known, 1));
                tail = s.keep(last(known == null ? z : Tensor.cat(1, known, z), WINDOW - 1)
                        .copy());
            }
            made += fresh;
        }
    }

    /** The last {@code n}, or all there are. */
    private static Tensor last(Tensor latents, long n) {
        long k = Math.min(n, latents.size(1));
        return latents.narrow(1, latents.size(1) - k, k);
    }

    /** One pass of the network over known, new and known latent frames; returns the new ones, {@code [K, G, h, w]}. */
    private Tensor window(
            @Nullable Tensor before, int groups, @Nullable Tensor after, @Nullable Tensor source, int skipped) {
        int first = before == null ? 0 : (int) before.size(1);
        int behind = after == null ? 0 : (int) after.size(1);
        int all = first + groups + behind;
        try (Scope s = Scope.open()) {
            List<Tensor> parts = new ArrayList<>();
            if (before != null) {
                parts.add(before);
            }
            parts.add(source != null ? source : Tensor.zeros(model.latentShape(sampling, groups)));
            if (after != null) {
                parts.add(after);
            }
            Tensor clean = Tensor.cat(1, parts).unsqueeze(0);
            boolean[] known = new boolean[all];
            for (int i = 0; i < all; i++) {
                known[i] = i < first || i >= first + groups;
            }
            @Nullable Given given = all > groups ? new Given(clean, Tensor.of(known, all), 1, false) : null;
            Tensor z = pass(given, all, source == null ? null : clean, skipped);
            return s.keep(z.narrow(1, first, groups).copy());
        }
    }

    /** From noise, or a noised video {@code [1, K, G, h, w]}, to latents {@code [K, G, h, w]}. */
    private Tensor pass(@Nullable Given given, int groups, @Nullable Tensor video, int skipped) {
        int before = stepsDone;
        try (Scope s = Scope.open()) {
            Tensor noise = random.normal(model.latentShape(sampling, groups)).unsqueeze(0);
            Tensor start = video == null ? noise : model.noised(video, noise, skipped, sampling);
            Tensor z = model.denoise(start, captions, sampling, skipped, given, (step, steps, clean) -> {
                stepsDone = before + step;
                return observer.step(stepsDone, stepsInAll, clean);
            });
            return s.keep(z.select(0, 0));
        }
    }

    /** A latent frame is decoded with the one before it in view. */
    private void decode(Tensor latents, @Nullable Tensor context, Consumer<Tensor> frames) {
        try (Scope s = Scope.open()) {
            Tensor z = context == null ? latents : Tensor.cat(1, context, latents);
            Tensor video =
                    model.autoencoder().decode(z.unsqueeze(0)).select(0, 0).clamp(-1, 1);
            int known = context == null ? 0 : model.autoencoder().config().groupFrames();
            frames.accept(video.narrow(1, known, video.size(1) - known));
        }
    }

    private void decodeAll(Tensor latents, @Nullable Tensor before, Consumer<Tensor> frames) {
        @Nullable Tensor context = before;
        for (long from = 0; from < latents.size(1); from += WINDOW) {
            Tensor part = latents.narrow(1, from, Math.min(WINDOW, latents.size(1) - from));
            decode(part, context, frames);
            context = last(part, 1);
        }
    }

    @Override
    public void close() {
        scope.close();
        off.close();
        random.close();
    }
}
