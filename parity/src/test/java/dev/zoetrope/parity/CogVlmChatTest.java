package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.cogvlm.CogVlmPrompt;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class CogVlmChatTest {
    private static final Path MODEL = Path.of("cases/cogvlm/v2_forward/model");
    private static final Chat.Options SHORT = Chat.Options.DEFAULT.withMaxTokens(8);

    private final Image picture = Images.read(Path.of("cases/cogvlm/prompt/image.png"));

    @Test
    void aRowReadInTwoPartsHasTheSameScores() {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                CogVlm model = CogVlm.load(MODEL);
                Tokenizer tokenizer = Tokenizer.open(MODEL)) {
            CogVlmPrompt.Tokens tokens = CogVlmPrompt.tokens(model.config(), tokenizer, "What is this?", true);
            Tensor seen = model.imageTokens(CogVlmPrompt.pixels(model.config(), List.of(picture)));
            CogVlm.Row row = model.read(tokens.idTensor(), tokens.typeTensor(), null, seen);
            int length = tokens.ids().length;
            Tensor whole = model.logits(row);
            for (int cut : new int[] {3, model.config().tokensPerImage() + 1, length - 1}) { // 3 is within the picture
                try (KvCache cache = new KvCache()) {
                    part(row, 0, cut, cache);
                    Tensor rest = row.reader().logits(part(row, cut, length, cache));
                    assertThat(rest.sub(whole.narrow(1, cut, length - cut))
                                    .abs()
                                    .max()
                                    .item())
                            .isLessThan(1e-4);
                }
            }
        }
    }

    private static Tensor part(CogVlm.Row row, int from, int to, KvCache cache) {
        return row.reader()
                .forward(
                        row.embedded().narrow(1, from, to - from),
                        null,
                        row.positions().narrow(1, from, to - from),
                        cache);
    }

    @Test
    void aConversationRemembersThePictureAndTakesNoSecond() {
        try (Chat chat = Chat.load(MODEL)) {
            Chat.Answer first = chat.ask("What is this?", List.of(picture), SHORT, Chat.Listener.NONE);
            Chat.Answer second = chat.ask("Why?", List.of(), SHORT, Chat.Listener.NONE);
            assertThat(second.reusedTokens()).isGreaterThanOrEqualTo(first.promptTokens());
            assertThatThrownBy(() -> chat.ask("And this?", List.of(picture), SHORT, Chat.Listener.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("at most 1 pictures");
        }
    }
}
