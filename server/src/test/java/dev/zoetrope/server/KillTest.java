package dev.zoetrope.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server is killed while twenty jobs wait; the next one makes them all. With {@code -Pkill}. */
@Tag("kill")
class KillTest {
    private static final int JOBS = 20;
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    @TempDir
    private Path folder;

    private record Running(Process process, String address) {
        Json call(String method, String path, Object body) throws IOException, InterruptedException {
            HttpRequest r = HttpRequest.newBuilder(URI.create(address + path))
                    .header("Content-Type", "application/json")
                    .method(method, HttpRequest.BodyPublishers.ofString(body == null ? "" : Answers.text(body)))
                    .build();
            HttpResponse<String> a = CLIENT.send(r, HttpResponse.BodyHandlers.ofString());
            assertThat(a.statusCode()).as(a.body()).isEqualTo(200);
            return Json.parse("answer", a.body());
        }
    }

    private Running start() throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx1g",
                "-Dorg.bytedeco.javacpp.maxBytes=0",
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Dorg.bytedeco.javacpp.noPointerGC=true",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.zoetrope.cli.Zoetrope",
                "serve",
                "--port",
                "0",
                "--data",
                folder.toString()));
        String database = System.getProperty("zoetrope.postgres");
        if (database != null) {
            command.addAll(List.of("--database", database));
        }
        Process p = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader out = new BufferedReader(new InputStreamReader(p.getInputStream(), StandardCharsets.UTF_8));
        for (String line = out.readLine(); line != null; line = out.readLine()) {
            if (line.startsWith("Zoetrope serves at ")) {
                return new Running(p, line.split(" ", 5)[3]);
            }
        }
        throw new AssertionError("the server does not start");
    }

    @Test
    void allJobsAreMade() throws IOException, InterruptedException {
        List<String> ids = new ArrayList<>();
        Running first = start();
        for (int i = 0; i < JOBS; i++) {
            Map<String, Object> body = Map.of("prompt", "a fox bouncing on a blue background", "steps", 2, "seed", i);
            ids.add(first.call("POST", "/v1/videos", body).require("id"));
        }
        String one = ids.get(1);
        while (first.call("GET", "/v1/videos/" + one, null).require("status").equals("queued")) {
            Thread.sleep(20);
        }
        first.process.destroyForcibly().waitFor();

        Running second = start();
        try {
            long until = System.nanoTime() + Duration.ofMinutes(10).toNanos();
            for (String id : ids) {
                String status = "";
                while (!status.equals("completed") && System.nanoTime() < until) {
                    Thread.sleep(50);
                    status = second.call("GET", "/v1/videos/" + id, null).require("status");
                    assertThat(status).isNotEqualTo("failed");
                }
                assertThat(status).isEqualTo("completed");
            }
        } finally {
            second.process.destroy();
            second.process.waitFor();
        }
    }
}
