package dev.zoetrope.server;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.ContactSheet;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.server.Job.Kind;
import dev.zoetrope.server.Job.Status;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Makes what jobs ask for, one job of a model at a time, the oldest first. */
final class Jobs implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Jobs.class.getName());
    /** How long a worker that is gone keeps its job from others. */
    private static final long LEASE_MILLIS = 20_000;
    /** How often a worker looks for jobs of which nobody tells it: those of other servers. */
    private static final long LOOK_MILLIS = 1000;

    private static final long RENEW_NANOS = 2_000_000_000L;
    private static final long SWEEP_MILLIS = 60_000;

    private final JobStore store;
    private final Results results;
    private final Models models;
    private final Limits limits;
    private final Map<String, Live> live = new ConcurrentHashMap<>();
    private final Map<Model, Semaphore> bells = new ConcurrentHashMap<>();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean closing;

    Jobs(JobStore store, Results results, Models models, Limits limits) {
        this.store = store;
        this.results = results;
        this.models = models;
        this.limits = limits;
    }

    void start() {
        for (Model m : models.all()) {
            if (m.abilities().contains(Ability.VIDEO) || m.abilities().contains(Ability.IMAGE)) {
                begin("jobs-" + m.id(), () -> work(m));
            }
        }
        begin("jobs-expiry", this::sweep);
    }

    private void begin(String name, Runnable work) {
        Thread t = new Thread(work, name);
        t.setDaemon(true);
        t.start();
        threads.add(t);
    }

    /**
     * Puts a job into the queue. The model is asked at once whether it can make it.
     *
     * @param input the picture to start from; null for none
     * @param source the job that it came from; null for none
     * @throws UserError for what the model cannot make
     * @throws ApiError 429 when too many jobs wait
     */
    Job add(Kind kind, Model model, Wish wish, @Nullable Image input, @Nullable String source, String owner) {
        if (store.open() >= limits.jobs()) {
            throw ApiError.busy("queue_full", limits.jobs() + " jobs are waiting already; try again later", 10);
        }
        Wish filled = filled(kind, model, wish, input);
        long now = System.currentTimeMillis();
        String id = Results.newId(kind);
        Job job = new Job(
                id,
                kind,
                owner,
                model.id(),
                Status.QUEUED,
                0,
                Answers.text(filled.json()),
                source,
                now,
                0,
                now + limits.keep().toMillis(),
                null);
        if (input != null) {
            Images.write(input, results.input(id));
        }
        store.add(job);
        bell(model).release();
        return job;
    }

    private Wish filled(Kind kind, Model model, Wish wish, @Nullable Image input) {
        if (model.abilities().contains(Ability.VIDEO)) {
            return models.use(
                    model,
                    TextToVideo.class,
                    m -> kind == Kind.VIDEO
                            ? wish.filled(wish.request(m, input, limits))
                            : wish.filled(
                                    input == null
                                            ? wish.withFrames(1).request(m, null, limits)
                                            : wish.edit(m, input, limits)));
        }
        return models.use(model, TextToImage.class, m -> wish.filled(wish.request(m, input != null)));
    }

    Optional<Job> find(String id) {
        return Results.isId(id) ? store.find(id) : Optional.empty();
    }

    List<Job> of(String owner, @Nullable Kind kind, @Nullable Job before, int limit) {
        return store.of(owner, kind, before, limit);
    }

    /** What is known of a job that runs here; null for others. */
    @Nullable
    Live live(String id) {
        return live.get(id);
    }

    /** How many jobs are not over. */
    int open() {
        return store.open();
    }

    boolean databaseAnswers() {
        return store.answers();
    }

    Results results() {
        return results;
    }

    /** Stops a job that is not over; its worker sees it at its next step. */
    void cancel(String id) {
        store.end(id, Status.CANCELLED, null, System.currentTimeMillis(), expiry());
    }

    /** Takes a job and all of its files away. */
    void delete(String id) {
        cancel(id);
        store.delete(id);
        results.delete(id);
    }

    private long expiry() {
        return System.currentTimeMillis() + limits.keep().toMillis();
    }

    /** Rings when a job comes. */
    private Semaphore bell(Model model) {
        return bells.computeIfAbsent(model, m -> new Semaphore(0));
    }

    private static long lease() {
        return System.currentTimeMillis() + LEASE_MILLIS;
    }

    private void work(Model model) {
        while (!closing) {
            try {
                Optional<Job> job = store.take(model.id(), System.currentTimeMillis(), lease());
                if (job.isPresent()) {
                    run(job.get(), model);
                } else {
                    if (bell(model).tryAcquire(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                        bell(model).drainPermits();
                    }
                }
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                if (!closing) {
                    LOG.log(System.Logger.Level.ERROR, "jobs of " + model.id() + ": " + e.getMessage(), e);
                    sleep();
                }
            }
        }
    }

    private void sleep() {
        try {
            Thread.sleep(LOOK_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            closing = true;
        }
    }

    private void run(Job job, Model model) {
        Live watched = new Live();
        live.put(job.id(), watched);
        long[] renewed = {System.nanoTime()};
        try {
            Lane.Ticket<Boolean> ticket = model.lane().submit(flag -> {
                make(job, model, flag, watched);
                return true;
            });
            ticket.await(() -> {
                if (System.nanoTime() - renewed[0] > RENEW_NANOS || ticket.done()) {
                    renewed[0] = System.nanoTime();
                    Live.State s = watched.state();
                    return !closing && store.progress(job.id(), percent(s), lease());
                }
                return !closing;
            });
            store.end(job.id(), Status.COMPLETED, null, System.currentTimeMillis(), expiry());
        } catch (CancellationException e) {
            if (closing) {
                store.giveBack(job.id());
            }
        } catch (ApiError e) {
            if (e.status() == 429 || (e.status() == 503 && e.retryAfter() > 0)) { // the model is busy: later
                store.giveBack(job.id());
                sleep();
            } else {
                fail(job, e.text());
            }
        } catch (UserError e) {
            fail(job, String.valueOf(e.getMessage()));
        } catch (RuntimeException | OutOfMemoryError e) {
            LOG.log(System.Logger.Level.ERROR, "job " + job.id() + " failed", e);
            fail(job, "the server failed at this job; its log says why");
        } finally {
            watched.end();
            live.remove(job.id());
        }
    }

    private void fail(Job job, String why) {
        store.end(job.id(), Status.FAILED, why, System.currentTimeMillis(), expiry());
    }

    private static int percent(Live.State s) {
        return s.steps() == 0 ? 0 : Math.min(99, 100 * s.step() / s.steps());
    }

    private void make(Job job, Model model, Lane.Flag flag, Live watched) {
        Wish wish = Wish.ofJson(job.settings());
        @Nullable
        Image input =
                results.existing(results.input(job.id())).map(Images::read).orElse(null);
        ImageListener listener = (step, steps, preview) -> {
            show(watched, step, steps, preview);
            return flag.wanted();
        };
        if (model.abilities().contains(Ability.VIDEO)) {
            models.use(model, TextToVideo.class, m -> {
                TextToVideo.Request r = job.kind() == Kind.IMAGE && input != null
                        ? wish.edit(m, input, limits)
                        : wish.request(m, input, limits);
                keep(job, m.watch(r, listener));
                return true;
            });
        } else {
            models.use(model, TextToImage.class, m -> {
                ImageRequest r = wish.request(m, input != null);
                GeneratedImage made = input == null
                        ? m.generate(r, listener).get(0)
                        : m.forPictures()
                                .generate(input, wish.strength(), r, listener)
                                .get(0);
                made.save(results.made(job));
                thumbnail(job, made.image());
                return true;
            });
        }
    }

    private static void show(Live watched, int step, int steps, Supplier<List<Image>> preview) {
        List<Image> frames = watched.watched() && step < steps ? preview.get() : List.of();
        watched.step(step, steps, frames.isEmpty() ? null : Images.png(strip(frames), Map.of()), frames.size());
    }

    private static Image strip(List<Image> frames) {
        return Image.sheet(frames, frames.size());
    }

    private void keep(Job job, GeneratedVideo made) {
        List<Image> frames = made.clip().frames();
        if (job.kind() == Kind.IMAGE) {
            Images.write(frames.get(0), results.made(job), made.settings());
        } else {
            Clips.write(made.clip(), results.made(job), made.settings());
            Image sheet = ContactSheet.of(frames);
            AtomicFile.write(results.sheet(job), out -> out.write(Images.jpeg(sheet, 90)));
        }
        thumbnail(job, frames.get(frames.size() / 2));
    }

    private void thumbnail(Job job, Image image) {
        AtomicFile.write(results.thumbnail(job), out -> out.write(Images.jpeg(image, 90)));
    }

    private void sweep() {
        while (!closing) {
            try {
                for (Job j : store.expired(System.currentTimeMillis())) {
                    results.delete(j.id());
                    store.delete(j.id());
                }
                Thread.sleep(SWEEP_MILLIS);
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                LOG.log(System.Logger.Level.WARNING, "expired results stay: " + e.getMessage());
                sleep();
            }
        }
    }

    /** Stops after the step at hand; jobs that ran start again at the next start. */
    @Override
    public void close() {
        closing = true;
        bells.values().forEach(Semaphore::release);
        for (Thread t : threads) {
            try {
                if (t.getName().equals("jobs-expiry")) {
                    t.interrupt();
                }
                t.join(30_000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        store.close();
    }
}
