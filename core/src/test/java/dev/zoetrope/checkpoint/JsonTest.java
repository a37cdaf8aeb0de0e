package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    private enum Act {
        GELU,
        QUICK_GELU
    }

    private final Json config = Json.parse(
            "config.json",
            """
            {"hidden_size": 64, "eps": 1e-5, "bias": true, "act": "quick_gelu", "none": null, "whole": 3.0,
             "sizes": [1, 2], "image_size": [224, 196], "text": {"layers": "abc", "names": {"0": "cat", "1": "dog"}},
             "blocks": [{"n": 1}, {"n": 2}], "big": 5000000000}""");

    @Test
    void keysThatAreThereAreReadAndOthersTakeTheDefault() {
        assertThat(config.get("hidden_size", 768)).isEqualTo(64);
        assertThat(config.get("num_layers", 12)).isEqualTo(12);
        assertThat(config.get("none", 7)).isEqualTo(7);
        assertThat(config.get("whole", 7)).isEqualTo(3);
        assertThat(config.get("big", 0L)).isEqualTo(5_000_000_000L);
        assertThat(config.get("eps", 1e-12)).isEqualTo(1e-5);
        assertThat(config.get("hidden_size", 1.0)).isEqualTo(64.0);
        assertThat(Json.parse("c", "{\"limit\": Infinity}").get("limit", 0.0)).isInfinite();
        assertThat(config.get("bias", false)).isTrue();
        assertThat(config.get("act", "gelu")).isEqualTo("quick_gelu");
        assertThat(config.get("act", Act.GELU)).isEqualTo(Act.QUICK_GELU);
        assertThat(config.get("act", 0, String::length)).isEqualTo(10);
        assertThat(config.get("sizes", new int[0])).containsExactly(1, 2);
        assertThat(config.pair("image_size", 1)).containsExactly(224, 196);
        assertThat(config.pair("hidden_size", 1)).containsExactly(64, 64);
        assertThat(config.at("text").texts("names").values()).containsExactly("cat", "dog");
        assertThat(config.at("vision").get("layers", 3)).isEqualTo(3);
        assertThat(config.list("blocks").get(1).requireInt("n")).isEqualTo(2);
        assertThat(config.at("text").size("names", 1000)).isEqualTo(2);
    }

    @Test
    void messagesNameFileKeyAndValue() {
        refused(j -> j.at("text").get("layers", 3), "config.json: text.layers \"abc\" is not a whole number");
        refused(j -> j.get("eps", 3), "config.json: eps 1.0E-5 is not a whole number");
        refused(j -> j.get("big", 3), "config.json: big 5000000000 is not between -2147483648 and 2147483647");
        refused(j -> j.get("bias", 3.0), "config.json: bias true is not a number");
        refused(j -> j.get("hidden_size", true), "config.json: hidden_size 64 is neither true nor false");
        refused(j -> j.get("hidden_size", List.of()), "config.json: hidden_size 64 is not an array");
        refused(j -> j.at("sizes"), "config.json: sizes [1,2] is not an object");
        refused(j -> j.list("blocks").get(0).require("n"), "config.json: blocks[0].n 1 is not a text");
        refused(j -> j.require("vocab"), "config.json: vocab is missing; present: [hidden_size, eps,");
        refused(
                j -> j.get("act", Thread.State.NEW),
                "config.json: act \"quick_gelu\" is not supported; supported: new, runnable");
        refused(j -> j.expect("bias", false), "config.json: bias true is not supported; supported: false");
        refused(
                j -> Check.divides(12, 770, "num_attention_heads", "hidden_size"),
                "hidden_size 770 is not divisible by num_attention_heads 12");
        refused(j -> Check.shape(new long[] {2, 3}, "latents", -1, 4), "latents has shape [2, 3], expected [any, 4]");
    }

    private void refused(Consumer<Json> use, String message) {
        assertThatThrownBy(() -> use.accept(config))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith(message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{\"a\":1,\"a\":2}", "{\"a\":1} x", "{'a':1}", "{\"a\":"})
    void whatIsNotOneStrictObjectIsRefused(String text) {
        assertThatThrownBy(() -> Json.parse("config.json", text))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("config.json: ");
    }

    @Test
    void deepNestingAndBadEncodingAreRefused(@TempDir Path dir) throws IOException {
        assertThatThrownBy(() -> Json.parse("c", "{\"a\":" + "[".repeat(100_000)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("nesting depth");
        Path file = dir.resolve("config.json");
        Files.write(file, "{\"a\":\"ü\"}".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> Json.read(file)).isInstanceOf(UserError.class).hasMessage(file + ": is not UTF-8");
    }
}
