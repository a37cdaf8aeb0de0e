package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Observer;
import dev.zoetrope.models.language.Generation.Options;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.owl.Owl;
import dev.zoetrope.models.owl.OwlProcessor;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** mPLUG-Owl. */
final class OwlEntries {
    private OwlEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("owl.vision", OwlEntries::vision);
        entries.put("owl.abstractor", OwlEntries::abstractor);
        entries.put("owl.tokenize", OwlEntries::tokenize);
        entries.put("owl.preprocess", OwlEntries::preprocess);
        entries.put("owl.forward", OwlEntries::forward);
        entries.put("owl.generate", OwlEntries::generate);
        entries.put("owl.lora", OwlEntries::lora);
        entries.put("owl.gradients", OwlEntries::gradients);
    }

    private static void vision(Case c, Answers answers) {
        try (Owl owl = Owl.load(c.model())) {
            Tensor pixels = c.input("pixel_values");
            List<Tensor> states = owl.vision().hiddenStates(pixels);
            Tensor features = owl.vision().forward(pixels);
            answers.put("embeddings", states.get(0));
            answers.put("layer0_attention", owl.vision().attended(0, states.get(0)));
            answers.put("layer0", states.get(1));
            answers.put("last_hidden_state", features);
            answers.put("pooler_output", owl.vision().pooled(features));
        }
    }

    private static void abstractor(Case c, Answers answers) {
        try (Owl owl = Owl.load(c.model())) {
            Tensor features = c.input("image_embeds");
            List<Tensor> states = owl.abstractor().hiddenStates(features);
            answers.put("layer0_attention", owl.abstractor().gathered(0, states.get(0), features));
            answers.put("layer0", states.get(1));
            answers.put("last_hidden_state", owl.abstractor().forward(features));
            answers.put("pooler_output", states.get(states.size() - 1).select(1, 0));
        }
    }

    private static void tokenize(Case c, Answers answers) {
        List<String> prompts = c.params().get("prompts", List.of());
        int length = c.params().get("media_length", 65);
        c.params().expect("add_bos", true);
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            List<long[]> rows = prompts.stream()
                    .map(p -> OwlProcessor.ids(tokenizer, p, length))
                    .toList();
            for (int i = 0; i < rows.size(); i++) {
                answers.put("ids_" + i, Tensor.of(rows.get(i), rows.get(i).length));
            }
            long[] published = OwlProcessor.ids(tokenizer, prompts.get(0), 65);
            answers.put("ids_65", Tensor.of(published, published.length));
            List<long[]> batch = rows.subList(0, Math.min(3, rows.size()));
            answers.put("batch_ids", batch, tokenizer.specialId("eos_token"));
            List<long[]> ones = batch.stream()
                    .map(r -> {
                        long[] one = new long[r.length];
                        Arrays.fill(one, 1);
                        return one;
                    })
                    .toList();
            answers.put("batch_mask", Case.rows(ones, 0).mul(1.0));
        }
    }

    private static void preprocess(Case c, Answers answers) {
        Json published = Json.read(c.model().resolve("preprocessor_config.json"));
        ImageProcessor processor = ImageProcessor.of(published);
        List<Image> images = List.of(Images.read(c.file("image")));
        int size = published.at("crop_size").get("height", 224);
        answers.put("pixel_values", OwlProcessor.squashing(processor, size).batch(images));
        answers.put("pixel_values_224", OwlProcessor.squashing(processor, 224).batch(images));
    }

    private static void forward(Case c, Answers answers) {
        try (Owl owl = Owl.load(c.model())) {
            Splice row = joined(c, owl);
            answers.put("inputs_embeds", row.embedded());
            scored(owl, row, answers);
        }
    }

    private static Tensor scored(Owl owl, Splice row, Answers answers) {
        Tensor logits = owl.logits(row);
        Tensor loss = NextToken.loss(logits, row.labels());
        answers.put("logits", logits);
        answers.put("loss", loss);
        return loss;
    }

    /** The batch of a case; what counts is said of the next token by three masks. */
    private static Splice joined(Case c, Owl owl) {
        Tensor counts = c.input("non_padding_mask")
                .mul(c.input("non_media_mask"))
                .mul(c.input("prompt_mask"))
                .eq(1L); // [B, T - 1]
        Tensor labels = c.input("labels");
        Tensor first = labels.narrow(1, 0, 1);
        Tensor next = labels.narrow(1, 1, labels.size(1) - 1).maskedFill(counts.not(), NextToken.IGNORED);
        return owl.join(
                c.input("input_ids"),
                c.input("attention_mask"),
                Tensor.cat(1, first, next),
                owl.imageTokens(c.input("pixel_values")));
    }

    private static void generate(Case c, Answers answers) {
        try (Owl owl = Owl.load(c.model())) {
            Tensor ids = c.input("input_ids");
            Tensor pixels = c.input("pixel_values");
            answers.put("sequences", continued(owl, ids, pixels, c.params().get("max_new_tokens", 6)));
            answers.put("sequences_first", first(c, owl));
            long length = 6; // of the text that goes on without a picture
            Tensor words = ids.narrow(0, 1, 1).narrow(1, ids.size(1) - length, length);
            answers.put(
                    "sequences_text_only",
                    continued(owl, words, null, c.params().get("text_only_tokens", 6)));
        }
    }

    /** The first row alone, with the pictures that are its own. */
    private static Tensor first(Case c, Owl owl) {
        Tensor row = c.input("input_ids").narrow(0, 0, 1);
        long own = row.eq((long) Owl.IMAGE).mul(1L).sum(1).toLongs()[0] / owl.tokensPerImage();
        Tensor pixels = c.input("pixel_values").narrow(0, 0, own);
        return continued(owl, row, pixels, c.params().get("max_new_tokens_first", 9));
    }

    private static Tensor continued(Owl owl, Tensor ids, @Nullable Tensor pixels, int tokens) {
        Splice row = owl.join(ids, null, null, pixels == null ? null : owl.imageTokens(pixels));
        try (KvCache cache = new KvCache();
                Steps steps = row.prompt().start(owl.language(), cache)) {
            return Generation.run(steps, ids, Options.greedy(tokens), Listener.NONE, Observer.NONE);
        }
    }

    /** An adapter of peft around the model's language part. */
    private static Adapters adapters(Case c, Owl owl, Weights adapter) {
        Json config = Json.read(c.file("adapter").resolve("adapter_config.json"));
        Adapters r = new Adapters(Lora.Config.of(config), owl.weights(), adapter.at("base_model.model"));
        r.attach(1);
        return r;
    }

    private static Weights adapter(Case c) {
        try (Checkpoint file = Checkpoint.open(c.file("adapter").resolve("adapter_model.safetensors"))) {
            return Weights.load(file);
        }
    }

    private static void lora(Case c, Answers answers) {
        try (Owl owl = Owl.load(c.model());
                Checkpoint file = Checkpoint.open(c.file("adapter").resolve("adapter_model.safetensors"));
                Weights adapter = Weights.load(file)) {
            adapters(c, owl, adapter);
            scored(owl, joined(c, owl), answers);
            answers.equal(
                    "trainable",
                    c.params().get("trainable", List.of()),
                    adapter.named().keySet().stream()
                            .map(n -> n.replaceAll("(lora_[AB])\\.", "$1.default."))
                            .toList());
            Adapters.merge(owl.weights());
            answers.put(
                    "merged_q_proj_layer0",
                    owl.weights()
                            .named()
                            .get("language_model.model.layers.0.self_attn.q_proj.weight")
                            .copy());
            answers.put("sequences_first", first(c, owl));
        }
    }

    private static void gradients(Case c, Answers answers) {
        Json p = c.params();
        List<Weights> opened = new ArrayList<>();
        try (Owl owl = Owl.load(c.model());
                Autograd.Mode on = Autograd.on()) {
            Map<String, Tensor> parameters = new LinkedHashMap<>(owl.weights().named());
            if (p.has("adapter")) {
                Weights adapter = adapter(c);
                opened.add(adapter);
                adapters(c, owl, adapter);
                adapter.named().forEach((name, t) -> parameters.put(name.substring("base_model.model.".length()), t));
            }
            List<String> frozen = p.get("frozen_prefixes", List.of());
            List<String> trainable = p.get("trainable", List.of(""));
            parameters.forEach((name, t) -> t.requireGrad(trainable.stream().anyMatch(name::contains)
                    && frozen.stream().noneMatch(name::startsWith)));
            scored(owl, joined(c, owl), answers).backward();
            for (String name : p.get("gradients_of", List.of())) {
                Tensor parameter = parameters.get(name);
                answers.put(name, parameter == null ? Tensor.zeros() : parameter.grad());
            }
        } finally {
            opened.forEach(Weights::close);
        }
    }
}
