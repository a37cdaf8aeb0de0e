package dev.zoetrope.server;

import dev.zoetrope.cli.EngineOptions;
import dev.zoetrope.cli.Extension;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The {@code serve} command. */
@Command(
        name = "serve",
        sortOptions = false,
        description = {
            "Serve models over HTTP as OpenAI's clients expect it, with a studio for the browser.",
            "  zoetrope serve",
            "  zoetrope serve --model llava-hf/llava-1.5-7b-hf --model sd=models/stable-diffusion",
            "  zoetrope serve key alice --api-key-file keys.txt",
            "  zoetrope serve --host 0.0.0.0 --api-key-file keys.txt"
        })
public final class Serve implements Runnable {
    /** How the command line finds it. */
    public static final class Found implements Extension {
        @Override
        public Object command() {
            return new Serve();
        }
    }

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--model",
            paramLabel = "[NAME=]DIR|ORG/NAME",
            description = "A model to serve, by folder or name on the hub; several times for several.")
    private List<String> models = List.of();

    @Option(names = "--no-built-in", description = "Leave out the models that come with Zoetrope.")
    private boolean noBuiltIn;

    @Option(names = "--port", defaultValue = "8080", description = "Port (default: ${DEFAULT-VALUE}; 0: any).")
    private int port;

    @Option(
            names = "--host",
            defaultValue = "127.0.0.1",
            description = "Address to listen on (default: this machine only). Others need --api-key-file.")
    private String host;

    @Option(
            names = "--api-key-file",
            paramLabel = "FILE",
            description = "Keys that may ask; only their hashes are in it.")
    private @Nullable Path keys;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            defaultValue = "zoetrope-data",
            description = "Folder of jobs and results (default: ${DEFAULT-VALUE}).")
    private Path data;

    @Option(
            names = "--database",
            paramLabel = "JDBC-URL",
            description = "PostgreSQL for the jobs, which several servers with one --data may share.")
    private @Nullable String database;

    @Option(
            names = "--memory",
            paramLabel = "MIB",
            description = "What the weights of loaded models may take (default: 60 %% of the machine's memory).")
    private @Nullable Long memory;

    @Option(names = "--queue", paramLabel = "N", description = "Requests that may wait for one model (default: 64).")
    private @Nullable Integer queue;

    @Option(names = "--rate", paramLabel = "N", description = "Requests a minute of each key (default: any number).")
    private @Nullable Integer rate;

    @Option(names = "--max-body", paramLabel = "MIB", description = "Largest body of a request (default: 32).")
    private @Nullable Integer body;

    @Option(names = "--time-limit", paramLabel = "SECONDS", description = "What one request may take (default: 900).")
    private @Nullable Integer seconds;

    @Option(names = "--keep", paramLabel = "DAYS", description = "How long results stay (default: 30).")
    private @Nullable Integer days;

    @Option(
            names = "--remote-images",
            description = "Fetch pictures that requests name by https from public addresses (default: refused).")
    private boolean remoteImages;

    @Option(
            names = "--pictures",
            paramLabel = "DIR",
            description = "A folder that the studio searches in and annotates (default: drawn pictures of Carousel).")
    private List<Path> pictures = List.of();

    @Option(
            names = "--session",
            paramLabel = "FILE",
            description = "A session of zoetrope annotate (default: one of each folder of --pictures).")
    private List<Path> sessions = List.of();

    @Option(
            names = "--runs",
            paramLabel = "DIR",
            defaultValue = "runs",
            description = "Folder of the trainings that the studio shows (default: ${DEFAULT-VALUE}).")
    private Path runs;

    @Mixin
    private EngineOptions engine;

    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        Keys known = keys == null ? Keys.none() : Keys.read(keys);
        Server.Settings settings = new Server.Settings(
                host,
                port,
                data,
                database,
                models,
                !noBuiltIn,
                known,
                limits(),
                remoteImages,
                new Server.Shown(pictures, sessions, runs));
        engine.start(spec.commandLine().getErr());
        CountDownLatch end = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        try (Server server = Server.start(settings)) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                end.countDown();
                await(ended);
            }));
            server.served().forEach(line -> out.println("  " + line));
            out.println("Zoetrope serves at " + server.address() + " (studio) and " + server.address()
                    + "/v1 (OpenAI); Ctrl-C stops it");
            out.flush();
            await(end);
        } finally {
            ended.countDown();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Limits limits() {
        Limits l = Limits.standard();
        l = memory == null ? l : l.withMemory(positive(memory, "--memory") << 20);
        l = queue == null ? l : l.withWaiting((int) positive(queue, "--queue"));
        l = rate == null ? l : l.withPerMinute((int) positive(rate, "--rate"));
        l = body == null ? l : l.withBodyBytes((int) Math.min(1 << 30, positive(body, "--max-body") << 20));
        l = seconds == null ? l : l.withTime(Duration.ofSeconds(positive(seconds, "--time-limit")));
        return days == null ? l : l.withKeep(Duration.ofDays(positive(days, "--keep")));
    }

    private static long positive(long value, String name) {
        if (value < 1) {
            throw new UserError(name + " " + value + " is not above 0");
        }
        return value;
    }

    @Command(name = "key", description = "Make a key, print it once, and add its hash to the file.")
    int key(
            @Parameters(paramLabel = "NAME", description = "Whose key it is.") String name,
            @Option(names = "--api-key-file", paramLabel = "FILE", required = true, description = "The file of keys.")
                    Path file) {
        spec.commandLine().getOut().println(Keys.add(file, name));
        return 0;
    }
}
