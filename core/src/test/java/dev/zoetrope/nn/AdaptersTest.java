package dev.zoetrope.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AdaptersTest {
    private final Scope scope = Scope.open();
    private final RandomSource random = RandomSource.of(5);
    private final Weights base = Weights.draw(random);
    private final Attention model =
            Attention.of(base.at("layer.0"), 8, 2, true, "q_proj", "k_proj", "v_proj", "o_proj");
    private final Tensor x = random.normal(2, 3, 8);

    @AfterEach
    void close() {
        base.close();
        random.close();
        scope.close();
    }

    private Adapters drawn(Lora.Config c) {
        Adapters a = new Adapters(c, base, Weights.draw(random).at("base_model.model"));
        for (Tensor t : a.weights().named().values()) {
            t.addInPlace(random.normal(t.shape()));
        }
        return a;
    }

    private float[] answer() {
        return model.forward(x).toFloats();
    }

    @Test
    void startAsTheModelIs() {
        float[] plain = answer();
        Adapters a = new Adapters(Lora.Config.of(2, 4, 0, "q_proj", "v_proj"), base, Weights.draw(random));
        a.attach(1);
        assertThat(answer()).isEqualTo(plain);
        assertThat(a.weights().named().keySet())
                .containsExactly(
                        "layer.0.q_proj.lora_A.weight",
                        "layer.0.q_proj.lora_B.weight",
                        "layer.0.v_proj.lora_A.weight",
                        "layer.0.v_proj.lora_B.weight");
    }

    @Test
    void mergedAnswersAsAttachedAndUnmergingIsExact() {
        float[] plain = answer();
        byte[] before = base.named().get("layer.0.q_proj.weight").toBytes();
        drawn(Lora.Config.of(2, 4, 0, "q_proj", "o_proj")).attach(.5);
        Adapters second = drawn(Lora.Config.of(3, 3, 0, "q_proj"));
        second.attach(-.25);
        float[] attached = answer();
        assertThat(attached).isNotEqualTo(plain);
        Adapters.merge(base);
        assertThat(answer()).containsExactly(attached, within(1e-4f));
        assertThatThrownBy(second::detach)
                .hasMessageContaining("layer.0.q_proj.weight")
                .hasMessageContaining("unmerge");
        Adapters.unmerge(base);
        assertThat(base.named().get("layer.0.q_proj.weight").toBytes()).isEqualTo(before);
        assertThat(answer()).isEqualTo(attached);
        second.detach();
        assertThat(answer()).isNotEqualTo(attached);
    }

    @Test
    void areSavedAndLoadedUnderPeftsNames(@TempDir Path dir) {
        Lora.Config c = Lora.Config.of(
                Json.parse(
                        "adapter_config.json",
                        """
                {"peft_type": "LORA", "r": 4, "lora_alpha": 6, "use_rslora": true, "lora_dropout": 0.1,
                 "target_modules": ["v_proj"], "rank_pattern": {}, "modules_to_save": null}"""));
        assertThat(c.scale()).isEqualTo(3);
        Adapters trained = drawn(c);
        trained.attach(1);
        float[] expected = answer();
        trained.detach();
        Path file = dir.resolve("adapter_model.safetensors");
        Safetensors.write(file, trained.weights().named());
        try (Checkpoint saved = Checkpoint.open(file)) {
            assertThat(saved.keys())
                    .containsExactlyInAnyOrder(
                            "base_model.model.layer.0.v_proj.lora_A.weight",
                            "base_model.model.layer.0.v_proj.lora_B.weight");
            new Adapters(c, base, Weights.load(saved).at("base_model.model")).attach(1);
        }
        assertThat(answer()).isEqualTo(expected);
    }

    @Test
    void dropOnlyInTraining() {
        Adapters a = drawn(Lora.Config.of(2, 4, .5, "q_proj"));
        a.attach(1);
        float[] expected = answer();
        try (TrainingScope training = TrainingScope.open(random)) {
            assertThat(answer()).isNotEqualTo(expected);
        }
        assertThat(answer()).isEqualTo(expected);
    }

    @Test
    void whatDoesNotFitIsNamed() {
        assertThatThrownBy(() -> drawn(Lora.Config.of(2, 4, 0, "query")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("query")
                .hasMessageContaining("layer.0.q_proj");
        assertThatThrownBy(() -> Lora.Config.of(Json.parse("a.json", "{\"use_dora\": true}")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("a.json: use_dora");
    }
}
