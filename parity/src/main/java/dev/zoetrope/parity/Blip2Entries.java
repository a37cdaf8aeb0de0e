package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.blip2.Blip2;
import dev.zoetrope.models.blip2.Blip2Pretraining;
import dev.zoetrope.models.blip2.Blip2Processor;
import dev.zoetrope.models.blip2.Blip2Retrieval;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Options;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.blip2.Stage1Loss;
import dev.zoetrope.training.blip2.Stage1Loss.Negatives;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** BLIP-2: pictures told by a language model, and pictures and texts held against each other. */
final class Blip2Entries {
    private Blip2Entries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("blip2.generate", Blip2Entries::generate);
        entries.put("blip2.match", Blip2Entries::match);
        entries.put("blip2.stage1", Blip2Entries::stage1);
        entries.put("blip2.stage2", Blip2Entries::stage2);
    }

    private static void generate(Case c, Answers answers) {
        c.params().expect("do_sample", false);
        try (Blip2 model = Blip2.load(c.model())) {
            if (c.params().has("pictures")) {
                predict(c, model, answers);
            } else {
                forward(c, model, answers);
            }
        }
    }

    private static void forward(Case c, Blip2 model, Answers answers) {
        Tensor pixels = c.input("pixel_values");
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        Tensor features = model.vision().forward(pixels);
        List<Tensor> asked = model.asked(features);
        answers.put("vision_block_0", model.vision().hiddenStates(pixels).get(1));
        answers.put("vision_last_hidden_state", features);
        answers.put("query_block_0", asked.get(0));
        answers.put("query_output", last(asked));
        answers.put("projected", model.projected(last(asked)));

        Splice row = model.join(ids, mask, model.imageTokens(pixels));
        Tensor said = c.optionalInput("decoder_input_ids");
        Tensor logits = model.logits(row, said);
        answers.put("logits", said == null ? logits.mul(mask.unsqueeze(-1)) : logits);
        Tensor next = model.generate(row, ids, options(c), Listener.NONE);
        answers.put("generated", Tensor.cat(1, model.said(ids), next));
    }

    private static Options options(Case c) {
        return Options.greedy(c.params().get("max_new_tokens", 20));
    }

    private static void predict(Case c, Blip2 model, Answers answers) {
        List<Image> pictures = c.params().get("pictures", List.of()).stream()
                .map(file -> Images.read(c.beside(file)))
                .toList();
        List<String> prompts = c.params().get("prompts", List.of());
        List<long[]> asked = new ArrayList<>();
        List<long[]> told = new ArrayList<>();
        List<String> texts = new ArrayList<>();
        try (Blip2Processor processor = Blip2Processor.open(c.model(), model.config())) {
            Tensor pixels = processor.pixels(pictures);
            answers.put("pixel_values", pixels);
            for (int i = 0; i < prompts.size(); i++) {
                long[] ids = processor.ids(prompts.get(i));
                Tensor row = Tensor.of(ids, 1, ids.length);
                Splice joined = model.join(row, null, model.imageTokens(pixels.narrow(0, i, 1)));
                long[] next = model.generate(joined, row, options(c).withTokensOf(c.model()), Listener.NONE)
                        .toLongs();
                asked.add(ids);
                told.add(next);
                texts.add(processor.text(next));
            }
        }
        answers.put("input_ids", asked, -1);
        answers.put("continuation", told, -1);
        answers.equal("decoded", c.params().get("decoded", List.of()), texts);
    }

    private static void match(Case c, Answers answers) {
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        try (Blip2Retrieval model = Blip2Retrieval.load(c.model())) {
            Tensor features = model.features(c.input("pixel_values"));
            Tensor joint = model.joint(features, ids, mask);
            Tensor queries = Tensor.ones(mask.size(0), model.config().queries());
            answers.put("joint", joint.mul(Tensor.cat(1, queries, mask.mul(1.0)).unsqueeze(-1)));
            Tensor logits = model.matchLogits(joint);
            answers.put("itm_logits", logits);
            answers.put("itm_probabilities", logits.softmax(-1));
            Tensor images = model.images(features);
            Tensor texts = model.texts(ids, mask);
            answers.put("image_embeds", images);
            answers.put("text_embeds", texts);
            answers.put("similarity", model.similarity(images, texts));
        }
    }

    private static void stage1(Case c, Answers answers) {
        Json p = c.params();
        Stage1Loss losses = new Stage1Loss(
                p.requireInt("bos_token_id"), p.get("pad_token_id", 0), p.get("label_smoothing", Stage1Loss.SMOOTHING));
        try (Blip2Pretraining model = Blip2Pretraining.load(c.model())) {
            Once once = new Once(answers);
            TrainingSteps.run(c, answers, model.retrieval().weights(), (batch, parts) -> {
                Tensor features = model.retrieval().features(batch.get("pixel_values"));
                Stage1Loss.Batch b =
                        new Stage1Loss.Batch(features, batch.get("input_ids"), batch.get("attention_mask"));
                Tensor similarity = Stage1Loss.similarity(model, b);
                Tensor match = Stage1Loss.matchLogits(
                        model, b, new Negatives(batch.get("negative_images"), batch.get("negative_texts")));
                Tensor caption = losses.captionLogits(model, b);
                once.put(Map.of("similarity", similarity, "itm_logits", match, "itg_logits", caption));
                parts.put("itc", losses.contrast(similarity));
                parts.put("itm", Stage1Loss.match(match));
                parts.put("itg", losses.caption(caption, b));
                return parts.get("itc").add(parts.get("itm")).add(parts.get("itg"));
            });
        }
    }

    private static void stage2(Case c, Answers answers) {
        try (Blip2 model = Blip2.load(c.model())) {
            Once once = new Once(answers);
            TrainingSteps.run(c, answers, model.weights(), (batch, parts) -> {
                Splice row = model.join(
                        batch.get("input_ids"),
                        batch.get("attention_mask"),
                        model.imageTokens(batch.get("pixel_values")));
                Tensor logits = model.logits(row, null);
                once.put(Map.of("logits", logits));
                return NextToken.loss(logits, batch.get("labels"));
            });
        }
    }

    /** What is answered of the first step alone. */
    private static final class Once {
        private final Answers answers;
        private boolean done;

        Once(Answers answers) {
            this.answers = answers;
        }

        void put(Map<String, Tensor> all) {
            if (!done) {
                all.forEach(
                        (name, t) -> answers.put(name, Scope.detach(t.detach().copy())));
                done = true;
            }
        }
    }

    private static Tensor last(List<Tensor> states) {
        return states.get(states.size() - 1);
    }
}
