package dev.zoetrope.models.blip2;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Observer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.t5.T5;
import dev.zoetrope.models.t5.T5Config;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * BLIP-2, arXiv:2301.12597: what the queries of a {@link QFormer} find in a picture goes to a language model, as if it
 * were words (Salesforce/blip2-opt-2.7b with OPT, Salesforce/blip2-flan-t5-xl with T5).
 *
 * <p>Axes: B rows, T tokens, I pictures, F features of a picture, V their width, Q queries, H width of the Q-Former, D
 * width of the language model, L vocabulary.
 */
public final class Blip2 implements AutoCloseable {
    /**
     * @param queries Q
     * @param imageToken stands in a row for each query of a picture; -1 for releases without one, whose pictures stand
     *     before the words
     * @param text the language model's own configuration
     */
    public record Config(Blip2Vision.Config vision, QFormer.Config qformer, int queries, int imageToken, Json text) {
        public Config {
            Check.positive(queries, "num_query_tokens");
        }

        public static Config of(Json j) {
            Json text = j.at("text_config");
            Config c = new Config(
                    Blip2Vision.Config.of(j.at("vision_config")),
                    QFormer.Config.of(j.at("qformer_config")),
                    j.get("num_query_tokens", 32),
                    j.get("image_token_index", j.get("image_token_id", -1)),
                    text);
            j.expect("use_decoder_only_language_model", !c.isTextToText());
            return c;
        }

        /** Whether the language model reads with an encoder and speaks with a decoder. */
        boolean isTextToText() {
            return switch (text.get("model_type", "opt")) {
                case "t5", "mt5", "umt5" -> true;
                default -> false;
            };
        }
    }

    /** What speaks. */
    private sealed interface Speaker {
        Tensor embed(Tensor ids);

        Tensor logits(Splice row, @Nullable Tensor decoderIds);

        Tensor continued(Splice row, Tensor ids, Generation.Options options, Listener listener);
    }

    private record Decoder(LanguageModel model) implements Speaker {
        @Override
        public Tensor embed(Tensor ids) {
            return model.embed(ids);
        }

        @Override
        public Tensor logits(Splice row, @Nullable Tensor decoderIds) {
            return model.logits(model.forward(row.embedded(), row.mask(), row.positions(), null));
        }

        @Override
        public Tensor continued(Splice row, Tensor ids, Generation.Options options, Listener listener) {
            try (KvCache cache = new KvCache();
                    Steps steps = row.prompt().start(model, cache)) {
                return Generation.run(steps, ids, options, listener, Observer.NONE);
            }
        }
    }

    private record TextToText(T5 model) implements Speaker {
        @Override
        public Tensor embed(Tensor ids) {
            return model.embed(ids);
        }

        @Override
        public Tensor logits(Splice row, @Nullable Tensor decoderIds) {
            if (decoderIds == null) {
                throw new IllegalArgumentException("a text-to-text model needs the tokens said so far");
            }
            List<Tensor> decoded = model.decode(decoderIds, encoded(row), row.mask());
            return model.logits(decoded.get(decoded.size() - 1));
        }

        @Override
        public Tensor continued(Splice row, Tensor ids, Generation.Options options, Listener listener) {
            try (Steps steps = model.start(encoded(row), row.mask())) {
                return Generation.run(steps, model.startTokens(ids.size(0)), options, listener, Observer.NONE);
            }
        }

        private Tensor encoded(Splice row) {
            List<Tensor> all = model.encode(row.embedded(), row.mask());
            return all.get(all.size() - 1);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Blip2Vision vision;
    private final Tensor queries;
    private final QFormer qformer;
    private final Linear projection;
    private final Speaker speaker;

    public Blip2(Config c, Weights published) {
        Weights named = published.initialised(
                (name, init) -> name.contains("language_model.") ? init : QFormer.initial(c.qformer, name, init));
        Weights w = named.packed(null); // only the language model is large
        weights = published;
        config = c;
        vision = new Blip2Vision(c.vision, w.at("vision_model"));
        queries = w.tensor("query_tokens", 1, c.queries, c.qformer.hidden());
        qformer = new QFormer(c.qformer, w.at("qformer"));
        Weights language = named.at("language_model");
        int width;
        if (c.isTextToText()) {
            T5Config t5 = T5Config.of(c.text);
            width = t5.hidden();
            projection = new Linear(w.at("language_projection"), c.qformer.hidden(), width);
            speaker = new TextToText(new T5(t5, language));
        } else {
            LanguageModel decoder = LanguageModel.of(c.text.get("model_type", "opt"), c.text, language);
            width = decoder.width();
            projection = new Linear(w.at("language_projection"), c.qformer.hidden(), width);
            speaker = new Decoder(decoder);
        }
        w.ignorable("qformer\\.embeddings\\.position_ids");
    }

    /** Opens a release, in float32. */
    public static Blip2 load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static Blip2 load(Path folder, DType type) {
        return load(folder, type, null);
    }

    /** @param packing of the language model's matrices; null for none */
    public static Blip2 load(Path folder, DType type, PackedWeight.@Nullable Kind packing) {
        return Pretrained.load(
                folder, (json, w) -> new Blip2(Config.of(json), w.as(type).packed(packing)));
    }

    /** Pictures as words of the language model, {@code [I, 3, height, width] -> [I, Q, D]}. */
    public Tensor imageTokens(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(projected(found(vision.forward(pixels))));
        }
    }

    /** What the queries find in features, after each block of the Q-Former: {@code [I, F, V] -> [I, Q, H]} each. */
    public List<Tensor> asked(Tensor features) {
        return qformer.hiddenStates(queries.expand(features.size(0), -1, -1), null, null, features);
    }

    private Tensor found(Tensor features) {
        return qformer.forward(queries.expand(features.size(0), -1, -1), null, null, features);
    }

    /** {@code [I, Q, H] -> [I, Q, D]}. */
    public Tensor projected(Tensor found) {
        return projection.forward(found);
    }

    /**
     * Words and pictures as one row of vectors.
     *
     * @param ids {@code [B, T]} INT64 with {@link Config#imageToken} for each query of a picture
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @param images {@code [I, Q, D]} in reading order; one a row for releases without an image token
     */
    public Splice join(Tensor ids, @Nullable Tensor mask, Tensor images) {
        try (Scope s = Scope.open()) {
            if (config.imageToken >= 0) {
                return kept(s, splice(ids, mask, images));
            }
            if (images.size(0) != ids.size(0)) {
                throw new UserError("this release takes one picture a row; there are " + images.size(0)
                        + " pictures and " + ids.size(0) + " rows");
            }
            Tensor places = Tensor.zeros(DType.INT64, ids.device(), ids.size(0), config.queries);
            Tensor real = mask == null ? null : Tensor.cat(1, places.add(1L), mask);
            return kept(s, splice(Tensor.cat(1, places.sub(1L), ids), real, images));
        }
    }

    private Splice splice(Tensor ids, @Nullable Tensor mask, Tensor images) {
        return Splice.of(
                speaker::embed, Splice.Rule.IN_PLACE, config.imageToken, Integer.MAX_VALUE, ids, mask, null, images);
    }

    private static Splice kept(Scope s, Splice row) {
        s.keep(row.embedded());
        s.keep(row.mask());
        return row;
    }

    /**
     * Scores of the next token, {@code [B, T, L]}.
     *
     * @param decoderIds {@code [B, T]} INT64, what a text-to-text model has said so far, from its start token on; null
     *     for a decoder, which scores each place of the row
     */
    public Tensor logits(Splice row, @Nullable Tensor decoderIds) {
        try (Scope s = Scope.open()) {
            return s.keep(speaker.logits(row, decoderIds));
        }
    }

    /**
     * What follows on rows, {@code [B, new]}.
     *
     * @param ids {@code [B, T]} INT64, what counts as said where repetition is penalised
     */
    public Tensor generate(Splice row, Tensor ids, Generation.Options options, Listener listener) {
        try (Scope s = Scope.open()) {
            return s.keep(speaker.continued(row, ids, options, listener));
        }
    }

    /** What generated text of these rows starts with: the rows themselves, or the start token of a text-to-text model. */
    public Tensor said(Tensor ids) {
        return speaker instanceof TextToText t ? t.model.startTokens(ids.size(0)) : ids;
    }

    public Config config() {
        return config;
    }

    public Blip2Vision vision() {
        return vision;
    }

    public Weights weights() {
        return weights;
    }

    @Override
    public void close() {
        weights.close();
    }
}
