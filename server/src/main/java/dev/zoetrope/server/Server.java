package dev.zoetrope.server;

import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tensor.UserError;
import io.javalin.Javalin;
import io.javalin.config.JavalinConfig;
import io.javalin.config.RoutesConfig;
import io.javalin.config.SizeUnit;
import io.javalin.http.Context;
import io.javalin.http.HttpResponseException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.ServerConnector;
import org.jspecify.annotations.Nullable;

/**
 * Models over HTTP.
 *
 * <pre>{@code
 * try (var server = Server.start(Server.Settings.local(Path.of("data")))) {
 *     System.out.println(server.address());
 * }
 * }</pre>
 */
public final class Server implements AutoCloseable {
    private static final int IDLE_MILLIS = 30_000;
    private static final int IN_MEMORY = 1 << 20;

    /**
     * How to serve.
     *
     * @param host to listen on; beyond this machine only with keys
     * @param port 0 for any that is free
     * @param data folder of the jobs' database and results
     * @param database of jobs, as JDBC has it; null for one in the data folder
     * @param models folders or names on the hub, with {@code NAME=} in front for another name
     * @param builtIn whether the models that come with Zoetrope are served too
     * @param remoteImages whether pictures are fetched from public https addresses
     * @param shown what the studio shows of this machine
     */
    public record Settings(
            String host,
            int port,
            Path data,
            @Nullable String database,
            List<String> models,
            boolean builtIn,
            Keys keys,
            Limits limits,
            boolean remoteImages,
            Shown shown) {
        public Settings {
            models = List.copyOf(models);
            if (port < 0 || port > 65_535) {
                throw new UserError("--port " + port + " is not between 0 and 65535");
            }
            if (!Guard.isLoopback(host) && !keys.required()) {
                throw new UserError("--host " + host + " lets other machines in, so keys are needed: "
                        + "zoetrope serve key NAME --api-key-file F, then --api-key-file F");
            }
        }

        /** The built-in models on this machine only, on any free port. */
        public static Settings local(Path data) {
            return new Settings(
                    "127.0.0.1", 0, data, null, List.of(), true, Keys.none(), Limits.standard(), false, Shown.SAMPLES);
        }

        public Settings withModels(boolean andBuiltIn, String... names) {
            return new Settings(
                    host, port, data, database, List.of(names), andBuiltIn, keys, limits, remoteImages, shown);
        }

        public Settings withKeys(Keys value) {
            return new Settings(host, port, data, database, models, builtIn, value, limits, remoteImages, shown);
        }

        public Settings withLimits(Limits value) {
            return new Settings(host, port, data, database, models, builtIn, keys, value, remoteImages, shown);
        }
    }

    /**
     * What the studio shows of this machine.
     *
     * @param pictures folders to search in and to annotate; none for pictures of Carousel
     * @param sessions annotation sessions' files; none for one of each folder of pictures
     * @param runs folder of trainings' run folders; null for none
     */
    public record Shown(List<Path> pictures, List<Path> sessions, @Nullable Path runs) {
        /** Pictures of Carousel, and no trainings. */
        public static final Shown SAMPLES = new Shown(List.of(), List.of(), null);

        public Shown {
            pictures = List.copyOf(pictures);
            sessions = List.copyOf(sessions);
        }
    }

    private final Settings settings;
    private final Models models;
    private final Jobs jobs;
    private final Metrics metrics;
    private final Javalin http;

    private Server(Settings settings) {
        this.settings = settings;
        this.models = new Models(settings.models, settings.builtIn, settings.limits);
        Results results = new Results(settings.data.resolve("results"));
        JobStore store =
                settings.database == null ? JobStore.embedded(settings.data) : JobStore.shared(settings.database);
        this.jobs = new Jobs(store, results, models, settings.limits);
        this.metrics = new Metrics(models, jobs);
        this.http = Javalin.create(this::configure);
    }

    /** Starts and returns; the port is open then. */
    public static Server start(Settings settings) {
        Server s = new Server(settings);
        try {
            s.http.start(settings.host, settings.port);
        } catch (RuntimeException e) {
            s.close();
            throw new UserError(
                    "cannot listen on " + settings.host + ":" + settings.port + ": " + e.getMessage()
                            + "; name another port with --port",
                    e);
        }
        s.jobs.start();
        return s;
    }

    /** Where it answers. */
    public String address() {
        String host = settings.host.contains(":") && !settings.host.startsWith("[")
                ? "[" + settings.host + "]"
                : settings.host;
        return "http://" + host + ":" + http.port();
    }

    /** Every route as {@code METHOD /path}. */
    List<String> routes() {
        return http.unsafe.internalRouter.allHttpHandlers().stream()
                .map(h -> h.endpoint)
                .filter(e -> e.method.isHttpMethod())
                .map(e -> e.method + " " + e.path.replace('<', '{').replace('>', '}'))
                .toList();
    }

    /** What is served, a line each. */
    public List<String> served() {
        return models.all().stream()
                .map(m -> m.id() + "  "
                        + String.join(
                                ", ", m.abilities().stream().map(Ability::label).toList()) + "  "
                        + Models.mebibytes(m.bytes()))
                .toList();
    }

    private void configure(JavalinConfig c) {
        c.startup.showJavalinBanner = false;
        c.startup.showOldJavalinVersionWarning = false;
        c.concurrency.useVirtualThreads = Runtime.version().feature() >= 21;
        c.http.prefer405over404 = true;
        c.http.maxRequestSize = settings.limits.bodyBytes();
        c.http.defaultContentType = "application/json";
        c.jetty.multipartConfig.maxFileSize(settings.limits.bodyBytes(), SizeUnit.BYTES);
        c.jetty.multipartConfig.maxTotalRequestSize(settings.limits.bodyBytes(), SizeUnit.BYTES);
        c.jetty.multipartConfig.maxInMemoryFileSize(IN_MEMORY, SizeUnit.BYTES);
        c.jetty.modifyHttpConfiguration(Server::harden);
        c.jetty.modifyServer(s -> {
            s.setStopTimeout(5000);
            for (var connector : s.getConnectors()) {
                if (connector instanceof ServerConnector sc) {
                    sc.setIdleTimeout(IDLE_MILLIS);
                }
            }
        });
        routes(c.routes);
    }

    private static void harden(HttpConfiguration h) {
        h.setSendServerVersion(false);
        h.setSendXPoweredBy(false);
        h.setSendDateHeader(true);
        h.setRequestHeaderSize(16 << 10);
    }

    private void routes(RoutesConfig r) {
        boolean loopback = Guard.isLoopback(settings.host);
        Guard guard = new Guard(settings.keys, new Rates(settings.limits.perMinute()), loopback);
        Inputs inputs = new Inputs(
                settings.limits, settings.remoteImages ? new RemoteImages(settings.limits.bodyBytes()) : null);
        r.before(ctx -> {
            Metrics.begin(ctx);
            Guard.headers(ctx);
            guard.origin(ctx);
        });
        r.before("/v1/*", guard::key);
        r.before("/metrics", guard::key);
        r.before("/studio/api/*", guard::key);
        r.after(metrics::end);

        r.get("/healthz", ctx -> ctx.contentType("text/plain").result("ok"));
        r.get("/readyz", this::ready);
        r.get("/metrics", metrics::scrape);
        byte[] document = resource("openapi.json");
        r.get("/openapi.json", ctx -> ctx.contentType("application/json").result(document));

        ModelsApi list = new ModelsApi(models);
        r.get("/v1/models", list::list);
        r.get("/v1/models/<id>", list::one);
        ChatApi chat = new ChatApi(models, inputs);
        r.post("/v1/chat/completions", chat::complete);
        EmbeddingsApi embeddings = new EmbeddingsApi(models, inputs);
        r.post("/v1/embeddings", embeddings::embed);
        ImagesApi images = new ImagesApi(models, inputs, settings.limits);
        r.post("/v1/images/generations", images::generate);
        r.post("/v1/images/edits", images::edit);
        VideosApi videos = new VideosApi(models, jobs, inputs, settings.limits);
        r.post("/v1/videos", videos::create);
        r.get("/v1/videos", videos::list);
        r.get("/v1/videos/{id}", videos::one);
        r.delete("/v1/videos/{id}", videos::delete);
        r.get("/v1/videos/{id}/content", videos::content);
        r.post("/v1/videos/{id}/remix", videos::remix);
        r.post("/v1/videos/{id}/cancel", videos::cancel);
        SeeingApi seeing = new SeeingApi(models, inputs);
        r.post("/v1/classify", seeing::classify);
        r.post("/v1/segment", seeing::segment);

        studio(r, guard, inputs);

        r.exception(Exception.class, Server::failed);
        r.exception(HttpResponseException.class, Server::failed);
        r.error(404, ctx -> unknown(ctx, 404));
        r.error(405, ctx -> unknown(ctx, 405));
    }

    private void studio(RoutesConfig r, Guard guard, Inputs inputs) {
        StudioFiles files = new StudioFiles();
        r.get("/", files::index);
        r.get("/studio/files/{file}", files::file);
        r.post("/studio/login", ctx -> {
            guard.login(ctx, inputs.body(ctx).require("key"));
            Answers.json(ctx, Map.of("ok", true));
        });
        StudioApi studio = new StudioApi(models, jobs, inputs, settings.limits);
        r.post("/studio/api/jobs", studio::create);
        r.get("/studio/api/jobs", studio::list);
        r.get("/studio/api/jobs/{id}/events", studio::events);

        List<Path> folders = settings.shown.pictures;
        if (folders.isEmpty()) {
            Path samples = settings.data.resolve("carousel");
            Samples.draw(samples);
            folders = List.of(samples);
        }
        Pictures pictures = new Pictures(folders);
        SearchApi search = new SearchApi(models, pictures, inputs, settings.data.resolve("search"));
        r.get("/studio/api/folders", search::folders);
        r.get("/studio/api/folders/{folder}", search::browse);
        r.get("/studio/api/folders/{folder}/{id}", search::picture);
        r.post("/studio/api/folders/{folder}/search", search::find);

        AnnotateApi annotate = new AnnotateApi(models, inputs, sessions(pictures));
        r.get("/studio/api/sessions", annotate::sessions);
        r.get("/studio/api/sessions/{session}", annotate::items);
        r.get("/studio/api/sessions/{session}/export", annotate::export);
        r.get("/studio/api/sessions/{session}/{number}", annotate::open);
        r.get("/studio/api/sessions/{session}/{number}/picture", annotate::picture);
        r.post("/studio/api/sessions/{session}/{number}/hover", annotate::hover);
        r.post("/studio/api/sessions/{session}/{number}", annotate::act);

        RunsApi runs = new RunsApi(settings.shown.runs);
        r.get("/studio/api/runs", runs::list);
        r.get("/studio/api/runs/{run}", runs::curves);
        r.get("/studio/api/runs/{run}/{name}", runs::sample);
    }

    private List<AnnotationSession> sessions(Pictures pictures) {
        List<AnnotationSession> all = new ArrayList<>();
        settings.shown.sessions.forEach(f -> all.add(AnnotationSession.open(f)));
        if (all.isEmpty()) {
            for (Pictures.Folder f : pictures.all()) {
                Path file = settings.data.resolve("sessions").resolve(f.name() + ".json");
                List<Path> files = List.copyOf(f.files().values());
                if (Files.exists(file)) {
                    AnnotationSession s = AnnotationSession.open(file);
                    s.add(files);
                    all.add(s);
                } else {
                    all.add(AnnotationSession.create(file, files));
                }
            }
        }
        return all;
    }

    private static void failed(Exception e, Context ctx) {
        if (!(e instanceof UncheckedIOException)) { // else the client has left
            Answers.error(ctx, Failures.of(e, ctx.req().getMethod() + " " + ctx.path()));
        }
    }

    private static void unknown(Context ctx, int status) {
        if (!Answers.isAnswered(ctx)) {
            String what = ctx.req().getMethod() + " " + shown(ctx.path());
            Answers.error(ctx, ApiError.of(status, "there is no " + what + " here"));
        }
    }

    private static String shown(String path) {
        return path.substring(0, Math.min(200, path.length()));
    }

    private void ready(Context ctx) {
        boolean ready = jobs.databaseAnswers();
        ctx.status(ready ? 200 : 503);
        Answers.json(ctx, Map.of("database", ready, "models", models.all().size()));
    }

    static byte[] resource(String name) {
        try (@Nullable InputStream in = Server.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is not in the jar");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String text(String name) {
        return new String(resource(name), StandardCharsets.UTF_8);
    }

    /** Takes no more requests, stops what runs after its step, and frees everything. */
    @Override
    public void close() {
        try {
            http.stop();
        } finally {
            jobs.close();
            models.close();
        }
    }
}
