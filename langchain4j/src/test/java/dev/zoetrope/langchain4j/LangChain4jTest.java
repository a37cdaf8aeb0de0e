package dev.zoetrope.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.zoetrope.tensor.UserError;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** LangChain4j's interfaces over the small checkpoints of reference cases. */
class LangChain4jTest {
    private static final Path CASES = Path.of("../parity/cases");

    private static Image picture() {
        return Pictures.of(dev.zoetrope.media.Image.filled(48, 32, 0x3060a0), Map.of());
    }

    @Test
    void aStreamedAnswerIsTheWholeOne() {
        try (ZoetropeChatModel model = ZoetropeChatModel.load(CASES.resolve("llava/siglip_qwen2/model"))) {
            ChatRequest request = ChatRequest.builder()
                    .messages(UserMessage.from(TextContent.from("What is it?"), ImageContent.from(picture())))
                    .maxOutputTokens(5)
                    .temperature(0.0)
                    .build();
            ChatResponse whole = model.chat(request);
            StringBuilder pieces = new StringBuilder();
            model.chat(request, new StreamingChatResponseHandler() {
                @Override
                public void onPartialResponse(String piece) {
                    pieces.append(piece);
                }

                @Override
                public void onCompleteResponse(ChatResponse response) {
                    assertThat(response.aiMessage()).isEqualTo(whole.aiMessage());
                }

                @Override
                public void onError(Throwable error) {
                    throw new AssertionError(error);
                }
            });
            assertThat(pieces.toString().strip()).isEqualTo(whole.aiMessage().text());
            assertThat(whole.tokenUsage().outputTokenCount()).isEqualTo(5);
        }
    }

    @Test
    void textsAndPicturesHaveVectorsInOneSpace() {
        try (ZoetropeEmbeddingModel model = ZoetropeEmbeddingModel.load(CASES.resolve("clip/zero_shot/model"))) {
            EmbeddingRequest request = EmbeddingRequest.builder()
                    .inputs(List.of(EmbeddingInput.from("a dog"), EmbeddingInput.from(ImageContent.from(picture()))))
                    .build();
            assertThat(model.embed(request).embeddings()).hasSize(2).allSatisfy(e -> assertThat(e.dimension())
                    .isEqualTo(model.dimension()));
            assertThat(model.embed("a dog").content())
                    .isEqualTo(model.embed(request).embeddings().get(0));
        }
    }

    @Test
    void picturesAreMadeAndMadeAnew() {
        try (ZoetropeImageModel model = ZoetropeImageModel.builtIn().withSeed(7)) {
            Image fox = model.generate("a fox").content();
            Image again = model.withSeed(7).generate("a fox").content();
            assertThat(fox.mimeType()).isEqualTo("image/png");
            assertThat(again).isEqualTo(fox);
            assertThat(model.edit(fox, "a red car").content()).isNotEqualTo(fox);
            Image far =
                    Image.builder().url(URI.create("https://example.com/a.png")).build();
            assertThatThrownBy(() -> model.edit(far, "a fox"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("not fetched");
        }
    }
}
