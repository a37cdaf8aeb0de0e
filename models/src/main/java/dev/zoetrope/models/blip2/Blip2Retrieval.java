package dev.zoetrope.models.blip2;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * BLIP-2's first stage as a model for finding pictures by texts and texts by pictures, arXiv:2301.12597
 * (Salesforce/blip2-itm-vit-g). Pictures and texts are compared apart, by the best of a picture's queries (ITC), or read
 * together, which costs a pass a pair and tells more (ITM).
 *
 * <p>Axes: B rows, I pictures, F features of a picture, V their width, Q queries, T tokens of a text, H width of the
 * Q-Former, E image_text_hidden_size.
 */
public final class Blip2Retrieval implements AutoCloseable {
    /**
     * @param queries Q
     * @param shared E
     */
    public record Config(Blip2Vision.Config vision, QFormer.Config qformer, int queries, int shared) {
        public Config {
            Check.positive(queries, "num_query_tokens");
            Check.positive(shared, "image_text_hidden_size");
        }

        public static Config of(Json j) {
            Json q = j.at("qformer_config");
            if (!q.get("use_qformer_text_input", false)) {
                throw q.unsupported("use_qformer_text_input", "true, as texts are read for retrieval");
            }
            return new Config(
                    Blip2Vision.Config.of(j.at("vision_config")),
                    QFormer.Config.of(q),
                    j.get("num_query_tokens", 32),
                    j.get("image_text_hidden_size", 256));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Blip2Vision vision;
    private final Tensor queries;
    private final Embedding words;
    private final Embedding positions;
    private final QFormer qformer;
    private final Linear visionProjection;
    private final Linear textProjection;
    private final Linear matchHead;

    public Blip2Retrieval(Config c, Weights published) {
        QFormer.Config q = c.qformer;
        Weights w = published.initialised((name, init) -> QFormer.initial(q, name, init));
        weights = published;
        config = c;
        vision = new Blip2Vision(c.vision, w.at("vision_model"));
        queries = w.tensor("query_tokens", 1, c.queries, q.hidden());
        words = new Embedding(w.at("embeddings.word_embeddings"), q.vocabularySize(), q.hidden());
        positions = new Embedding(w.at("embeddings.position_embeddings"), q.positions(), q.hidden());
        qformer = new QFormer(q, w.at("qformer"));
        visionProjection = new Linear(w.at("vision_projection"), q.hidden(), c.shared);
        textProjection = new Linear(w.at("text_projection"), q.hidden(), c.shared);
        matchHead = new Linear(w.at("itm_head"), q.hidden(), 2);
        w.ignorable("embeddings\\.position_ids|cls\\..*|temp"); // the latter of pretraining
    }

    public static Blip2Retrieval load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Blip2Retrieval(Config.of(json), w));
    }

    /** The frozen part: {@code [I, 3, height, width] -> [I, F, V]}. */
    public Tensor features(Tensor pixels) {
        return vision.forward(pixels);
    }

    /** What each query finds, of unit length in the space shared with texts: {@code [I, F, V] -> [I, Q, E]}. */
    public Tensor images(Tensor features) {
        try (Scope s = Scope.open()) {
            Tensor found = qformer.forward(queries.expand(features.size(0), -1, -1), null, null, features);
            return s.keep(unit(visionProjection.forward(found)));
        }
    }

    /**
     * Texts of unit length in the space shared with pictures.
     *
     * @param ids {@code [B, T]} INT64, of BERT's tokenizer
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, E]}
     */
    public Tensor texts(Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            Tensor allowed = mask == null ? null : columns(mask);
            Tensor read = qformer.forward(null, embedded(ids), allowed, null); // [B, T, H]
            return s.keep(unit(textProjection.forward(read.select(1, 0))));
        }
    }

    /** Cosine of a text and the query of a picture that is nearest to it: {@code [I, Q, E], [B, E] -> [I, B]}. */
    public Tensor similarity(Tensor images, Tensor texts) {
        try (Scope s = Scope.open()) {
            return s.keep(images.matmul(texts.transpose(0, 1)).amax(false, 1));
        }
    }

    /**
     * Pictures and texts read together, row by row, every token seeing all others.
     *
     * @param features {@code [B, F, V]}
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, Q + T, H]}, the queries first
     */
    public Tensor joint(Tensor features, Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            Tensor allowed = mask == null ? null : columns(withQueries(mask));
            Tensor asking = queries.expand(features.size(0), -1, -1);
            return s.keep(qformer.forward(asking, embedded(ids), allowed, features));
        }
    }

    /** Scores of not belonging together and of belonging together: {@code [B, Q + T, H] -> [B, 2]}. */
    public Tensor matchLogits(Tensor joint) {
        try (Scope s = Scope.open()) {
            return s.keep(matchHead.forward(joint.narrow(1, 0, config.queries)).mean(1));
        }
    }

    /**
     * Texts that are written about pictures, token by token: queries do not see the text, a token sees the queries and
     * the text up to itself.
     *
     * @param features {@code [B, F, V]}
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @return {@code [B, T, H]}
     */
    public Tensor written(Tensor features, Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            long n = config.queries + ids.size(1);
            Tensor later = Tensor.ones(n, n).triu(1).ne(0L); // [N, N]
            Tensor column = Tensor.arange(n).unsqueeze(0);
            Tensor row = Tensor.arange(n).unsqueeze(1);
            Tensor query = column.lt((long) config.queries); // [1, N]
            Tensor allowed = query.or(later.not().and(row.ge((long) config.queries)))
                    .to(ids.device())
                    .unsqueeze(0)
                    .unsqueeze(0); // [1, 1, N, N]
            if (mask != null) {
                allowed = allowed.and(columns(withQueries(mask))); // [B, 1, N, N]
            }
            Tensor asking = queries.expand(features.size(0), -1, -1);
            Tensor all = qformer.forward(asking, embedded(ids), allowed, features);
            return s.keep(all.narrow(1, config.queries, ids.size(1)));
        }
    }

    /** {@code [B, T] -> [B, T, H]}. */
    private Tensor embedded(Tensor ids) {
        Check.atMost(
                config.qformer.positions(),
                ids.size(1),
                "max_position_embeddings of the Q-Former,",
                "the number of tokens");
        return words.forward(ids).add(positions.weight().narrow(0, 0, ids.size(1)));
    }

    /** {@code [B, T] -> [B, Q + T]}: queries are always real. */
    private Tensor withQueries(Tensor mask) {
        Tensor ones = Tensor.full(1, mask.dtype(), mask.device(), mask.size(0), config.queries);
        return Tensor.cat(1, ones, mask);
    }

    /** Which tokens may be seen, {@code [B, N] -> [B, 1, 1, N]}. */
    private static Tensor columns(Tensor mask) {
        return mask.ne(0L).unsqueeze(1).unsqueeze(1);
    }

    private static Tensor unit(Tensor x) {
        return x.div(x.norm(true, -1).clamp(1e-12, Double.POSITIVE_INFINITY));
    }

    /** The word table, which writing shares. */
    Tensor wordTable() {
        return words.weight();
    }

    public Config config() {
        return config;
    }

    public Blip2Vision vision() {
        return vision;
    }

    public QFormer qformer() {
        return qformer;
    }

    public Weights weights() {
        return weights;
    }

    @Override
    public void close() {
        weights.close();
    }
}
