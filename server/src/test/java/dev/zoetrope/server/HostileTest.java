package dev.zoetrope.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.server.Fixture.Answer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpRequest;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What strangers send: the right status, no stack, and the server stays up. */
class HostileTest {
    private static final int FUZZED = Integer.getInteger("zoetrope.fuzz", 300);
    private static final String[] PATHS = {
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/videos",
        "/v1/classify",
        "/v1/segment",
        "/studio/api/jobs"
    };

    @TempDir
    private static Path folder;

    private static Fixture server;
    private static String key;

    @BeforeAll
    static void start() {
        Path file = folder.resolve("keys.txt");
        key = Keys.add(file, "alice");
        server = new Fixture(Fixture.settings(folder.resolve("data"))
                .withKeys(Keys.read(file))
                .withLimits(Limits.standard().withBodyBytes(1 << 20).withPixels(100_000)));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @AfterEach
    void itStaysUp() {
        assertThat(server.get("/healthz").status()).isEqualTo(200);
    }

    private static Answer post(String path, String body) {
        return server.post(path, body, "Authorization", "Bearer " + key);
    }

    private static void refused(Answer a, int status) {
        assertThat(a.status()).as(a.body()).isEqualTo(status);
        assertThat(a.message()).isNotBlank();
        assertThat(a.body()).doesNotContain("\tat ", "Exception", "dev.zoetrope", ".java");
    }

    @Test
    void keysAreAskedForAndOnlyTheirHashesAreKept() throws IOException {
        refused(server.get("/v1/models"), 401);
        refused(server.get("/v1/models", "Authorization", "Bearer zt-wrong"), 401);
        refused(server.get("/studio/api/jobs", "Cookie", "zoetrope=forged"), 401);
        assertThat(server.get("/v1/models", "Authorization", "Bearer " + key).status())
                .isEqualTo(200);
        assertThat(Files.readString(folder.resolve("keys.txt")))
                .startsWith("alice ")
                .doesNotContain(key);
        Answer login = server.post("/studio/login", Map.of("key", key));
        String cookie = login.headers().firstValue("Set-Cookie").orElseThrow();
        assertThat(cookie).contains("HttpOnly").contains("SameSite=Strict");
        assertThat(server.get("/v1/models", "Cookie", cookie.substring(0, cookie.indexOf(';')))
                        .status())
                .isEqualTo(200);
    }

    @Test
    void pagesOfOtherSitesAndForeignNamesAreTurnedAway() throws IOException {
        refused(server.post("/v1/embeddings", "{}", "Origin", "https://evil.example"), 403);
        String answer = raw("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assertThat(answer).startsWith("HTTP/1.1 403").contains("Content-Security-Policy");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "[]",
                "null",
                "\"text\"",
                "{\"prompt\":",
                "{\"a\":1,\"a\":2}",
                "{\"prompt\": {\"$ne\": 1}}",
                "{\"messages\": [1, 2]}",
                "{\"input\": [[1]]}",
                "{\"prompt\": \"\\ud800\", \"size\": \"99999x99999\"}",
                "{\"prompt\": \"a\", \"steps\": -1}",
                "{\"prompt\": \"a\", \"fps\": NaN}",
                "{\"prompt\": \"a\", \"seconds\": \"Infinity\"}"
            })
    void badBodiesAreRefused(String body) {
        for (String path : PATHS) {
            Answer a = post(path, body);
            assertThat(a.status()).as(path + " " + body + " -> " + a.body()).isBetween(400, 404);
            assertThat(a.body()).doesNotContain("Exception", "\tat ");
        }
    }

    /** Bodies that were good once: keys gone, values of other kinds, texts cut. */
    @Test
    void mutatedBodiesNeverBreakIt() {
        Random random = new Random(7);
        List<Object> values =
                List.of("", "x", -1, 0, 1, 1e308, true, List.of(), Map.of(), List.of(Map.of()), "data:,", "\u0000");
        Map<String, Object> good = new LinkedHashMap<>();
        good.put("model", "clip");
        good.put("input", "a dog");
        good.put("image", Fixture.picture());
        good.put("labels", List.of("cat", "dog"));
        good.put("points", List.of(List.of(1, 1, 1)));
        good.put("box", List.of(1, 1, 9, 9));
        good.put("messages", List.of(Map.of("role", "user", "content", "hi")));
        good.put("max_tokens", 1);
        good.put("size", "auto");
        good.put("encoding_format", "float");
        good.put("response_format", Map.of("type", "text"));
        for (int i = 0; i < FUZZED; i++) {
            Map<String, Object> body = new LinkedHashMap<>(good);
            List<String> keys = new ArrayList<>(good.keySet());
            for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
                body.put(keys.get(random.nextInt(keys.size())), values.get(random.nextInt(values.size())));
            }
            String text = Answers.text(body);
            if (random.nextInt(4) == 0) {
                text = text.substring(0, random.nextInt(text.length()));
            }
            Answer a = post(PATHS[random.nextInt(PATHS.length)], text);
            assertThat(a.status()).as(text + " -> " + a.body()).isIn(200, 400, 404, 413, 429);
            assertThat(a.body()).doesNotContain("Exception", "\tat ");
        }
    }

    @Test
    void picturesThatAreNoneOrTooLargeAreRefusedBeforeTheyAreDecoded() {
        refused(post("/v1/classify", "{\"image\": \"%%%\"}"), 400);
        refused(post("/v1/classify", "{\"image\": \"data:image/png;base64,AAAA\"}"), 400);
        refused(post("/v1/classify", "{\"image\": \"file:///etc/passwd\"}"), 400);
        byte[] bomb = Images.png(Image.filled(8, 8, 0), Map.of());
        ByteBuffer.wrap(bomb).putInt(16, 40_000).putInt(20, 40_000);
        Answer a = post("/v1/classify", "{\"image\": \"" + Base64.getEncoder().encodeToString(bomb) + "\"}");
        refused(a, 400);
    }

    @Test
    void largeBodiesAreRefusedWhileTheyCome() throws IOException {
        refused(post("/v1/embeddings", "{\"input\": \"" + "x".repeat(2 << 20) + "\"}"), 413);
        byte[] chunk = new byte[1 << 16];
        HttpRequest endless = server.request("/v1/embeddings", "Authorization", "Bearer " + key)
                .POST(HttpRequest.BodyPublishers.ofInputStream(() -> new java.io.InputStream() {
                    private int left = 1 << 10;

                    @Override
                    public int read() {
                        return left > 0 ? 'x' : -1;
                    }

                    @Override
                    public int read(byte[] to, int from, int n) {
                        int k = Math.min(n, chunk.length);
                        return left-- > 0 ? k : -1;
                    }
                }))
                .build();
        try {
            refused(Fixture.send(endless), 413);
        } catch (AssertionError e) {
            assertThat(e.getCause()).isInstanceOf(IOException.class); // closed in the middle is as good
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/v1/videos/..%2f..%2fkeys.txt/content",
                "/v1/videos/video_../content",
                "/v1/videos/%00/content",
                "/v1/videos/video_0123456789abcdef0123456789abcdef/content",
                "/studio/files/..%2fopenapi.json",
                "/studio/files/%2e%2e/openapi.json",
                "/studio/api/folders/..%2f..",
                "/studio/api/runs/..%2f../x.png",
                "/v1/models/..%2f..%2fetc%2fpasswd"
            })
    void pathsLeadNowhere(String path) throws IOException {
        String answer = raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key
                + "\r\nConnection: close\r\n\r\n");
        assertThat(answer).containsPattern("^HTTP/1.1 (400|404)").doesNotContain("alice", "root:", "\tat ");
    }

    /** Sends bytes as they are, which clients would tidy up. */
    private static String raw(String request) throws IOException {
        URI uri = URI.create(server.server.address());
        try (Socket s = new Socket(uri.getHost(), uri.getPort())) {
            s.setSoTimeout(20_000);
            OutputStream out = s.getOutputStream();
            out.write(request.getBytes(StandardCharsets.ISO_8859_1));
            out.flush();
            return new String(s.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        }
    }

    @Test
    void whoSendsTooSlowlyIsCutOff() throws IOException, InterruptedException {
        URI uri = URI.create(server.server.address());
        try (Socket s = new Socket(uri.getHost(), uri.getPort())) {
            s.setSoTimeout(1000);
            s.getOutputStream()
                    .write(("POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key
                                    + "\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
                            .getBytes(StandardCharsets.ISO_8859_1));
            long until = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            boolean cut = false;
            while (!cut && System.nanoTime() < until) {
                Thread.sleep(500);
                try {
                    s.getOutputStream().write(' ');
                    cut = s.getInputStream().available() > 0;
                } catch (IOException e) {
                    cut = true;
                }
            }
            assertThat(cut).isTrue();
        }
    }

    @Test
    void addressesOfPicturesAreRefused() {
        for (String url : new String[] {"http://127.0.0.1:1/a.png", "https://example.com/a.png", "ftp://a/b"}) {
            refused(post("/v1/classify", Answers.text(Map.of("image", url))), 400);
        }
    }

    @Test
    void andWhereTheyAreAllowedOnlyPublicOnes() throws UnknownHostException {
        for (String inner : new String[] {
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "224.0.0.1",
            "198.18.0.1"
        }) {
            assertThat(RemoteImages.isPublic(InetAddress.getByName(inner)))
                    .as(inner)
                    .isFalse();
        }
        assertThat(RemoteImages.isPublic(InetAddress.getByName("93.184.216.34")))
                .isTrue();
        assertThat(RemoteImages.isPublic(InetAddress.getByName("2606:4700::1111")))
                .isTrue();

        InetAddress[] mixed = {InetAddress.getByName("93.184.216.34"), InetAddress.getLoopbackAddress()};
        RemoteImages remote = new RemoteImages(1000, host -> mixed);
        for (String url : new String[] {
            "https://rebinding.example/a.png",
            "http://plain.example/",
            "https://user@x.example/",
            "https://x.example:22/",
            "https://[::1]/",
            "https:///a"
        }) {
            assertThatThrownBy(() -> remote.fetch(url)).as(url).isInstanceOf(ApiError.class);
        }
    }

    @Test
    void whoAsksTooOftenWaits() {
        Rates rates = new Rates(2);
        rates.take("a");
        rates.take("a");
        rates.take("b");
        assertThatThrownBy(() -> rates.take("a")).isInstanceOfSatisfying(ApiError.class, e -> {
            assertThat(e.status()).isEqualTo(429);
            assertThat(e.retryAfter()).isBetween(1, 30);
        });
    }
}
