package dev.zoetrope.training.recaption;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.models.sora.Recaptioner;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObjects;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecaptionTrainingTest {
    private static final String RECIPE =
            """
            system: recaption
            seed: 3
            world: {first: 2, others: 0.2}
            model: {hidden_size: 32, intermediate_size: 48, num_hidden_layers: 1, num_attention_heads: 2,
                    max_position_embeddings: 256, tie_word_embeddings: true}
            recaption: {steps: 4, batch: 2, save_every: 2}
            """;

    @TempDir
    private Path folder;

    @Test
    void aStoppedRunGoesOnToTheSameWeightsAndTheModelWrites() throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Path straight = folder.resolve("straight");
        Path stopped = folder.resolve("stopped");
        assertThat(Training.run(recipe, Map.of(), straight, false, new TrainingListener() {}))
                .isTrue();
        assertThat(Training.run(recipe, Map.of(), stopped, false, new TrainingListener() {
                    @Override
                    public boolean step(long step, long steps) {
                        return step < 2;
                    }
                }))
                .isFalse();
        assertThat(Training.run(recipe, Map.of(), stopped, true, new TrainingListener() {}))
                .isTrue();
        String weights = "model/model.safetensors";
        assertThat(stopped.resolve(weights)).hasSameBinaryContentAs(straight.resolve(weights));
        try (Recaptioner words = Recaptioner.load(straight.resolve("model"))) {
            String caption = words.caption("A fox, bouncing!! on blue: " + "x".repeat(5000));
            assertThat(caption).isEqualTo(words.caption("a fox bouncing on blue " + "x".repeat(5000)));
        }
    }

    @Test
    void wishesSayTheScenesFactsAndSomeWordingsAreKeptForJudging() {
        World world = new World(
                1,
                Options.training()
                        .levels(Level.L1)
                        .objects(WorldObjects.first(5))
                        .frames(8));
        Scene scene = world.scene(3);
        assertThat(Wish.of(scene, new Random(1), false)).isEqualTo(Wish.of(scene, new Random(1), false));
        for (int i = 0; i < 50; i++) {
            assertThat(Wish.of(scene, new Random(i), false)).doesNotContain("let there be");
        }
        assertThat(scene.plainCaption(Caption.Length.FULL))
                .startsWith("a")
                .contains(scene.sprites().get(0).object().name())
                .contains(scene.sprites().get(0).motion().wordings().get(0));
    }
}
