package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.ChatModel;
import dev.zoetrope.tasks.JsonSchema;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Conversations with the small checkpoints of the cases. */
class ChatTest {
    private static final Path CASE = Path.of("cases/llava/siglip_qwen2");
    private static final Path MODEL = CASE.resolve("model");
    private static final Chat.Options SHORT = Chat.Options.DEFAULT.withMaxTokens(5);

    private static Image picture() {
        return Images.read(CASE.resolve("wide.png"));
    }

    @Test
    void whatIsKnownIsNotComputedAgainAndChangesNothing() {
        try (Chat chat = Chat.load(MODEL)) {
            StringBuilder streamed = new StringBuilder();
            Chat.Answer first = chat.ask("what is it?", List.of(picture()), SHORT, piece -> {
                streamed.append(piece);
                return true;
            });
            assertThat(streamed.toString().strip()).isEqualTo(first.text());
            Chat.Answer second = chat.ask("and now?", List.of(), SHORT, Chat.Listener.NONE);
            assertThat(second.reusedTokens()).isGreaterThan(first.promptTokens() - 2);
            assertThat(chat.history()).hasSize(2);

            chat.reset();
            assertThat(chat.ask("what is it?", List.of(picture()), SHORT, Chat.Listener.NONE)
                            .text())
                    .isEqualTo(first.text());
            assertThat(chat.ask("and now?", List.of(), SHORT, Chat.Listener.NONE)
                            .text())
                    .isEqualTo(second.text());
        }
    }

    @Test
    void theListenerEndsAnAnswer() {
        try (Chat chat = Chat.load(MODEL)) {
            Chat.Answer a =
                    chat.ask("what is it?", List.of(picture()), Chat.Options.DEFAULT.withMaxTokens(40), piece -> false);
            assertThat(a.end()).isNotEqualTo(Chat.End.LENGTH);
            assertThat(a.tokens()).isLessThan(40);
        }
    }

    @Test
    void whatCannotBeAskedIsRefusedAndForgotten() {
        try (Chat chat = Chat.load(MODEL)) {
            assertThatThrownBy(() -> chat.ask("a <image> and <image>", List.of(picture()), SHORT, Chat.Listener.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("places");
            assertThatThrownBy(() -> chat.ask("x ".repeat(600), List.of(), SHORT, Chat.Listener.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("tokens");
            assertThatThrownBy(() -> chat.ask(" ", List.of(), SHORT, Chat.Listener.NONE))
                    .isInstanceOf(UserError.class);
            assertThat(chat.history()).isEmpty();
        }
        assertThatThrownBy(() -> Chat.load(Path.of("cases/language/llama_gqa/model")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer");
    }

    @Test
    void aPackedModelAnswers() {
        ChatModel.Precision packed = new ChatModel.Precision(DType.BFLOAT16, PackedWeight.Kind.INT8);
        try (Chat chat = Chat.load(MODEL, packed)) {
            assertThat(chat.ask("what is it?", List.of(picture()), SHORT, Chat.Listener.NONE)
                            .tokens())
                    .isPositive();
        }
    }

    @Test
    void anAnswerKeepsToASchema() {
        JsonSchema schema = JsonSchema.of(
                """
                {"type": "object", "required": ["animal", "legs"], "properties": {
                  "animal": {"enum": ["fox", "bee"]}, "legs": {"type": "integer"}}}
                """);
        try (Chat chat = Chat.load(MODEL)) {
            Chat.Options o =
                    Chat.Options.DEFAULT.withMaxTokens(300).with(Sampling.of(1)).with(schema);
            Chat.Answer a = chat.ask("what is it?", List.of(picture()), o, Chat.Listener.NONE);
            Json json = Json.parse("answer", a.text());
            assertThat(json.require("animal")).isIn("fox", "bee");
            assertThat(json.has("legs")).isTrue();
            assertThat(a.end()).isEqualTo(Chat.End.SAID);
        }
    }

    @Test
    void theStreamIsTheAnswerAndCancellingEndsIt() throws InterruptedException {
        try (Chat chat = Chat.load(MODEL)) {
            StringBuilder told = new StringBuilder();
            CountDownLatch done = new CountDownLatch(1);
            chat.stream("what is it?", List.of(picture()), SHORT).subscribe(new Flow.Subscriber<String>() {
                @Override
                public void onSubscribe(Flow.Subscription s) {
                    s.request(Long.MAX_VALUE);
                }

                @Override
                public void onNext(String piece) {
                    told.append(piece);
                }

                @Override
                public void onError(Throwable e) {
                    done.countDown();
                }

                @Override
                public void onComplete() {
                    done.countDown();
                }
            });
            assertThat(done.await(60, TimeUnit.SECONDS)).isTrue();
            assertThat(told.toString().strip()).isEqualTo(chat.history().get(0).answer());
        }
    }
}
