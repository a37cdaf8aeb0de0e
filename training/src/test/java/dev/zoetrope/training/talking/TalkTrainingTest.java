package dev.zoetrope.training.talking;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole way, very small: words, connector, adapters, then a conversation with what came out. */
class TalkTrainingTest {
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
              - {name: finetune, train: [%s], lora: {r: 2, lora_alpha: 4, target_modules: "language_model.*_proj"}, steps: 2, workers: 1, batch: 4, rate: 1.0e-3}
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

    /** The recipes that come with Zoetrope, cut short and made small; the tower, which they take ready made, is drawn. */
    @ParameterizedTest
    @ValueSource(strings = {"tinyllava", "mobilevlm", "bunny", "owl", "cogvlm", "deepseekvl"})
    void everyRecipeRuns(String system) throws IOException {
        String text = Files.readString(Path.of("../recipes/" + system + "-world.yaml"))
                .replaceAll("(?m)^tower:.*", "")
                .replaceAll("steps: \\d+", "steps: 2")
                .replaceAll("batch: 32.*", "batch: 2")
                .replaceAll("workers: 2", "workers: 1")
                .replaceAll("measured: \\d+", "measured: 0")
                .replaceAll("num_hidden_layers: 4", "num_hidden_layers: 1")
                .replaceAll("hidden_size: 192", "hidden_size: 48")
                .replaceAll("hidden_size: 128", "hidden_size: 32")
                .replaceAll("intermediate_size: .*", "intermediate_size: 64")
                .replaceAll("image_size: 64", "image_size: 32")
                .replaceAll("bfloat16: true.*", "");
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), text);
        assertThat(Training.run(recipe, Map.of(), folder.resolve("run"), false, new TrainingListener() {}))
                .isTrue();
        try (Chat chat = Chat.load(folder.resolve("run/model"))) {
            Chat.Options o = Chat.Options.DEFAULT.withMaxTokens(3);
            assertThat(chat.ask("what is it?", List.of(Image.filled(40, 30, 0xff0000)), o, Chat.Listener.NONE)
                            .tokens())
                    .isBetween(1, 3);
        }
    }

    /** A model that stands goes on with conversations as LLaVA publishes them, in batches of like length. */
    @Test
    void conversationsOfOnesOwn() throws IOException {
        Path recipe = Files.writeString(
                folder.resolve("recipe.yaml"), String.format(RECIPE, "\"^multi_modal_projector\\\\.\""));
        Training.run(recipe, Map.of("measured", "0"), folder.resolve("run"), false, new TrainingListener() {});
        Images.write(Image.filled(20, 30, 0x00ff00), folder.resolve("green.png"));
        Path list = Files.writeString(
                folder.resolve("own.json"),
                """
                [{"id": "1", "image": "green.png", "conversations": [
                   {"from": "human", "value": "<image>\\nwhich colour is it?"}, {"from": "gpt", "value": "green"},
                   {"from": "human", "value": "what is it?"}, {"from": "gpt", "value": "a background"}]},
                 {"id": "2", "conversations": [{"from": "human", "value": "is it?"}, {"from": "gpt", "value": "yes"}]}]
                """);
        Path more = Files.writeString(
                folder.resolve("more.yaml"),
                """
                system: llava
                start: %s
                stages:
                  - {name: own, conversations: %s, images: %s, train: ["^language_model"], steps: 40, workers: 1, batch: 2, rate: 5.0e-3, warmup: 1, report_every: 10}
                """
                        .formatted(folder.resolve("run/model"), list, folder));
        List<Double> losses = new ArrayList<>();
        Training.run(more, Map.of(), folder.resolve("run2"), false, new TrainingListener() {
            @Override
            public void report(long step, Map<String, Double> values) {
                losses.add(values.get("loss"));
            }
        });
        assertThat(losses.get(3)).isLessThan(losses.get(0) / 2);
        try (Chat chat = Chat.load(folder.resolve("run2/model"))) {
            assertThat(chat.ask("is it?").text()).isEqualTo("yes");
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
