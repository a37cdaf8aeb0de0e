package dev.zoetrope.bench;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.blip2.QFormer;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.cogvideox.CogVideoXTransformer;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.latte.LatteTransformer;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamConfig;
import dev.zoetrope.models.sam.SamImageEncoder;
import dev.zoetrope.models.sam.SamPrompts;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.models.wan.WanTransformer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Optimizer;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * @param work what one run does, so that another implementation can do the same
 * @param gradients whether they are recorded
 */
record Measurement(String name, String work, boolean gradients, Preparation prepare) {

    /** Makes weights and inputs, owned by the innermost scope or by the work. */
    @FunctionalInterface
    interface Preparation {
        Work of(DType dtype);
    }

    /** One run. */
    @FunctionalInterface
    interface Work extends AutoCloseable {
        Tensor run();

        @Override
        default void close() {
            // what only holds tensors of a scope has nothing to free
        }
    }

    private static final String TINY_LLAMA =
            """
            {"model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
             "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
             "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}""";
    private static final String SEVEN_BILLION =
            """
            {"model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
             "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 4096,
             "rms_norm_eps": 1e-5}""";

    static final List<Measurement> ALL = List.of(
            new Measurement("matmul-1024", "product of two 1024x1024 matrices", false, dtype -> {
                Tensor a = normal(dtype, 1024, 1024);
                Tensor b = normal(dtype, 1024, 1024);
                return () -> a.matmul(b);
            }),
            new Measurement("linear-1024-768-3072", "1024 rows of 768 numbers to 3072, with bias", false, dtype -> {
                Tensor x = normal(dtype, 1, 1024, 768);
                Tensor w = normal(dtype, 3072, 768);
                Tensor b = normal(dtype, 3072);
                return () -> Functional.linear(x, w, b);
            }),
            new Measurement(
                    "conv3x3-128-64", "3x3 convolution, 128 to 128 channels at 64x64, batch 1", false, dtype -> {
                        Tensor x = normal(dtype, 1, 128, 64, 64);
                        Tensor w = normal(dtype, 128, 128, 3, 3);
                        Tensor b = normal(dtype, 128);
                        return () -> Functional.conv2d(x, w, b, 1, 1, 1, 1);
                    }),
            new Measurement("attention-12x1024x64", "attention of 12 heads, 1024 positions, 64 wide", false, dtype -> {
                Tensor q = normal(dtype, 1, 12, 1024, 64);
                Tensor k = normal(dtype, 1, 12, 1024, 64);
                Tensor v = normal(dtype, 1, 12, 1024, 64);
                return () -> Functional.attention(q, k, v, null, false, null);
            }),
            new Measurement("vit-b16-b1", "ViT-B/16 (86.6M) logits of 1 image 224x224", false, dtype -> vit(dtype, 1)),
            new Measurement("vit-b16-b8", "ViT-B/16 (86.6M) logits of 8 images 224x224", false, dtype -> vit(dtype, 8)),
            new Measurement(
                    "clip-b32",
                    "CLIP ViT-B/32: 8 images 224x224 and 8 texts of 77 tokens, similarity matrix",
                    false,
                    Measurement::clip),
            new Measurement(
                    "vit-b16-train",
                    "ViT-B/16 training step, batch 8 at 224x224: cross-entropy, backward, AdamW",
                    true,
                    Measurement::vitTraining),
            new Measurement("sam-b-encoder", "SAM ViT-B image encoder, 1 image 1024x1024", false, dtype -> {
                Weights w = weights(dtype);
                SamImageEncoder encoder = new SamImageEncoder(SamImageEncoder.Config.of(Json.empty()), w);
                fill(w);
                Tensor x = normal(dtype, 1, 3, 1024, 1024);
                return holding(w, () -> encoder.forward(x));
            }),
            new Measurement(
                    "sam-b-decoder",
                    "SAM prompt encoder + mask decoder on a ready image embedding: 64 prompts of 1 point, 3 masks each "
                            + "(256x256)",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        Sam sam = new Sam(SamConfig.of(Json.empty()), w);
                        fill(w);
                        Tensor embedding = normal(dtype, 1, 256, 64, 64);
                        Tensor points = normal(dtype, 1, 64, 1, 2).abs().mul(300);
                        Tensor labels = Tensor.arange(64).mul(0L).add(1L).reshape(1, 64, 1);
                        SamPrompts prompts = SamPrompts.points(points, labels);
                        return holding(
                                w, () -> sam.decode(embedding, prompts, true).masks());
                    }),
            new Measurement(
                    "sd15-unet-step",
                    "Stable Diffusion 1.5 U-Net (860M), one step: latents 2x4x64x64 (guidance: batch 2), 77 text"
                            + " tokens",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        ConditionalUnet model = new ConditionalUnet(ConditionalUnet.Config.sd1(), w);
                        fill(w);
                        Tensor x = normal(dtype, 2, 4, 64, 64);
                        Condition words = Condition.ofText(normal(dtype, 2, 77, 768));
                        Tensor t = Tensor.of(new long[] {500, 500}, 2);
                        return holding(w, () -> model.forward(x, t, words));
                    }),
            new Measurement(
                    "sd-vae-decode",
                    "Stable Diffusion autoencoder: decode 1x4x64x64 latents to 512x512",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        AutoencoderKl model = new AutoencoderKl(AutoencoderKl.Config.sd1(), w);
                        fill(w);
                        Tensor z = normal(dtype, 1, 4, 64, 64);
                        return holding(w, () -> model.decode(z));
                    }),
            new Measurement(
                    "dit-xl2-block",
                    "one block of DiT-XL/2 (1152 wide, 16 heads): 2 pictures of 256 tokens, embedding of time and"
                            + " label included",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        Dit.Block block = new Dit.Block(Dit.Config.xl2(), w);
                        fill(w);
                        Tensor x = normal(dtype, 2, 256, 1152);
                        Tensor t = Tensor.of(new long[] {500, 500}, 2);
                        Tensor y = Tensor.of(new long[] {207, 1000}, 2);
                        return holding(w, () -> block.forward(x, t, y));
                    }),
            new Measurement(
                    "dit-xl2-256-step",
                    "DiT-XL/2 (675M), one step at 256x256: latents 2x4x32x32 (guidance: batch 2), class labels",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        Dit model = new Dit(Dit.Config.xl2(), w);
                        fill(w);
                        Tensor x = normal(dtype, 2, 4, 32, 32);
                        Tensor t = Tensor.of(new long[] {500, 500}, 2);
                        Tensor y = Tensor.of(new long[] {207, 1000}, 2);
                        return holding(w, () -> model.forward(x, t, y));
                    }),
            new Measurement(
                    "blip2-qformer",
                    "BLIP-2 Q-Former (12 layers, 768, cross-attention every 2nd): 32 queries on 257x1408 image"
                            + " features, batch 8",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        QFormer model = new QFormer(QFormer.Config.of(Json.empty()), w);
                        fill(w);
                        Tensor queries = normal(dtype, 8, 32, 768);
                        Tensor features = normal(dtype, 8, 257, 1408);
                        return holding(w, () -> model.forward(queries, null, null, features));
                    }),
            new Measurement(
                    "cogvideox-2b-step",
                    "CogVideoX-2b transformer (1.69B), one step without guidance: 9 frames 256x256 = latents"
                            + " 1x3x16x32x32, 226 text tokens (994 tokens in all)",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        CogVideoXTransformer model =
                                new CogVideoXTransformer(CogVideoXTransformer.Config.published2b(), w);
                        fill(w);
                        Tensor x = normal(dtype, 1, 3, 16, 32, 32);
                        Tensor words = normal(dtype, 1, 226, 4096);
                        Tensor t = Tensor.of(new long[] {500}, 1);
                        return holding(w, () -> model.forward(x, t, words, null));
                    }),
            new Measurement(
                    "latte-xl2-step",
                    "Latte-1 transformer (1.06B), one step without guidance: 16 frames 256x256 = latents 1x4x16x32x32, "
                            + "120 text tokens",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        LatteTransformer model = new LatteTransformer(LatteTransformer.Config.published(32), w);
                        fill(w);
                        Tensor x = normal(dtype, 1, 4, 16, 32, 32);
                        Tensor words = normal(dtype, 1, 120, 4096);
                        Tensor t = Tensor.of(new long[] {500}, 1);
                        return holding(w, () -> model.forward(x, t, words, true));
                    }),
            new Measurement(
                    "wan-1.3b-step",
                    "Wan 2.1 T2V-1.3B transformer (1.42B), one step without guidance: 9 frames 256x256 = latents "
                            + "1x16x3x32x32, 512 text tokens",
                    false,
                    dtype -> {
                        Weights w = weights(dtype);
                        WanTransformer model = new WanTransformer(WanTransformer.Config.published13b(), w);
                        fill(w);
                        Tensor x = normal(dtype, 1, 16, 3, 32, 32);
                        Tensor words = normal(dtype, 1, 512, 4096);
                        Tensor t = Tensor.of(new long[] {500}, 1);
                        return holding(w, () -> model.forward(x, t, words, null));
                    }),
            new Measurement(
                    "dit-b2-train",
                    "DiT-B/2 (130M) training step at 32x32x4 latents, batch 8: forward, noise loss on the first 4"
                            + " channels, backward, AdamW",
                    true,
                    Measurement::training),
            new Measurement(
                    "llama-1.1b-prefill-512",
                    "TinyLlama-1.1B: prefill of 512 tokens with a key-value cache, logits of the last position",
                    false,
                    dtype -> llama(dtype, null, model -> {
                        Tensor ids = tokens(512);
                        return () -> {
                            try (KvCache cache = new KvCache();
                                    Steps steps = Prompt.of(model, ids, null).start(model, cache)) {
                                return steps.first();
                            }
                        };
                    })),
            new Measurement(
                    "llama-1.1b-decode-64",
                    "TinyLlama-1.1B: greedy decoding of 64 tokens after a 32-token prompt (prompt included)",
                    false,
                    dtype -> llama(dtype, null, Measurement::decoding)),
            new Measurement(
                    "llama-1.1b-decode-64-int8",
                    "the same with matrices of 8-bit numbers; activations in bfloat16 whatever the type asked for",
                    false,
                    dtype -> llama(DType.BFLOAT16, PackedWeight.Kind.INT8, Measurement::decoding)),
            new Measurement(
                    "llama-1.1b-decode-64-int4",
                    "the same with matrices of 4-bit numbers; activations in bfloat16 whatever the type asked for",
                    false,
                    dtype -> llama(DType.BFLOAT16, PackedWeight.Kind.INT4, Measurement::decoding)),
            new Measurement(
                    "llama-7b-decode-8-int4",
                    "Vicuna-7B: greedy decoding of 8 tokens after a 32-token prompt (prompt included), matrices of"
                            + " 4-bit numbers, activations in bfloat16; peak_rss_mb is what loading takes",
                    false,
                    dtype ->
                            llama(SEVEN_BILLION, DType.BFLOAT16, PackedWeight.Kind.INT4, model -> decoding(model, 8))));

    private static Work decoding(LanguageModel model) {
        return decoding(model, 64);
    }

    private static Work decoding(LanguageModel model, int steps) {
        Tensor ids = tokens(32);
        return () -> Generation.run(model, ids, null, Generation.Options.greedy(steps + 1))
                .to(DType.FLOAT32);
    }

    private static Work llama(DType dtype, PackedWeight.@Nullable Kind packing, Function<LanguageModel, Work> work) {
        return llama(TINY_LLAMA, dtype, packing, work);
    }

    private static Work llama(
            String config, DType dtype, PackedWeight.@Nullable Kind packing, Function<LanguageModel, Work> work) {
        Weights w = weights(dtype).packed(packing);
        return holding(w, work.apply(LanguageModel.of(Json.parse("llama", config), w)));
    }

    private static Tensor tokens(long count) {
        try (RandomSource random = RandomSource.of(1)) {
            return random.integers(0, 32000, 1, count);
        }
    }

    private static Vit vit(Weights w) {
        return new Vit(Vit.Config.of(Json.of("vit-base-patch16-224", Map.of("num_labels", 1000))), w);
    }

    private static Work vit(DType dtype, int batch) {
        Weights w = weights(dtype);
        Vit model = vit(w);
        Tensor x = normal(dtype, batch, 3, 224, 224);
        return holding(w, () -> model.forward(x));
    }

    private static Work clip(DType dtype) {
        Weights w = weights(dtype);
        Clip model = new Clip(Clip.Config.of(Json.of("clip-vit-base-patch32", Map.of())), w);
        Tensor x = normal(dtype, 8, 3, 224, 224);
        long[] ids = new long[8 * 77];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i % 77 == 76 ? 49407 : i * 31L % 49000;
        }
        Tensor texts = Tensor.of(ids, 8, 77);
        return holding(w, () -> model.logits(model.images(x), model.texts(texts, null)));
    }

    private static Work vitTraining(DType dtype) {
        Weights w = weights(dtype);
        Vit model = vit(w);
        w.requireGrad(true);
        Optimizer optimizer = new Optimizer(w.named(), Optimizer.AdamW.of(1e-4, 0.01));
        Tensor x = normal(dtype, 8, 3, 224, 224);
        Tensor y = Tensor.arange(0, 1000, 125);
        return new Work() {
            @Override
            public Tensor run() {
                optimizer.zeroGrad();
                Tensor loss = Functional.crossEntropy(model.forward(x).to(DType.FLOAT32), y);
                loss.backward();
                optimizer.step();
                return loss;
            }

            @Override
            public void close() {
                optimizer.close();
                w.close();
            }
        };
    }

    private static Work training(DType dtype) {
        Weights w = weights(dtype);
        Dit model = new Dit(Dit.Config.b2(), w);
        fill(w);
        w.requireGrad(true);
        Optimizer optimizer = new Optimizer(w.named(), Optimizer.AdamW.of(1e-4, 0));
        Tensor x = normal(dtype, 8, 4, 32, 32);
        Tensor noise = normal(dtype, 8, 4, 32, 32);
        Tensor t = Tensor.arange(0, 1000, 125);
        Tensor y = Tensor.arange(0, 1000, 125);
        return new Work() {
            @Override
            public Tensor run() {
                optimizer.zeroGrad();
                Tensor predicted = model.forward(x, t, y).narrow(1, 0, 4);
                Tensor loss = Functional.mseLoss(predicted.to(DType.FLOAT32), noise.to(DType.FLOAT32));
                loss.backward();
                optimizer.step();
                return loss;
            }

            @Override
            public void close() {
                optimizer.close();
                w.close();
            }
        };
    }

    private static Work holding(Weights w, Work work) {
        return new Work() {
            @Override
            public Tensor run() {
                return work.run();
            }

            @Override
            public void close() {
                w.close();
            }
        };
    }

    private static Weights weights(DType dtype) {
        return Weights.draw(RandomSource.of(0)).as(dtype);
    }

    /** Small numbers in place of the zeros that gates start with: no layer is idle. */
    private static void fill(Weights w) {
        for (Tensor t : w.named().values()) {
            try (Scope s = Scope.open()) { // one tensor's numbers at a time
                if (t.dim() > 1 && !t.any()) {
                    t.copyInPlace(normal(t.dtype(), t.shape()).mul(0.02));
                }
            }
        }
    }

    private static Tensor normal(DType dtype, long... shape) {
        try (Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(shape.length + 7L)) {
            return random.normal(shape).to(dtype);
        }
    }
}
