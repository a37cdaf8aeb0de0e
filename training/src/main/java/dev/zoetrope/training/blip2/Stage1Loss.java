package dev.zoetrope.training.blip2;

import dev.zoetrope.models.blip2.Blip2Pretraining;
import dev.zoetrope.models.blip2.Blip2Retrieval;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * The three losses of BLIP-2's first stage on a batch of pictures with their captions, arXiv:2301.12597 section 3.1: the
 * contrast of pictures and texts (ITC), whether a pair belongs together (ITM), and writing the text of a picture (ITG).
 *
 * <p>Axes: B pairs, F features of a picture, V their width, T tokens, L vocabulary.
 *
 * @param start the token that starts writing, in place of the first of a text
 * @param padding the token that fills rows
 * @param smoothing of the labels of ITC and ITG
 */
public record Stage1Loss(int start, int padding, double smoothing) {
    /** What is not known of a class goes to the others alike. */
    public static final double SMOOTHING = 0.1;

    /**
     * A batch.
     *
     * @param features of the frozen image encoder, {@code [B, F, V]}
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens
     */
    public record Batch(Tensor features, Tensor ids, Tensor mask) {}

    /**
     * A picture for each text, and a text for each picture, that do not belong to it.
     *
     * @param images {@code [B]} INT64
     * @param texts {@code [B]} INT64
     */
    public record Negatives(Tensor images, Tensor texts) {
        /** Drawn in proportion to how likely the model takes them for the right ones. */
        public static Negatives draw(Tensor similarity, RandomSource random) {
            try (Scope s = Scope.open()) {
                Tensor known = similarity.detach();
                Tensor own = Tensor.eye(known.size(0)).ne(0L);
                return new Negatives(
                        s.keep(drawn(known.transpose(0, 1), own, random)), s.keep(drawn(known, own, random)));
            }
        }

        private static Tensor drawn(Tensor scores, Tensor own, RandomSource random) {
            // Each keeps a little chance, so that a sure model still draws something.
            Tensor p = scores.to(DType.FLOAT32).softmax(-1).add(1e-4).maskedFill(own, 0);
            return random.multinomial(p, 1, false).select(1, 0);
        }
    }

    /**
     * Cosines of the batch's pictures and texts over the temperature, {@code [image, text]}; {@link #contrast} and the
     * draw of negatives work on it.
     */
    public static Tensor similarity(Blip2Pretraining model, Batch b) {
        try (Scope s = Scope.open()) {
            Blip2Retrieval r = model.retrieval();
            Tensor cosine = r.similarity(r.images(b.features), r.texts(b.ids, b.mask));
            return s.keep(cosine.div(model.temperature()));
        }
    }

    /** ITC: each picture picks its text, and each text its picture. */
    public Tensor contrast(Tensor similarity) {
        try (Scope s = Scope.open()) {
            Tensor own = Tensor.arange(similarity.size(0));
            Tensor texts = Functional.crossEntropy(similarity, own, NextToken.IGNORED, smoothing);
            Tensor images = Functional.crossEntropy(similarity.transpose(0, 1), own, NextToken.IGNORED, smoothing);
            return s.keep(texts.add(images).div(2.0));
        }
    }

    /**
     * Scores of ITM: the pairs as they are, then each text with a wrong picture, then each picture with a wrong text.
     *
     * @return {@code [3 B, 2]}
     */
    public static Tensor matchLogits(Blip2Pretraining model, Batch b, Negatives n) {
        try (Scope s = Scope.open()) {
            Tensor features = Tensor.cat(0, b.features, b.features.indexSelect(0, n.images), b.features);
            Tensor ids = Tensor.cat(0, b.ids, b.ids, b.ids.indexSelect(0, n.texts));
            Tensor mask = Tensor.cat(0, b.mask, b.mask, b.mask.indexSelect(0, n.texts));
            Blip2Retrieval r = model.retrieval();
            return s.keep(r.matchLogits(r.joint(features, ids, mask)));
        }
    }

    /** ITM: of {@link #matchLogits}, the first third belongs together. */
    public static Tensor match(Tensor logits) {
        try (Scope s = Scope.open()) {
            long pairs = logits.size(0) / 3;
            Tensor labels = Tensor.arange(logits.size(0)).lt(pairs).mul(1L);
            return s.keep(Functional.crossEntropy(logits, labels));
        }
    }

    /** Scores of ITG, {@code [B, T, L]}. */
    public Tensor captionLogits(Blip2Pretraining model, Batch b) {
        try (Scope s = Scope.open()) {
            Tensor first = Tensor.full(start, DType.INT64, b.ids.device(), b.ids.size(0), 1);
            Tensor ids = Tensor.cat(1, first, b.ids.narrow(1, 1, b.ids.size(1) - 1));
            return s.keep(model.captionLogits(b.features, ids, b.mask));
        }
    }

    /** ITG: each token says which one comes next. */
    public Tensor caption(Tensor logits, Batch b) {
        try (Scope s = Scope.open()) {
            Tensor labels = b.ids.maskedFill(b.ids.eq((long) padding), NextToken.IGNORED);
            return s.keep(NextToken.loss(logits, labels, smoothing));
        }
    }
}
