package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.cogvlm.CogVlmPrompt;
import dev.zoetrope.models.cogvlm.CogVlmPrompt.Exchange;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Observer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Steps;
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
    void whatIsRememberedOfAConversationChangesNoAnswer() {
        try (Chat chat = Chat.load(MODEL)) {
            Chat.Answer first = chat.ask("What is this?", List.of(picture), SHORT, Chat.Listener.NONE);
            Chat.Answer second = chat.ask("Why?", List.of(), SHORT, Chat.Listener.NONE);
            assertThat(second.reusedTokens()).isGreaterThanOrEqualTo(first.promptTokens());
            assertThat(second.text()).isEqualTo(atOnce(new Exchange("What is this?", first.text()), "Why?"));
        }
    }

    private String atOnce(Exchange before, String question) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                CogVlm model = CogVlm.load(MODEL);
                Tokenizer tokenizer = Tokenizer.open(MODEL);
                KvCache cache = new KvCache()) {
            String text = model.config().template().text(List.of(before), question);
            CogVlmPrompt.Tokens tokens = CogVlmPrompt.tokens(model.config(), tokenizer, text, true);
            Tensor seen = model.imageTokens(CogVlmPrompt.pixels(model.config(), List.of(picture)));
            CogVlm.Row row = model.read(tokens.idTensor(), tokens.typeTensor(), null, seen);
            Generation.Options options =
                    Generation.Options.greedy(SHORT.maxTokens()).withTokensOf(MODEL);
            try (Steps steps = row.start(cache)) {
                Tensor said =
                        Generation.run(steps, tokens.idTensor(), options, Generation.Listener.NONE, Observer.NONE);
                return tokenizer.decode(said.toLongs(), true).strip();
            }
        }
    }

    @Test
    void morePicturesThanTheModelTakesAreRefused() {
        try (Chat chat = Chat.load(MODEL)) {
            assertThatThrownBy(() -> chat.ask("Which?", List.of(picture, picture), SHORT, Chat.Listener.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("at most 1 pictures");
        }
    }
}
