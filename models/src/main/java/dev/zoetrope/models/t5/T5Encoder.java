package dev.zoetrope.models.t5;

import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The encoder of T5 (arXiv:1910.10683, google/t5-v1_1-xxl), mT5 and UMT5 (google/umt5-xxl) as text encoder of
 * CogVideoX, Latte, PixArt, Stable Diffusion 3, Flux and Wan.
 *
 * <p>Axes: B rows, T tokens, D d_model. Values at padded tokens are as the network leaves them, not zero: some generators
 * use them.
 */
public final class T5Encoder implements AutoCloseable {
    private final Weights weights;
    private final T5Config config;
    private final Embedding words;
    private final T5Stack stack;

    public T5Encoder(T5Config c, Weights published) {
        Weights w = T5Stack.initialised(c, published);
        weights = published;
        config = c;
        words = words(c, w, "encoder");
        stack = new T5Stack(c, w.at("encoder"), false);
        w.ignorable("decoder\\..*|lm_head\\.weight"); // of the text-to-text model
    }

    public static T5Encoder load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new T5Encoder(T5Config.of(json), w));
    }

    /** One table for all: files hold it as shared, as embed_tokens of the stacks, or several times. */
    static Embedding words(T5Config c, Weights w, String... stacks) {
        boolean shared = w.has("shared.weight") || !w.has("encoder.embed_tokens.weight");
        Weights table = shared ? w : w.renamed(n -> n.replace("shared.weight", "encoder.embed_tokens.weight"));
        Embedding words = new Embedding(table.at("shared"), c.vocabularySize(), c.hidden());
        String owner = table.at("shared").path() + ".weight";
        for (String stack : stacks) {
            w.tied(stack + ".embed_tokens.weight", owner);
        }
        return words;
    }

    /**
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, T, D]}
     */
    public Tensor forward(Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = hiddenStates(words.forward(ids), mask);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /** From vectors instead of tokens, {@code [B, T, D]}: what comes out of each block, last of all the output. */
    public List<Tensor> hiddenStates(Tensor embedded, @Nullable Tensor mask) {
        return stack.forward(embedded, mask, null, null, null);
    }

    /** The vectors of tokens. {@code [B, T]} -> {@code [B, T, D]}. */
    public Tensor embed(Tensor ids) {
        return words.forward(ids);
    }

    public T5Config config() {
        return config;
    }

    @Override
    public void close() {
        weights.close();
    }
}
