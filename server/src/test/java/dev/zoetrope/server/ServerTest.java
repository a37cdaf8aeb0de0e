package dev.zoetrope.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.server.Fixture.Answer;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What OpenAI's clients rely on, over loopback, with small checkpoints. */
class ServerTest {
    @TempDir
    private static Path folder;

    private static Fixture server;

    @BeforeAll
    static void start() {
        server = new Fixture(folder.resolve("data"));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void modelsSayWhatTheyCanDo() {
        List<Json> models = server.get("/v1/models").json().list("data");
        assertThat(models)
                .anySatisfy(m -> {
                    assertThat(m.require("id")).isEqualTo("clip");
                    assertThat(m.get("abilities", List.of())).containsExactly("embedding");
                })
                .anySatisfy(m -> assertThat(m.require("id")).isEqualTo("carousel-sora"));
    }

    @Test
    void aClipIsMadeBehindTheScenesAndItsPartsAreServed() {
        Answer created = server.post(
                "/v1/videos",
                Map.of("prompt", "a fox bouncing on a blue background", "steps", 2, "seconds", "1", "seed", 7));
        assertThat(created.status()).isEqualTo(200);
        String id = created.json().require("id");
        assertThat(created.json().at("settings").get("frames", 0)).isEqualTo(8);

        Json job = server.finished(id);

        assertThat(job.require("status")).isEqualTo("completed");
        assertThat(job.get("progress", 0)).isEqualTo(100);
        Answer part = server.get("/v1/videos/" + id + "/content", "Range", "bytes=4-7");
        assertThat(part.status()).isEqualTo(206);
        assertThat(part.body()).isEqualTo("ftyp");
        assertThat(server.get("/v1/videos/" + id + "/content?variant=thumbnail").status())
                .isEqualTo(200);
        assertThat(server.get("/v1/videos").json().list("data"))
                .anySatisfy(v -> assertThat(v.require("id")).isEqualTo(id));
        Fixture.send(server.request("/v1/videos/" + id).DELETE().build());
        assertThat(server.get("/v1/videos/" + id).status()).isEqualTo(404);
    }

    @Test
    void whatAModelCannotMakeIsRefusedAtOnce() {
        Answer a = server.post("/v1/videos", Map.of("prompt", "a fox", "size", "1280x720"));
        assertThat(a.status()).isEqualTo(400);
        assertThat(a.message()).contains("width 1280 is not between 16 and 256");
    }

    @Test
    void picturesComeWithTheirSeeds() {
        Answer a = server.post("/v1/images/generations", Map.of("prompt", "a fox", "n", 2, "steps", 1, "seed", 5));
        List<Json> data = a.json().list("data");
        assertThat(data).extracting(d -> d.get("seed", 0)).containsExactly(5, 6);
        Answer again = server.post("/v1/classify", Map.of("image", data.get(0).require("b64_json"), "top", 2));
        assertThat(again.json().list("data").get(0).list("labels")).hasSize(2);
    }

    @Test
    void requestsThatComeTogetherGetTheirOwnVectors() {
        String[] texts = {"a", "two dogs", "a red car", "the sea", "a fox"};
        List<CompletableFuture<Answer>> all = new ArrayList<>();
        for (String t : texts) {
            all.add(CompletableFuture.supplyAsync(
                    () -> server.post("/v1/embeddings", Map.of("input", t, "model", "clip"))));
        }
        Json together = server.post("/v1/embeddings", Map.of("input", List.of(texts), "model", "clip"))
                .json();
        for (int i = 0; i < texts.length; i++) {
            double[] alone = all.get(i).join().json().list("data").get(0).get("embedding", new double[0]);
            double[] row = together.list("data").get(i).get("embedding", new double[0]);
            assertThat(row).hasSize(18).containsExactly(alone, org.assertj.core.data.Offset.offset(1e-5));
        }
    }

    @Test
    void picturesAndTextsHaveVectorsInBase64() {
        List<Map<String, Object>> input = List.of(
                Map.of("type", "text", "text", "a dog"),
                Map.of("type", "image_url", "image_url", Map.of("url", Fixture.picture())));
        Json data = server.post("/v1/embeddings", Map.of("input", input, "model", "clip", "encoding_format", "base64"))
                .json();
        assertThat(data.list("data")).hasSize(2).allSatisfy(d -> assertThat(d.require("embedding"))
                .hasSize(18 * 4 / 3 * 4));
    }

    @Test
    void anAnswerComesWholeOrInPiecesThatMakeIt() {
        Map<String, Object> question = Map.of(
                "role",
                "user",
                "content",
                List.of(
                        Map.of("type", "text", "text", "what is it?"),
                        Map.of("type", "image_url", "image_url", Map.of("url", Fixture.picture()))));
        Map<String, Object> body = Map.of("model", "chat", "messages", List.of(question), "max_tokens", 6);
        Json whole = server.post("/v1/chat/completions", body).json();
        assertThat(whole.at("usage").get("completion_tokens", 0)).isEqualTo(6);

        Map<String, Object> streaming = new java.util.LinkedHashMap<>(body);
        streaming.put("stream", true);
        Answer a = server.post("/v1/chat/completions", streaming);

        List<String> events = a.body()
                .lines()
                .filter(l -> l.startsWith("data: "))
                .map(l -> l.substring(6))
                .toList();
        assertThat(events.get(events.size() - 1)).isEqualTo("[DONE]");
        StringBuilder text = new StringBuilder();
        events.subList(0, events.size() - 1)
                .forEach(e -> text.append(Json.parse("event", e)
                        .list("choices")
                        .get(0)
                        .at("delta")
                        .get("content", "")));
        assertThat(text.toString().strip())
                .isEqualTo(whole.list("choices").get(0).at("message").require("content"));
    }

    @Test
    void anAnswerKeepsToAJsonSchema() {
        Map<String, Object> look = Map.of(
                "type",
                "object",
                "required",
                List.of("legs"),
                "properties",
                Map.of("legs", Map.of("enum", List.of(2, 4))));
        Map<String, Object> body = new java.util.LinkedHashMap<>(Map.of(
                "model",
                "chat",
                "messages",
                List.of(Map.of("role", "user", "content", "how many?")),
                "max_tokens",
                60));
        body.put(
                "response_format",
                Map.of("type", "json_schema", "json_schema", Map.of("name", "legs", "schema", look)));
        Json answer =
                server.post("/v1/chat/completions", body).json().list("choices").get(0);
        Json said = Json.parse("answer", answer.at("message").require("content"));
        assertThat(said.get("legs", 0)).isIn(2, 4);
        assertThat(answer.require("finish_reason")).isEqualTo("stop");

        body.put(
                "response_format",
                Map.of("type", "json_schema", "json_schema", Map.of("schema", Map.of("pattern", "a"))));
        Answer refused = server.post("/v1/chat/completions", body);
        assertThat(refused.status()).isEqualTo(400);
        assertThat(refused.body()).contains("pattern");
    }

    @Test
    void aPointGivesThreeMasksTheBestFirst() {
        Json a = server.post(
                        "/v1/segment",
                        Map.of("model", "sam", "image", Fixture.picture(), "points", List.of(List.of(20, 10, 1))))
                .json();
        List<Json> masks = a.list("data");
        assertThat(masks).hasSize(3);
        assertThat(masks.get(0).get("predicted_iou", 0.0))
                .isGreaterThanOrEqualTo(masks.get(2).get("predicted_iou", 0.0));
        assertThat(masks.get(0).at("segmentation").get("size", new int[0])).containsExactly(32, 48);
    }

    @Test
    void everyRouteIsInTheDocumentAndTheOtherWayRound() {
        Json document = server.get("/openapi.json").json();
        List<String> described = new ArrayList<>();
        for (String path : document.at("paths").keys()) {
            for (String method : document.at("paths").at(path).keys()) {
                described.add(method.toUpperCase(java.util.Locale.ROOT) + " " + path);
            }
        }
        assertThat(server.server.routes().stream().filter(r -> !r.contains("/studio") && !r.endsWith(" /")))
                .containsExactlyInAnyOrderElementsOf(described);
    }

    @Test
    void healthAndNumbersAreThere() {
        assertThat(server.get("/healthz").body()).isEqualTo("ok");
        assertThat(server.get("/readyz").status()).isEqualTo(200);
        assertThat(server.get("/metrics").body()).contains("zoetrope_queue_waiting{model=\"clip\"}");
    }

    @Test
    void otherMachinesAreLetInWithKeysOnly() {
        assertThatThrownBy(() -> new Server.Settings(
                        "0.0.0.0",
                        0,
                        folder,
                        null,
                        List.of(),
                        true,
                        Keys.none(),
                        Limits.standard(),
                        false,
                        Server.Shown.SAMPLES))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("keys are needed");
    }
}
