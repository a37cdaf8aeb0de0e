package dev.zoetrope.langchain4j;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.ContentType;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Vectors of texts and pictures in one space, by CLIP or SigLIP.
 *
 * <pre>{@code
 * try (var model = ZoetropeEmbeddingModel.builtIn()) {
 *     float[] text = model.embed("a fox on blue").content().vector();
 * }
 * }</pre>
 *
 * Safe for use by several threads at once.
 */
public final class ZoetropeEmbeddingModel implements EmbeddingModel, AutoCloseable {
    private final Embed model;

    private ZoetropeEmbeddingModel(Embed model) {
        this.model = model;
    }

    /** A CLIP or SigLIP with processor and tokenizer in one folder. */
    public static ZoetropeEmbeddingModel load(Path folder) {
        return new ZoetropeEmbeddingModel(Embed.load(folder));
    }

    /** The small CLIP of Carousel that comes with Zoetrope. */
    public static ZoetropeEmbeddingModel builtIn() {
        return new ZoetropeEmbeddingModel(Embed.builtIn());
    }

    @Override
    public EmbeddingResponse doEmbed(EmbeddingRequest request) {
        List<Embedding> all = new ArrayList<>();
        for (EmbeddingInput input : request.inputs()) {
            all.add(Embedding.from(vector(input)));
        }
        return EmbeddingResponse.builder()
                .embeddings(all)
                .modelName(modelName())
                .build();
    }

    private float[] vector(EmbeddingInput input) {
        if (input.contents().size() != 1) {
            throw new UserError("an input of " + input.contents().size()
                    + " parts has no one vector here; give a text or a picture each");
        }
        Content content = input.contents().get(0);
        if (content instanceof TextContent text) {
            return model.text(text.text());
        }
        if (content instanceof ImageContent image) {
            return model.image(Pictures.read(image.image()));
        }
        throw new UserError("this model embeds texts and pictures, not " + content.type());
    }

    @Override
    public Set<ContentType> supportedContentTypes() {
        return Set.of(ContentType.TEXT, ContentType.IMAGE);
    }

    @Override
    public int dimension() {
        return model.width();
    }

    @Override
    public String modelName() {
        return model.name();
    }

    @Override
    public void close() {
        model.close();
    }
}
