package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;

/** A server on loopback with the small checkpoints of reference cases. */
final class Fixture implements AutoCloseable {
    private static final Path CASES = Path.of("../parity/cases");
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    final Server server;

    Fixture(Path data) {
        this(settings(data));
    }

    Fixture(Server.Settings settings) {
        server = Server.start(settings);
    }

    static Server.Settings settings(Path data) {
        return Server.Settings.local(data)
                .withModels(
                        true,
                        "chat=" + CASES.resolve("llava/siglip_qwen2/model"),
                        "clip=" + CASES.resolve("clip/zero_shot/model"),
                        "sam=" + CASES.resolve("sam/predict_tall/model"));
    }

    record Answer(int status, String body, java.net.http.HttpHeaders headers) {
        Json json() {
            return Json.parse("answer", body);
        }

        String message() {
            return json().at("error").require("message");
        }
    }

    Answer get(String path, String... headers) {
        return send(request(path, headers).GET().build());
    }

    Answer post(String path, String body, String... headers) {
        return send(request(path, headers)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build());
    }

    Answer post(String path, Map<String, ?> body) {
        return post(path, Answers.text(body));
    }

    HttpRequest.Builder request(String path, String... headers) {
        HttpRequest.Builder b =
                HttpRequest.newBuilder(URI.create(server.address() + path)).timeout(Duration.ofSeconds(60));
        for (int i = 0; i < headers.length; i += 2) {
            b.header(headers[i], headers[i + 1]);
        }
        return b;
    }

    static Answer send(HttpRequest request) {
        try {
            HttpResponse<String> r = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
            return new Answer(r.statusCode(), r.body(), r.headers());
        } catch (IOException e) {
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    /** The job when it is over. */
    Json finished(String id) {
        long until = System.nanoTime() + Duration.ofMinutes(3).toNanos();
        while (System.nanoTime() < until) {
            Json job = get("/v1/videos/" + id).json();
            String status = job.require("status");
            if (!status.equals("queued") && !status.equals("in_progress")) {
                return job;
            }
            try {
                Thread.sleep(50);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError(e);
            }
        }
        throw new AssertionError(id + " does not end");
    }

    static String picture() {
        return "data:image/png;base64,"
                + Base64.getEncoder().encodeToString(Images.png(Image.filled(48, 32, 0x3060a0), Map.of()));
    }

    @Override
    public void close() {
        server.close();
    }
}
