package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * TinyLLaVA's perceiver resampler, arXiv:2204.14198: learned queries look at the features and at each other.
 *
 * <p>Axes: B pictures, N features, Q queries, D width of the language model.
 */
final class Resampler implements Module {
    private static final double EPS = 1e-5;

    private final Tensor latents;
    private final Linear linear;
    private final List<Layer> layers;
    private final LayerNorm norm;

    Resampler(Weights w, int in, int out, int queries, int depth) {
        latents = w.tensor("latents", Init.normal(1), queries, out);
        linear = new Linear(w.at("linear"), in, out);
        layers = w.at("layers").stack(depth, l -> new Layer(l, out));
        norm = new LayerNorm(w.at("norm"), out, EPS);
    }

    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            Tensor media = linear.forward(features); // [B, N, D]
            Tensor x = latents.unsqueeze(0).expand(features.size(0), -1, -1); // [B, Q, D]
            for (Layer layer : layers) {
                x = layer.forward(x, media);
            }
            return s.keep(norm.forward(x));
        }
    }

    private static final class Layer {
        private static final int HEADS = 8;
        private static final int HEAD = 64; // their width, whatever D

        private final LayerNorm mediaNorm;
        private final LayerNorm latentsNorm;
        private final Linear query;
        private final Linear keyValue;
        private final Linear output;
        private final LayerNorm feedNorm;
        private final Linear up;
        private final Linear down;

        Layer(Weights w, int width) {
            Weights a = w.at("0");
            mediaNorm = new LayerNorm(a.at("norm_media"), width, EPS);
            latentsNorm = new LayerNorm(a.at("norm_latents"), width, EPS);
            query = new Linear(a.at("to_q"), width, HEADS * HEAD, false);
            keyValue = new Linear(a.at("to_kv"), width, 2 * HEADS * HEAD, false);
            output = new Linear(a.at("to_out"), HEADS * HEAD, width, false);
            Weights f = w.at("1");
            feedNorm = new LayerNorm(f.at(0), width, EPS);
            up = new Linear(f.at(1), width, 4L * width, false);
            down = new Linear(f.at(3), 4L * width, width, false);
        }

        Tensor forward(Tensor latents, Tensor media) {
            try (Scope s = Scope.open()) {
                Tensor x = latents.add(attend(latentsNorm.forward(latents), mediaNorm.forward(media)));
                return s.keep(x.add(down.forward(up.forward(feedNorm.forward(x)).gelu())));
            }
        }

        private Tensor attend(Tensor latents, Tensor media) {
            List<Tensor> kv = keyValue.forward(Tensor.cat(1, media, latents)).chunk(2, -1); // [B, N + Q, 512]
            Tensor y = Functional.attention(
                    Heads.split(query.forward(latents), HEADS),
                    Heads.split(kv.get(0), HEADS),
                    Heads.split(kv.get(1), HEADS),
                    null,
                    false,
                    null);
            return output.forward(Heads.merge(y));
        }
    }
}
