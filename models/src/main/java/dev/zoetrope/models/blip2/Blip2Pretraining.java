package dev.zoetrope.models.blip2;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What BLIP-2's first stage trains, arXiv:2301.12597: a {@link Blip2Retrieval} that also writes about pictures, with a
 * learned temperature.
 *
 * <p>Axes: B rows, F features of a picture, V their width, T tokens of a text, L vocabulary.
 */
public final class Blip2Pretraining implements AutoCloseable {
    private static final double FIRST_TEMPERATURE = 0.07;

    private final Blip2Retrieval retrieval;
    private final Linear dense;
    private final LayerNorm norm;
    private final Linear words;
    private final Tensor temperature;

    public Blip2Pretraining(Blip2Retrieval.Config c, Weights published) {
        QFormer.Config q = c.qformer();
        Weights w = published.initialised((name, init) -> QFormer.initial(q, name, init));
        retrieval = new Blip2Retrieval(c, published);
        Weights head = w.at("cls.predictions");
        dense = new Linear(head.at("transform.dense"), q.hidden(), q.hidden());
        norm = new LayerNorm(head.at("transform.LayerNorm"), q.hidden(), q.eps());
        words = new Linear(retrieval.wordTable(), head.tensor("bias", Init.zeros(), q.vocabularySize()));
        temperature = published.tensor("temp", Init.constant(FIRST_TEMPERATURE));
    }

    public static Blip2Pretraining load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Blip2Pretraining(Blip2Retrieval.Config.of(json), w));
    }

    /** The part that is published for retrieval. */
    public Blip2Retrieval retrieval() {
        return retrieval;
    }

    /** By which similarities are divided, a number. */
    public Tensor temperature() {
        return temperature;
    }

    /**
     * Scores of the next token of texts about pictures.
     *
     * @param features {@code [B, F, V]}
     * @param ids {@code [B, T]} INT64, the first of each row the token that starts writing
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, T, L]}
     */
    public Tensor captionLogits(Tensor features, Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            Tensor hidden = retrieval.written(features, ids, mask);
            return s.keep(words.forward(norm.forward(dense.forward(hidden).gelu())));
        }
    }

    @Override
    public void close() {
        retrieval.close();
    }
}
