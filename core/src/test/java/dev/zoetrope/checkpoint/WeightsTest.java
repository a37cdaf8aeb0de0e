package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WeightsTest {
    @TempDir
    Path dir;

    private record Linear(Tensor weight, Tensor bias) {
        Linear(Weights w, int in, int out) {
            this(w.tensor("weight", Init.fanIn(), out, in), w.tensor("bias", Init.fanInBias(in), out));
        }
    }

    private record Model(List<Linear> layers, Tensor embedding, Tensor head, Tensor mean) {
        Model(Weights w) {
            this(
                    w.at("encoder.layers").stack(2, at -> new Linear(at, 3, 3)),
                    w.tensor("embedding.weight", 4, 3),
                    w.tied("head.weight", "embedding.weight"),
                    w.buffer("norm.mean", Init.zeros(), 3));
            w.at("embedding").ignorable("position_ids");
        }
    }

    private Path saved(Map<String, Tensor> extra) {
        Path file = dir.resolve("model.safetensors");
        try (RandomSource random = RandomSource.of(1);
                Weights w = Weights.draw(random);
                Scope s = Scope.open()) {
            Model unused = new Model(w);
            Map<String, Tensor> all = w.all();
            all.putAll(extra);
            Safetensors.write(file, all);
        }
        return file;
    }

    @Test
    void oneConstructorDrawsSavesAndLoads() {
        Path file = saved(Map.of());
        try (RandomSource random = RandomSource.of(1);
                Weights drawn = Weights.draw(random);
                Checkpoint c = Checkpoint.open(dir);
                Weights loaded = Weights.load(c)) {
            Model a = new Model(drawn);
            Model b = new Model(loaded);
            c.close(); // what was read stays
            assertThat(b.layers().get(1).bias().toFloats())
                    .isEqualTo(a.layers().get(1).bias().toFloats());
            assertThat(b.head()).isSameAs(b.embedding());
            assertThat(loaded.named().keySet())
                    .containsExactly(
                            "encoder.layers.0.weight",
                            "encoder.layers.0.bias",
                            "encoder.layers.1.weight",
                            "encoder.layers.1.bias",
                            "embedding.weight");
            assertThat(loaded.buffers().keySet()).containsExactly("norm.mean");
            assertThat(loaded.tied()).containsEntry("head.weight", "embedding.weight");
            assertThat(loaded.unused()).isEmpty();
            assertThat(c.name()).isEqualTo(file.toString());
        }
    }

    @Test
    void recordingTakesNoMemoryAndNoTime() {
        try (Weights w = Weights.record()) {
            Tensor t = w.at("lm").tensor("embed", 1 << 20, 1 << 20);
            assertThat(t.shape()).containsExactly(1 << 20, 1 << 20);
            assertThat(w.named().keySet()).containsExactly("lm.embed");
        }
    }

    @Test
    void aShapesOnlyCheckpointHoldsAModelAgainstAPublishedOne() {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("fc.weight", new long[] {2, 3});
        shapes.put("fc.bias", new long[] {2});
        shapes.put("left.over", new long[] {1});
        try (Checkpoint c = Checkpoint.describe("org/name", shapes);
                Weights w = Weights.load(c)) {
            Linear unused = new Linear(w.at("fc"), 3, 2);
            assertThat(w.unused()).containsExactly("left.over");
        }
    }

    @Test
    void messagesNameFileTensorFoundAndExpected() {
        Path file = saved(Map.of());
        try (Checkpoint c = Checkpoint.open(file);
                Weights w = Weights.load(c)) {
            assertThatThrownBy(() -> new Linear(w.at("encoder.layers.1"), 3, 5))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining(file + ": tensor 'encoder.layers.1.weight' has shape [3, 3]")
                    .hasMessageContaining("expects [5, 3]");
            assertThatThrownBy(() -> w.at("encoder.layer.1").tensor("bias", 3))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining(file + ": no tensor 'encoder.layer.1.bias' of shape [3]")
                    .hasMessageContaining("nearest present is 'encoder.layers.1.bias' of shape [3]");
        }
    }

    @Test
    void leftoversAreReportedUnlessIgnorableOrTied() {
        try (Tensor t = Tensor.zeros(4, 3)) {
            saved(Map.of("embedding.position_ids", t, "head.weight", t, "pooler.weight", t));
        }
        try (Checkpoint c = Checkpoint.open(dir);
                Weights w = Weights.load(c)) {
            Model unused = new Model(w);
            assertThat(c.unused()).containsExactly("pooler.weight");
            assertThat(w.at("encoder").unused()).isEmpty();
        }
    }

    @Test
    void renamesTakePartsAndTransposedMatricesOfAnotherRelease() {
        Path file = dir.resolve("original.safetensors");
        try (Scope s = Scope.open()) {
            Safetensors.write(
                    file,
                    Map.of(
                            "blocks.0.attn.qkv.weight",
                            Tensor.arange(18).to(DType.FLOAT32).reshape(6, 3),
                            "proj",
                            Tensor.arange(6).to(DType.FLOAT32).reshape(2, 3)));
        }
        try (Checkpoint c = Checkpoint.open(file);
                Weights w = Weights.load(c)
                        .renamed(Renames.of(
                                "^layers\\.(\\d+)\\.", "blocks.$1.",
                                "\\.attention\\.q\\.", ".attn.qkv.#0/3",
                                "\\.attention\\.k\\.", ".attn.qkv.#1/3",
                                "(#\\d/3)(weight|bias)$", "$2$1",
                                "^projection\\.weight$", "proj#T"))) {
            assertThat(w.at("layers.0.attention.k").tensor("weight", 2, 3).toFloats())
                    .containsExactly(6, 7, 8, 9, 10, 11);
            assertThat(w.at("projection").tensor("weight", 3, 2).toFloats()).containsExactly(0, 3, 1, 4, 2, 5);
            assertThat(w.named().keySet()).containsExactly("layers.0.attention.k.weight", "projection.weight");
            assertThat(c.unused()).isEmpty();
            assertThatThrownBy(() -> w.at("layers.0.attention.q").tensor("weight", 3, 3))
                    .hasMessageContaining("'blocks.0.attn.qkv.weight' (for layers.0.attention.q.weight) has shape")
                    .hasMessageContaining("expects [9, 3]");
        }
    }

    @Test
    void typesAreFloat32UnlessAsked() {
        try (Checkpoint c = Checkpoint.open(Fixtures.file("dtypes.safetensors"))) {
            try (Weights w = Weights.load(c)) {
                assertThat(w.tensor("bfloat16", 2, 3).dtype()).isEqualTo(DType.FLOAT32);
                assertThat(w.tensor("int64", 2, 3).dtype()).isEqualTo(DType.INT64);
            }
            try (Weights w = Weights.load(c)) {
                assertThat(w.as(DType.BFLOAT16).tensor("float32", 2, 3).dtype()).isEqualTo(DType.BFLOAT16);
                assertThat(w.asStored().tensor("float16", 2, 3).dtype()).isEqualTo(DType.FLOAT16);
            }
        }
    }

    @Test
    void aRuleNearerToTheTensorIsAskedLast() {
        try (RandomSource random = RandomSource.of(1);
                Weights w = Weights.draw(random)) {
            Weights model = w.initialised((name, init) -> name.endsWith("weight") ? Init.constant(2) : init);
            Weights gate = model.at("gate").initialised((name, init) -> Init.zeros());
            assertThat(model.tensor("weight", Init.ones(), 1).item()).isEqualTo(2);
            assertThat(model.tensor("scale", Init.ones(), 1).item()).isEqualTo(1);
            assertThat(gate.tensor("weight", Init.ones(), 1).item()).isEqualTo(0);
        }
    }

    @Test
    void weightsOutliveScopesUntilTheirPathIsClosed() {
        try (RandomSource random = RandomSource.of(1);
                Weights w = Weights.draw(random)) {
            Tensor text;
            Tensor vision;
            try (Scope s = Scope.open()) {
                text = w.at("text").tensor("weight", 2);
                vision = w.at("vision").tensor("weight", 2);
            }
            w.at("text").close();
            assertThat(text.isClosed()).isTrue();
            assertThat(vision.isClosed()).isFalse();
            assertThat(w.named().keySet()).containsExactly("vision.weight");
        }
    }
}
