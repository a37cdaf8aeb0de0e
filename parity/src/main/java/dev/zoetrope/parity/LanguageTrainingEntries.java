package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.Dialogue.Labelled;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Trainable;
import dev.zoetrope.training.language.Conversations;
import dev.zoetrope.training.language.Conversations.Conversation;
import dev.zoetrope.training.language.LlavaParts;
import dev.zoetrope.training.language.PrefixMask;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Training of language models and of those that see: labels, frozen parts, adapters. */
final class LanguageTrainingEntries {
    private LanguageTrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("lm.train", LanguageTrainingEntries::language);
        entries.put("lora.train", LanguageTrainingEntries::adapters);
        entries.put("vlm.labels", LanguageTrainingEntries::labels);
        entries.put("vlm.train", LanguageTrainingEntries::seeing);
        entries.put("tinyllava.trainable", LanguageTrainingEntries::trainable);
    }

    private static void language(Case c, Answers answers) {
        boolean prefixed = c.params().get("prefix_lm", false);
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            LanguageModel model = LanguageModel.of(config(c.model()), w);
            if (prefixed) {
                Tensor ids = c.input("input_ids").select(0, 0);
                answers.put(
                        "logits",
                        logits(model, ids, PrefixMask.of(c.input("prefix").select(0, 0), ids.size(1))));
            }
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                Tensor ids = batch.get("input_ids");
                if (!prefixed) {
                    return NextToken.loss(logits(model, ids, null), ids);
                }
                Tensor prefix = batch.get("prefix");
                Tensor scores = logits(model, ids, PrefixMask.of(prefix, ids.size(1)));
                return NextToken.loss(scores, PrefixMask.labels(ids, prefix));
            });
        }
    }

    private static Tensor logits(LanguageModel model, Tensor ids, @Nullable Tensor mask) {
        return model.logits(model.forward(model.embed(ids), mask, null, null));
    }

    private static Json config(Path folder) {
        return Json.read(folder.resolve("config.json"));
    }

    private static void adapters(Case c, Answers answers) {
        Path base = c.model().resolve("base");
        Path adapter = c.model().resolve("adapter");
        try (Checkpoint file = Checkpoint.open(base);
                Weights w = Weights.load(file);
                Checkpoint adapterFile = Checkpoint.open(adapter.resolve("adapter_model.safetensors"));
                Weights a = Weights.load(adapterFile)) {
            LanguageModel model = LanguageModel.of(config(base), w);
            Adapters adapters = new Adapters(
                    Lora.Config.of(Json.read(adapter.resolve("adapter_config.json"))), w, a.at("base_model.model"));
            Tensor ids = c.input("input_ids").select(0, 0);
            answers.put("base_logits", logits(model, ids, null));
            adapters.attach(1);
            answers.put("logits", logits(model, ids, null));
            Adapters.merge(w);
            w.named().forEach((name, t) -> answers.put("merged." + name, t.copy()));
            Adapters.unmerge(w);
            Map<String, Tensor> all = new LinkedHashMap<>(a.all());
            all.putAll(w.all());
            TrainingSteps.run(
                    c,
                    answers,
                    all,
                    (batch, parts) -> {
                        Tensor tokens = batch.get("input_ids");
                        return NextToken.loss(logits(model, tokens, null), tokens);
                    },
                    () -> {});
        }
    }

    private static void seeing(Case c, Answers answers) {
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Llava model = new Llava(Llava.Config.of(config(c.model())), w);
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                Tensor images = model.imageTokens(batch.get("pixel_values"));
                Tensor labels =
                        batch.get("labels"); // llava-hf has a mark for each token of a picture: rows keep their length
                Splice row = model.join(batch.get("input_ids"), batch.get("attention_mask"), labels, images);
                return NextToken.loss(model.logits(row), labels);
            });
        }
    }

    private static void labels(Case c, Answers answers) {
        Json p = c.params();
        long mark = p.get("image_token_id", -200L);
        List<Conversation> conversations = Conversations.read(c.file("conversations"));
        List<Labelled> rows = new ArrayList<>();
        List<String> texts = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            for (Conversation conversation : conversations) {
                List<Turn> turns = conversation.turns();
                if (p.require("template").equals("plain")) {
                    String caption = turns.get(turns.size() - 1).answer();
                    texts.add("<image>" + caption + "\n");
                    rows.add(Dialogue.caption(tokenizer, caption, mark));
                } else {
                    Dialogue dialogue = Dialogue.of(p.require("template").equals("phi") ? "<|endoftext|>" : "</s>");
                    texts.add(dialogue.text(turns));
                    rows.add(dialogue.labelled(tokenizer, turns, mark));
                }
            }
        }
        answers.equal("prompts", p.get("prompts", List.of()), texts);
        long ignored = p.get("ignore_index", NextToken.IGNORED);
        Tensor ids = Case.rows(rows.stream().map(Labelled::ids).toList(), p.get("pad_id", 0L));
        Tensor labels = Case.rows(rows.stream().map(Labelled::labels).toList(), ignored);
        answers.put("input_ids", ids);
        answers.put("labels", labels);
        answers.put(
                "attention_mask",
                Case.rows(rows.stream().map(r -> ones(r.ids().length)).toList(), 0));
        int imageTokens = p.get("image_tokens", 1);
        answers.put(
                "expanded_labels",
                Case.rows(rows.stream().map(r -> expanded(r, mark, imageTokens)).toList(), ignored));
        long most = Math.min(p.get("max_length", Integer.MAX_VALUE), ids.size(1));
        answers.put("truncated_ids", ids.narrow(1, 0, most));
        answers.put("truncated_labels", labels.narrow(1, 0, most));
    }

    private static long[] ones(int n) {
        long[] r = new long[n];
        Arrays.fill(r, 1);
        return r;
    }

    private static long[] expanded(Labelled row, long mark, int imageTokens) {
        List<Long> r = new ArrayList<>();
        for (int i = 0; i < row.ids().length; i++) {
            for (int k = 0; k < (row.ids()[i] == mark ? imageTokens : 1); k++) {
                r.add(row.labels()[i]);
            }
        }
        return r.stream().mapToLong(Long::longValue).toArray();
    }

    private static void trainable(Case c, Answers answers) {
        Json settings = c.params().at("settings");
        try (Llava model = Llava.load(c.model())) {
            for (String name : settings.keys()) {
                Json j = settings.at(name);
                Trainable rule = new LlavaParts(
                                LlavaParts.Tune.of(j.require("tune_type_llm")),
                                LlavaParts.Tune.of(j.require("tune_type_vision_tower")),
                                LlavaParts.Tune.of(j.require("tune_type_connector")),
                                j.get("tune_vision_tower_from_layer", 0))
                        .trainable();
                List<String> trains = model.weights().named().keySet().stream()
                        .filter(rule)
                        .sorted()
                        .toList();
                answers.put(name, Tensor.of(new long[] {trains.size()}, 1));
                answers.equal(
                        name,
                        j.get("trainable", List.<String>of()).stream().sorted().toList(),
                        trains);
            }
        }
    }
}
