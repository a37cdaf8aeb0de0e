package dev.zoetrope.server;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Embed;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/** Puts texts and pictures of many requests through an embedding model together. */
final class Batcher {
    private static final int TOGETHER = 32;
    private static final long LOOK_MILLIS = 200;

    private final Models models;
    private final Model model;
    private final int most;
    private final LinkedBlockingQueue<Item<String>> texts = new LinkedBlockingQueue<>();
    private final LinkedBlockingQueue<Item<Image>> images = new LinkedBlockingQueue<>();
    private final AtomicBoolean scheduled = new AtomicBoolean();

    private record Item<T>(T input, CompletableFuture<float[]> vector) {}

    /** @param most inputs that may wait */
    Batcher(Models models, Model model, int most) {
        this.models = models;
        this.model = model;
        this.most = most;
    }

    /**
     * The vectors of texts and pictures, in their order.
     *
     * @param inputs {@code String} or {@code Image}
     * @throws ApiError 429 when too many wait
     */
    List<float[]> embed(List<Object> inputs, BooleanSupplier present) {
        if (texts.size() + images.size() + inputs.size() > most) {
            throw ApiError.busy("queue_full", model.id() + " has too many inputs waiting already; try again later", 1);
        }
        List<CompletableFuture<float[]>> all = new ArrayList<>();
        for (Object input : inputs) {
            CompletableFuture<float[]> vector = new CompletableFuture<>();
            all.add(vector);
            if (input instanceof Image image) {
                images.add(new Item<>(image, vector));
            } else {
                texts.add(new Item<>((String) input, vector));
            }
        }
        schedule();
        List<float[]> r = new ArrayList<>();
        for (CompletableFuture<float[]> vector : all) {
            r.add(await(vector, all, present));
        }
        return r;
    }

    private static float[] await(
            CompletableFuture<float[]> vector, List<CompletableFuture<float[]>> all, BooleanSupplier present) {
        try {
            while (true) {
                try {
                    return vector.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
                } catch (TimeoutException e) {
                    if (!present.getAsBoolean()) {
                        all.forEach(v -> v.cancel(false));
                    }
                }
            }
        } catch (InterruptedException e) {
            all.forEach(v -> v.cancel(false));
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted");
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException r ? r : new IllegalStateException(e.getCause());
        }
    }

    private void schedule() {
        if (!texts.isEmpty() || !images.isEmpty()) {
            if (scheduled.compareAndSet(false, true)) {
                try {
                    model.lane().submit(flag -> {
                        drain();
                        return true;
                    });
                } catch (RuntimeException e) {
                    scheduled.set(false);
                    throw e;
                }
            }
        }
    }

    private void drain() {
        try {
            while (!texts.isEmpty() || !images.isEmpty()) {
                together(texts, list -> models.use(model, Embed.class, m -> m.texts(list)));
                together(images, list -> models.use(model, Embed.class, m -> m.images(list)));
            }
        } finally {
            scheduled.set(false);
        }
        schedule(); // what came while this ended
    }

    private static <T> void together(LinkedBlockingQueue<Item<T>> queue, Function<List<T>, float[][]> embed) {
        List<Item<T>> items = new ArrayList<>();
        queue.drainTo(items, TOGETHER);
        items.removeIf(i -> i.vector.isDone()); // nobody waits any more
        if (items.isEmpty()) {
            return;
        }
        try {
            float[][] vectors = embed.apply(items.stream().map(Item::input).toList());
            for (int i = 0; i < vectors.length; i++) {
                items.get(i).vector.complete(vectors[i]);
            }
        } catch (RuntimeException | Error e) {
            items.forEach(i -> i.vector.completeExceptionally(e));
        }
    }
}
