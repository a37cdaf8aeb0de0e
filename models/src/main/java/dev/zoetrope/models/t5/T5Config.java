package dev.zoetrope.models.t5;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.nn.Act;

/**
 * @param vocabularySize rows of the word table
 * @param hidden D, d_model
 * @param headSize d_kv; heads * d_kv may differ from d_model
 * @param intermediate d_ff
 * @param decoderLayers of the text-to-text model
 * @param buckets of relative positions
 * @param maxDistance from which on all positions share a bucket
 * @param activation of the feed-forward layers
 * @param gated whether a second projection multiplies the activation (v1.1 and later)
 * @param biasPerLayer whether every layer has a table of relative positions (UMT5), or the first one's serves all (T5)
 * @param tiedHead whether the word table is also the output projection
 * @param scaledHead whether the decoder's output is multiplied by D^-0.5 before that
 * @param start the decoder's first token
 * @param end the token that ends a text; -1 for none
 */
public record T5Config(
        int vocabularySize,
        int hidden,
        int headSize,
        int intermediate,
        int layers,
        int decoderLayers,
        int heads,
        int buckets,
        int maxDistance,
        double eps,
        Act activation,
        boolean gated,
        boolean biasPerLayer,
        boolean tiedHead,
        boolean scaledHead,
        int start,
        int end) {
    public T5Config {
        Check.positive(vocabularySize, "vocab_size");
        Check.positive(hidden, "d_model");
        Check.positive(headSize, "d_kv");
        Check.positive(heads, "num_heads");
        Check.positive(layers, "num_layers");
        Check.between(4, maxDistance, buckets, "relative_attention_num_buckets");
    }

    public static T5Config of(Json j) {
        boolean umt5 =
                switch (j.get("model_type", "t5")) {
                    case "t5", "mt5" -> false;
                    case "umt5" -> true;
                    default -> throw j.unsupported("model_type", "t5, mt5, umt5");
                };
        String projection = j.get("feed_forward_proj", umt5 ? "gated-gelu" : "relu");
        boolean gated = projection.startsWith("gated-");
        String name = gated ? projection.substring("gated-".length()) : projection;
        // The published "gated-gelu" has always meant the tanh approximation.
        String function = gated && name.equals("gelu") ? "gelu_new" : name;
        int layers = j.get("num_layers", umt5 ? 8 : 6);
        boolean tied = j.get("tie_word_embeddings", true);
        return new T5Config(
                j.get("vocab_size", umt5 ? 250112 : 32128),
                j.get("d_model", 512),
                j.get("d_kv", 64),
                j.get("d_ff", umt5 ? 1024 : 2048),
                layers,
                j.get("num_decoder_layers", layers),
                j.get("num_heads", umt5 ? 6 : 8),
                j.get("relative_attention_num_buckets", 32),
                j.get("relative_attention_max_distance", 128),
                j.get("layer_norm_epsilon", 1e-6),
                j.get("feed_forward_proj", Act.of(function), any -> Act.of(function)),
                gated,
                umt5,
                tied,
                j.get("scale_decoder_outputs", tied),
                j.get("decoder_start_token_id", j.get("pad_token_id", 0)),
                j.get("eos_token_id", -1));
    }
}
