package dev.zoetrope.training.seeing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: words, connector, adapters, then a conversation with what came out. */
class LlavaTrainingTest {
    private static final String RECIPE =
            """
            system: llava
            measured: 2
            world: {first: 3}
            model:
              vision_config: {model_type: clip_vision_model, image_size: 32, patch_size: 16, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}
              text_config: {model_type: llama, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 96}
            stages:
              - {name: words, data: words, train: ["^language_model\\\\."], steps: 12, workers: 1, batch: 8, rate: 5.0e-3, warmup: 1, report_every: 3}
              - {name: pretrain, data: captions, train: ["^multi_modal_projector\\\\."], steps: 2, workers: 1, batch: 4, rate: 1.0e-3}
              - {name: finetune, train: [%s], lora: {rank: 2, alpha: 4}, steps: 2, workers: 1, batch: 4, rate: 1.0e-3}
            """;

    @TempDir
    private Path folder;

    @Test
    void aConversationWithWhatWasTrained() throws IOException {
        Path recipe = Files.writeString(
                folder.resolve("recipe.yaml"), String.format(RECIPE, "\"^multi_modal_projector\\\\.\""));
        List<Double> losses = new ArrayList<>();
        List<String> messages = new ArrayList<>();
        boolean done = Training.run(recipe, Map.of(), folder.resolve("run"), false, new TrainingListener() {
            @Override
            public void report(long step, Map<String, Double> values) {
                losses.add(values.get("loss"));
            }

            @Override
            public void message(String text) {
                messages.add(text);
            }
        });
        assertThat(done).isTrue();
        assertThat(losses.get(3)).isLessThan(losses.get(0));
        assertThat(messages).anyMatch(m -> m.contains("blind") && m.contains("colour"));
        try (Chat chat = Chat.load(folder.resolve("run/model"))) {
            Chat.Options o = Chat.Options.DEFAULT.withMaxTokens(4);
            assertThat(chat.ask("what is it?", List.of(Image.filled(40, 30, 0xff0000)), o, Chat.Listener.NONE)
                            .tokens())
                    .isBetween(1, 4);
        }
    }

    @Test
    void aStageInWhichNothingTrainsIsRefused() throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), String.format(RECIPE, "\"no_such_part\""));
        assertThatThrownBy(
                        () -> Training.run(recipe, Map.of(), folder.resolve("run"), false, new TrainingListener() {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no_such_part");
    }
}
