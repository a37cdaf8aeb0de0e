package dev.zoetrope.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.internal.JsonSchemaElementUtils;
import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.ChatModel.Turn;
import dev.zoetrope.tasks.JsonSchema;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Conversations about pictures, or without any; whole answers or streamed ones, and answers that keep to a JSON schema.
 *
 * <pre>{@code
 * try (var model = ZoetropeChatModel.load(Path.of("llava-1.5-7b-hf"))) {
 *     String answer = model.chat("What is a zoetrope?");
 * }
 * }</pre>
 *
 * What a request has in common with the one before is not computed again. One at a time: calls from several threads wait for
 * each other.
 */
public final class ZoetropeChatModel implements ChatModel, StreamingChatModel, AutoCloseable {
    private final Chat chat;
    private final Sampling sampling;

    private ZoetropeChatModel(Chat chat, Sampling sampling) {
        this.chat = chat;
        this.sampling = sampling;
    }

    /** The folder of a chat model; tokens are chosen as its generation_config.json says. */
    public static ZoetropeChatModel load(Path folder) {
        return new ZoetropeChatModel(Chat.load(folder), Chat.sampling(folder));
    }

    @Override
    public ChatResponse doChat(ChatRequest request) {
        return answer(request, Chat.Listener.NONE);
    }

    @Override
    public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
        ChatResponse response;
        try {
            response = answer(request, piece -> {
                handler.onPartialResponse(piece);
                return true;
            });
        } catch (RuntimeException e) {
            handler.onError(e);
            return;
        }
        handler.onCompleteResponse(response);
    }

    private ChatResponse answer(ChatRequest request, Chat.Listener listener) {
        if (!request.toolSpecifications().isEmpty()) {
            throw new UserError("tools are not supported by " + chat.model().name());
        }
        Talk talk = talk(request.messages());
        Chat.Answer answer;
        synchronized (this) {
            chat.resume(talk.said);
            answer = chat.ask(talk.question, talk.images, options(request.parameters()), listener);
        }
        return ChatResponse.builder()
                .aiMessage(AiMessage.from(answer.text()))
                .modelName(chat.model().name())
                .tokenUsage(new TokenUsage(answer.promptTokens(), answer.tokens()))
                .finishReason(answer.end() == Chat.End.SAID ? FinishReason.STOP : FinishReason.LENGTH)
                .build();
    }

    private Chat.Options options(ChatRequestParameters p) {
        Sampling s = sampling;
        if (p.temperature() != null) {
            s = p.temperature() == 0 ? Sampling.GREEDY : s.withTemperature(p.temperature());
        }
        s = p.topP() == null ? s : s.withTopP(p.topP());
        s = p.topK() == null ? s : s.withTopK(p.topK());
        Chat.Options o = Chat.Options.DEFAULT.with(s);
        o = p.maxOutputTokens() == null ? o : o.withMaxTokens(p.maxOutputTokens());
        o = p.stopSequences() == null ? o : o.withStops(p.stopSequences());
        @Nullable JsonSchema schema = schema(p.responseFormat());
        return schema == null ? o : o.with(schema);
    }

    private static @Nullable JsonSchema schema(@Nullable ResponseFormat format) {
        if (format == null || format.type() == ResponseFormatType.TEXT) {
            return null;
        }
        return format.jsonSchema() == null
                ? JsonSchema.OBJECT
                : JsonSchema.of(Json.of(
                        "the schema",
                        JsonSchemaElementUtils.toMap(format.jsonSchema().rootElement())));
    }

    private record Talk(List<Turn> said, String question, List<Image> images) {}

    /** What a system message says stands in front of the first question. */
    private static Talk talk(List<ChatMessage> messages) {
        List<Turn> said = new ArrayList<>();
        List<String> question = new ArrayList<>();
        List<Image> images = new ArrayList<>();
        boolean asked = false;
        for (ChatMessage m : messages) {
            if (m instanceof SystemMessage system) {
                question.add(system.text());
            } else if (m instanceof UserMessage user) {
                for (Content c : user.contents()) {
                    add(c, question, images);
                }
                asked = true;
            } else if (m instanceof AiMessage ai && asked) {
                said.add(new Turn(String.join("\n", question), images, ai.text() == null ? "" : ai.text()));
                question.clear();
                images = new ArrayList<>();
                asked = false;
            } else {
                throw new UserError("a message of " + m.type() + " has no place here");
            }
        }
        if (!asked) {
            throw new UserError("the last message is not the user's");
        }
        return new Talk(said, String.join("\n", question), images);
    }

    private static void add(Content content, List<String> question, List<Image> images) {
        if (content instanceof TextContent text) {
            question.add(text.text());
        } else if (content instanceof ImageContent image) {
            images.add(Pictures.read(image.image()));
        } else {
            throw new UserError("this model reads texts and pictures, not " + content.type());
        }
    }

    @Override
    public ChatResponse chat(ChatRequest request) {
        return ChatModel.super.chat(request);
    }

    @Override
    public ChatRequestParameters defaultRequestParameters() {
        return DefaultChatRequestParameters.EMPTY;
    }

    @Override
    public List<ChatModelListener> listeners() {
        return List.of();
    }

    @Override
    public ModelProvider provider() {
        return ModelProvider.OTHER;
    }

    @Override
    public Set<Capability> supportedCapabilities() {
        return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
    }

    @Override
    public void close() {
        chat.close();
    }
}
