package dev.zoetrope.models.language;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Map;
import org.junit.jupiter.api.Test;

class LanguageModelTest {
    private static final Map<String, Object> SMALL = Map.of(
            "model_type", "llama",
            "vocab_size", 40,
            "hidden_size", 16,
            "intermediate_size", 24,
            "num_hidden_layers", 2,
            "num_attention_heads", 4,
            "num_key_value_heads", 2,
            "max_position_embeddings", 600);

    private static LanguageModel small(RandomSource random) {
        return LanguageModel.of(Json.of("small", SMALL), Weights.draw(random));
    }

    /** The cache crosses a page's end at 256 tokens. */
    @Test
    void cachedTokensAreAsGoodAsComputedOnes() {
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(1);
                LanguageModel model = small(random);
                KvCache cache = new KvCache()) {
            Tensor x = model.embed(random.integers(0, 40, 1, 300));
            Tensor whole = model.forward(x, null, null, null);
            model.forward(x.narrow(1, 0, 250), null, null, cache);
            model.forward(x.narrow(1, 250, 10), null, null, cache);
            cache.truncate(255); // and once more from here
            Tensor rest = model.forward(x.narrow(1, 255, 45), null, null, cache);
            assertThat(cache.length()).isEqualTo(300);
            double error = rest.sub(whole.narrow(1, 255, 45)).abs().max().item();
            assertThat(error).isLessThan(1e-5);
        }
    }

    @Test
    void paddingOnTheLeftChangesNothing() {
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(2);
                LanguageModel model = small(random)) {
            Tensor ids = random.integers(0, 40, 1, 7);
            Tensor padded = Tensor.cat(1, Tensor.of(new long[] {3, 3}, 1, 2), ids);
            Tensor mask = Tensor.of(new long[] {0, 0, 1, 1, 1, 1, 1, 1, 1}, 1, 9);
            Generation.Options o = Generation.Options.greedy(6);
            assertThat(Generation.run(model, padded, mask, o).toLongs())
                    .containsExactly(Generation.run(model, ids, null, o).toLongs());
        }
    }

    @Test
    void aSeedDrawsTheSameWords() {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(3);
                LanguageModel model = small(random)) {
            Tensor ids = random.integers(0, 40, 2, 5);
            Generation.Options o = Generation.Options.greedy(8)
                    .with(Sampling.of(1.5).withTopK(20))
                    .withSeed(7);
            assertThat(Generation.run(model, ids, null, o).toLongs())
                    .containsExactly(Generation.run(model, ids, null, o).toLongs());
        }
    }

    @Test
    void whatIsNotSupportedIsNamed() {
        Json yarn = Json.of(
                "config.json", Map.of("model_type", "llama", "rope_scaling", Map.of("rope_type", "yarn", "factor", 4)));
        assertThatThrownBy(() -> LanguageModel.of(yarn, Weights.record()))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("yarn")
                .hasMessageContaining("llama3");
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(4);
                LanguageModel model = small(random)) {
            assertThatThrownBy(() -> model.forward(Tensor.zeros(1, 601, 16), null, null, null))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("601")
                    .hasMessageContaining("600");
        }
    }
}
