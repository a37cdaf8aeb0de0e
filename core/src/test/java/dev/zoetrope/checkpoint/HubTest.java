package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HubTest {
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

    @TempDir
    Path dir;

    /** A hub on this machine, with the misbehaviours that were seen in the field. */
    private final class Server implements AutoCloseable {
        final HttpServer http;
        final Map<String, byte[]> files = new TreeMap<>();
        final List<String> requests = new CopyOnWriteArrayList<>();
        final List<String> tokensElsewhere = new CopyOnWriteArrayList<>();
        volatile boolean ignoresRange;
        volatile int cutAfter = Integer.MAX_VALUE;
        volatile boolean corrupts;
        volatile String redirectTo = "";

        Server() throws IOException {
            http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            http.createContext("/api/models/org/name/revision/main", x -> {
                requests.add("list");
                String siblings = files.keySet().stream()
                        .map(f -> "{\"rfilename\":\"" + f.replace("\\", "\\\\") + "\"}")
                        .collect(Collectors.joining(","));
                answer(
                        x,
                        200,
                        ("{\"sha\":\"" + COMMIT + "\",\"siblings\":[" + siblings + "]}")
                                .getBytes(StandardCharsets.UTF_8));
            });
            http.createContext("/org/name/resolve/" + COMMIT + "/", this::resolve);
            http.createContext("/cdn/", x -> {
                tokensElsewhere.addAll(x.getRequestHeaders().getOrDefault("Authorization", List.of()));
                send(x, files.get(x.getRequestURI().getPath().substring("/cdn/".length())));
            });
            http.createContext("/", x -> answer(x, 404, new byte[0]));
            http.start();
        }

        private void resolve(HttpExchange x) throws IOException {
            String file = x.getRequestURI().getPath().substring(("/org/name/resolve/" + COMMIT + "/").length());
            byte[] content = files.get(file);
            requests.add(x.getRequestMethod() + " " + file + " "
                    + x.getRequestHeaders().getOrDefault("Range", List.of("")).get(0));
            x.getResponseHeaders().add("X-Repo-Commit", COMMIT);
            boolean large = file.endsWith(".safetensors");
            x.getResponseHeaders().add(large ? "X-Linked-Etag" : "ETag", '"' + etag(content, large) + '"');
            if (large) {
                x.getResponseHeaders().add("X-Linked-Size", Integer.toString(content.length));
                x.getResponseHeaders()
                        .add(
                                "Location",
                                redirectTo.isEmpty() ? "http://localhost:" + port() + "/cdn/" + file : redirectTo);
                answer(x, 302, new byte[0]);
            } else if (x.getRequestMethod().equals("HEAD")) {
                x.getResponseHeaders().add("Content-Length", Integer.toString(content.length));
                x.sendResponseHeaders(200, -1);
                x.close();
            } else {
                send(x, content);
            }
        }

        private void send(HttpExchange x, byte[] content) throws IOException {
            byte[] sent = content.clone();
            if (corrupts) {
                sent[sent.length / 2] ^= 1;
            }
            String range =
                    x.getRequestHeaders().getOrDefault("Range", List.of("")).get(0);
            int from = 0;
            if (!range.isEmpty() && !ignoresRange) {
                from = Integer.parseInt(range.replaceAll("\\D", ""));
                x.getResponseHeaders()
                        .add("Content-Range", "bytes " + from + "-" + (sent.length - 1) + "/" + sent.length);
            }
            requests.add("body from " + from);
            x.sendResponseHeaders(from > 0 ? 206 : 200, sent.length - from);
            int end = (int) Math.min(sent.length, (long) from + cutAfter);
            x.getResponseBody().write(sent, from, end - from);
            x.close(); // before the announced end where it is cut
        }

        private void answer(HttpExchange x, int status, byte[] body) throws IOException {
            x.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
            x.getResponseBody().write(body);
            x.close();
        }

        int port() {
            return http.getAddress().getPort();
        }

        @Override
        public void close() {
            http.stop(0);
        }
    }

    private Server server;
    private byte[] weights;

    @BeforeEach
    void start() throws IOException {
        server = new Server();
        weights = new byte[300_000];
        new Random(1).nextBytes(weights);
        server.files.put("config.json", "{}".getBytes(StandardCharsets.UTF_8));
        server.files.put("model.safetensors", weights);
        server.files.put("pytorch_model.bin", new byte[10]);
        server.files.put("text/merges.txt", "a b".getBytes(StandardCharsets.UTF_8));
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private Hub hub(boolean offline) {
        URI endpoint = URI.create("http://127.0.0.1:" + server.port());
        return new Hub(new Hub.Settings(dir, endpoint, "secret", offline, true), (file, done, total) -> {});
    }

    @Test
    void downloadsIntoTheSharedLayoutAndThenStaysOffTheNetwork() throws Exception {
        Path folder = hub(false).resolve("org/name");
        Path repository = dir.resolve("models--org--name");
        assertThat(folder).isEqualTo(repository.resolve("snapshots/" + COMMIT));
        assertThat(folder.resolve("model.safetensors")).isSymbolicLink().hasBinaryContent(weights);
        assertThat(Files.readSymbolicLink(folder.resolve("model.safetensors")))
                .isEqualTo(Path.of("../../blobs/" + etag(weights, true)));
        assertThat(Files.readSymbolicLink(folder.resolve("text/merges.txt")).startsWith("../../../blobs"))
                .isTrue();
        assertThat(repository.resolve("refs/main")).hasContent(COMMIT);
        assertThat(folder.resolve("pytorch_model.bin")).doesNotExist(); // the same weights again
        assertThat(server.tokensElsewhere).isEmpty();

        server.requests.clear();
        assertThat(hub(false).resolve("org/name", "main", "*.json", "model.safetensors"))
                .isEqualTo(folder);
        assertThat(hub(true).resolve("org/name", COMMIT)).isEqualTo(folder);
        assertThat(server.requests).isEmpty();
        hub(false).update("org/name", "main");
        assertThat(server.requests).containsExactly("list");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aCutDownloadGoesOnWhereItStopped(boolean ignoresRange) throws Exception {
        server.ignoresRange = ignoresRange;
        Path blobs = Files.createDirectories(dir.resolve("models--org--name/blobs"));
        Path incomplete = blobs.resolve(etag(weights, true) + ".incomplete");
        Files.write(incomplete, Arrays.copyOf(weights, 100_000));
        Path folder = hub(false).resolve("org/name", "main", "model.safetensors");
        assertThat(folder.resolve("model.safetensors")).hasBinaryContent(weights);
        assertThat(server.requests).contains("body from " + (ignoresRange ? 0 : 100_000));
        assertThat(incomplete).doesNotExist();
    }

    @Test
    void brokenConnectionsAreTakenUpAgain() throws Exception {
        server.cutAfter = 80_000;
        Path folder = hub(false).resolve("org/name", "main", "model.safetensors");
        assertThat(folder.resolve("model.safetensors")).hasBinaryContent(weights);
    }

    @Test
    void aServerThatNeverFinishesIsReportedAndNothingAppears() {
        server.cutAfter = 1000;
        assertThatThrownBy(() -> hub(false).resolve("org/name", "main", "model.safetensors"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("org/name: model.safetensors: cannot download from http://127.0.0.1");
        assertThat(dir.resolve("models--org--name/snapshots")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"model.safetensors", "config.json"})
    void contentThatDoesNotHaveItsHashIsRefused(String file) throws IOException {
        server.corrupts = true;
        assertThatThrownBy(() -> hub(false).resolve("org/name", "main", file))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("does not have the hash");
        try (Stream<Path> blobs = Files.list(dir.resolve("models--org--name/blobs"))) {
            assertThat(blobs).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../../evil.json",
                "/etc/evil.json",
                "a/../../evil.json",
                "a\\..\\evil.json",
                "C:evil.json",
                "a//b"
            })
    void namesThatLeaveTheFolderAreRefused(String name) {
        server.files.put(name, new byte[1]);
        assertThatThrownBy(() -> hub(false).resolve("org/name"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("would leave its folder");
        assertThat(server.requests).containsExactly("list");
    }

    @Test
    void redirectsToOtherSchemesAreRefused() {
        server.redirectTo = "file:///etc/passwd";
        assertThatThrownBy(() -> hub(false).resolve("org/name", "main", "model.safetensors"))
                .isInstanceOf(UserError.class);
    }

    @Test
    void messagesSayWhatIsMissingAndWhatToDo() {
        assertThatThrownBy(() -> hub(true).resolve("org/name"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("org/name (main)")
                .hasMessageContaining("HF_HUB_OFFLINE");
        assertThatThrownBy(() -> hub(false).resolve("org/name", "main", "vocab.json"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("has no file vocab.json; it has [config.json");
        assertThatThrownBy(() -> hub(false).resolve("org/other"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("org/other (main): not found");
        for (String name : new String[] {"../x", "a/b/c", "a b", "", "org/..", "./none"}) {
            assertThatThrownBy(() -> hub(false).resolve(name))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("there is no such folder");
        }
        assertThatThrownBy(() -> hub(false).resolve("org/name", "../main")).hasMessageContaining("is not a revision");
    }

    @Test
    void anUnreachableServerLeavesWhatOtherToolsCached() throws IOException {
        Path snapshot = Files.createDirectories(dir.resolve("models--org--name/snapshots/" + COMMIT));
        Files.writeString(snapshot.resolve("config.json"), "{}");
        Files.writeString(
                Files.createDirectories(dir.resolve("models--org--name/refs")).resolve("main"), COMMIT);
        server.close();
        assertThat(hub(false).resolve("org/name", "main", "config.json")).isEqualTo(snapshot);
        assertThat(hub(true).resolve("org/name")).isEqualTo(snapshot);
        assertThatThrownBy(() -> hub(false).resolve("org/name", "main", "vocab.json"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("cannot download from");
    }

    @Test
    void aPipelineBringsOneSetOfWeightsAFolder() throws Exception {
        server.files.clear();
        for (String f : new String[] {
            "model_index.json",
            "v1-5-pruned.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.bin",
            "safety_checker/pytorch_model.bin",
            "README.md"
        }) {
            server.files.put(f, f.getBytes(StandardCharsets.UTF_8));
        }
        Path folder = hub(false).resolve("org/name");
        try (Stream<Path> walk = Files.walk(folder)) {
            assertThat(walk.filter(Files::isRegularFile)
                            .map(f -> folder.relativize(f).toString()))
                    .containsExactlyInAnyOrder(
                            "model_index.json",
                            "unet/diffusion_pytorch_model.safetensors",
                            "safety_checker/pytorch_model.bin");
        }
    }

    @Test
    void severalThreadsShareOneDownload() {
        Hub hub = hub(false);
        assertThat(IntStream.range(0, 4)
                        .parallel()
                        .mapToObj(i -> hub.resolve("org/name", "main", "model.safetensors"))
                        .distinct())
                .hasSize(1);
        assertThat(server.requests.stream().filter(r -> r.startsWith("body"))).hasSize(1);
    }

    @Test
    void aFolderIsItself() throws IOException {
        Files.writeString(dir.resolve("config.json"), "{}");
        assertThat(hub(true).resolve(dir.toString(), "main", "config.json")).isEqualTo(dir);
        assertThatThrownBy(() -> hub(true).resolve(dir.toString(), "main", "vocab.json"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("vocab.json is missing");
    }

    @Test
    void theEnvironmentIsReadAsTheFieldDoes() throws IOException {
        Path home = Path.of(System.getProperty("user.home"));
        assertThat(Hub.Settings.of(Map.of()).cache()).isEqualTo(home.resolve(".cache/huggingface/hub"));
        assertThat(Hub.Settings.of(Map.of("XDG_CACHE_HOME", "/x")).cache()).isEqualTo(Path.of("/x/huggingface/hub"));
        assertThat(Hub.Settings.of(Map.of("HF_HOME", "~/h")).cache()).isEqualTo(home.resolve("h/hub"));
        assertThat(Hub.Settings.of(Map.of("HF_HOME", "/h", "HF_HUB_CACHE", "/c"))
                        .cache())
                .isEqualTo(Path.of("/c"));
        Files.writeString(dir.resolve("token"), " abc\n");
        Hub.Settings s = Hub.Settings.of(
                Map.of("HF_HOME", dir.toString(), "HF_ENDPOINT", "https://mirror/", "HF_HUB_OFFLINE", "YES"));
        assertThat(s.token()).isEqualTo("abc");
        assertThat(s.endpoint()).isEqualTo(URI.create("https://mirror"));
        assertThat(s.offline()).isTrue();
        assertThat(s.toString()).doesNotContain("abc");
        assertThatThrownBy(() -> Hub.Settings.of(Map.of("HF_ENDPOINT", "ftp://x")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("HF_ENDPOINT ftp://x");
    }

    private static String etag(byte[] content, boolean large) {
        try {
            MessageDigest d = MessageDigest.getInstance(large ? "SHA-256" : "SHA-1");
            if (!large) {
                d.update(("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII));
            }
            return HexFormat.of().formatHex(d.digest(content));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
