package dev.zoetrope.training.sora;

import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Encoded clips of one bucket. Rendering and encoding a clip costs about as much as a training step on it, so a pool of
 * them is used several times (with other captions and other noise) before the next scenes replace it. What a batch holds
 * follows from its number alone.
 */
public final class LatentPool implements AutoCloseable {
    private static final int ENCODED_AT_ONCE = 32;

    private final World world;
    private final Bucket bucket;
    private final BiFunction<List<Scene>, Tensor, Tensor> encoder;
    private final int size;
    private final int uses;
    private final boolean withStills;
    private long filled = -1;
    private @Nullable Tensor latents; // [size, K, G, h, w]
    private @Nullable Tensor stills; // [size, K, 1, h, w]
    private List<Scene> scenes = List.of();

    /**
     * @param world of scenes of this bucket
     * @param encoder from video {@code [B, 3, T, H, W]} in -1..1 to latents
     * @param size clips in the pool
     * @param uses times that each clip is trained on
     */
    public LatentPool(World world, Bucket bucket, UnaryOperator<Tensor> encoder, int size, int uses) {
        this(world, bucket, encoder, size, uses, false);
    }

    /** @param withStills whether the clips' first pictures are encoded too, standing still */
    public LatentPool(
            World world, Bucket bucket, UnaryOperator<Tensor> encoder, int size, int uses, boolean withStills) {
        this(world, bucket, (scenes, video) -> encoder.apply(video), size, uses, withStills);
    }

    private LatentPool(
            World world,
            Bucket bucket,
            BiFunction<List<Scene>, Tensor, Tensor> encoder,
            int size,
            int uses,
            boolean withStills) {
        this.world = world;
        this.bucket = bucket;
        this.encoder = encoder;
        this.size = size / bucket.batch() * bucket.batch();
        this.uses = uses;
        this.withStills = withStills;
    }

    /**
     * A pool of more than what can be seen.
     *
     * @param encoder from scenes, and their video, to what is kept of them, {@code [B, ...]}
     */
    public static LatentPool ofScenes(
            World world, Bucket bucket, BiFunction<List<Scene>, Tensor, Tensor> encoder, int size, int uses) {
        return new LatentPool(world, bucket, encoder, size, uses, false);
    }

    /**
     * Some clips with what is known of them.
     *
     * @param latents {@code [B, K, G, h, w]}, or as the encoder makes them
     * @param stills of their first pictures, {@code [B, K, 1, h, w]}; null unless the pool has them
     */
    public record Batch(Tensor latents, @Nullable Tensor stills, List<Scene> scenes, long pass) {}

    /** Batch {@code number} of this pool's endless sequence; owned by the innermost scope. Only one thread at a time. */
    public synchronized Batch batch(long number) {
        int perPass = size / bucket.batch();
        long generation = number / ((long) perPass * uses);
        if (generation != filled) {
            fill(generation);
        }
        long pass = number / perPass;
        int[] order = order(pass);
        int from = (int) (number % perPass) * bucket.batch();
        long[] chosen = new long[bucket.batch()];
        List<Scene> named = new ArrayList<>(chosen.length);
        for (int i = 0; i < chosen.length; i++) {
            chosen[i] = order[from + i];
            named.add(scenes.get(order[from + i]));
        }
        try (Scope s = Scope.open()) {
            Tensor rows = Tensor.of(chosen, chosen.length);
            return new Batch(
                    s.keep(java.util.Objects.requireNonNull(latents).indexSelect(0, rows)),
                    stills == null ? null : s.keep(stills.indexSelect(0, rows)),
                    named,
                    pass);
        }
    }

    private int[] order(long pass) {
        int[] order = IntStream.range(0, size).toArray();
        Random random = new Random(pass * 31 + bucket.frames());
        for (int i = size - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            int t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        return order;
    }

    private void fill(long generation) {
        close();
        scenes = IntStream.range(0, size)
                .mapToObj(i -> world.scene(generation * size + i))
                .toList();
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> parts = new ArrayList<>();
            List<Tensor> firsts = new ArrayList<>();
            for (int i = 0; i < size; i += ENCODED_AT_ONCE) {
                try (Scope part = Scope.open()) {
                    List<Scene> some = scenes.subList(i, Math.min(size, i + ENCODED_AT_ONCE));
                    Tensor video = video(some);
                    parts.add(part.keep(encoder.apply(some, video)));
                    if (withStills) {
                        firsts.add(part.keep(encoder.apply(some, video.narrow(2, 0, 1))));
                    }
                }
            }
            latents = Scope.detach(Tensor.cat(0, parts));
            stills = withStills ? Scope.detach(Tensor.cat(0, firsts)) : null;
        }
        filled = generation;
    }

    /** Renders scenes of one size and length, {@code [B, 3, T, H, W]} in -1..1. */
    public static Tensor video(List<Scene> scenes) {
        Scene first = scenes.get(0);
        int bytes = first.bytes();
        byte[] all = new byte[bytes * scenes.size()];
        IntStream.range(0, scenes.size()).parallel().forEach(i -> {
            byte[] one = new byte[bytes];
            scenes.get(i).render(one);
            System.arraycopy(one, 0, all, i * bytes, bytes);
        });
        return VideoTensors.fromBytes(all, scenes.size(), first.frames(), first.height(), first.width());
    }

    @Override
    public void close() {
        if (latents != null) {
            latents.close();
        }
        if (stills != null) {
            stills.close();
        }
        latents = null;
        stills = null;
    }
}
