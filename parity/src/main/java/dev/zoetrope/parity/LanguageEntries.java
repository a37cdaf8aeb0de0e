package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.ChatTemplate.Message;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.bert.Bert;
import dev.zoetrope.models.bert.SentenceEncoder;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Options;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.t5.T5;
import dev.zoetrope.models.t5.T5Encoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Text: tokenizers, chat templates, encoders, language models. */
final class LanguageEntries {
    private LanguageEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("language.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask"));
        entries.put("clip.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask_out"));
        entries.put("siglip.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask"));
        entries.put("language.chatTemplate", LanguageEntries::chatTemplate);
        entries.put("language.encode", LanguageEntries::encode);
        entries.put("language.seq2seq", LanguageEntries::textToText);
        entries.put("minilm.embed", LanguageEntries::embed);
        entries.put("language.generate", LanguageEntries::generate);
        entries.put("language.generateOptions", LanguageEntries::generateOptions);
        entries.put("language.samplingFilters", LanguageEntries::samplingFilters);
    }

    private static void tokenize(Case c, Answers answers, String mask) {
        List<String> texts = c.params().get("texts", List.of());
        int width = c.params().get("max_length", 0);
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            List<long[]> cut =
                    texts.stream().map(t -> tokenizer.encode(t, width)).toList();
            Tokenizer.Batch batch = tokenizer.pad(cut, width, c.params().get("padding_side", tokenizer.paddingSide()));
            answers.put("ids", Case.rows(List.of(batch.ids()), 0));
            answers.put(mask, Case.rows(List.of(batch.mask()), 0));

            List<long[]> uncut = texts.stream().map(tokenizer::encode).toList();
            if (c.params().has("unpadded")) {
                answers.equal(
                        "unpadded",
                        Objects.requireNonNull(c.params().value("unpadded")),
                        uncut.stream().map(LanguageEntries::boxed).toList());
            }
            if (c.params().has("decoded")) {
                answers.equal(
                        "decoded",
                        c.params().get("decoded", List.of()),
                        uncut.stream().map(ids -> tokenizer.decode(ids, true)).toList());
            }
            if (c.params().has("pair")) {
                Json pair = c.params().at("pair");
                answers.equal(
                        "pair",
                        Objects.requireNonNull(pair.value("ids")),
                        boxed(tokenizer
                                .encodePair(pair.require("a"), pair.require("b"), Integer.MAX_VALUE)
                                .ids()));
            }
        }
    }

    private static List<Integer> boxed(long[] ids) {
        List<Integer> r = new ArrayList<>(ids.length);
        for (long id : ids) {
            r.add(Math.toIntExact(id));
        }
        return r;
    }

    private static void chatTemplate(Case c, Answers answers) {
        List<long[]> rows = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            ChatTemplate template = tokenizer.chatTemplate();
            for (Json conversation : c.params().list("conversations")) {
                List<Message> messages = conversation.list("messages").stream()
                        .map(m -> new Message(m.require("role"), Objects.requireNonNull(m.value("content"))))
                        .toList();
                String text = template.render(messages, conversation.get("add_generation_prompt", false));
                answers.equal("conversation " + rows.size(), conversation.require("text"), text);
                rows.add(tokenizer.encodePlain(text));
            }
        }
        answers.put("ids", rows, -1);
    }

    private static void encode(Case c, Answers answers) {
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        String type = Json.read(c.model().resolve("config.json")).get("model_type", "");
        if (type.equals("bert")) {
            try (Bert bert = Bert.load(c.model())) {
                List<Tensor> states = bert.hiddenStates(ids, c.optionalInput("token_type_ids"), mask);
                answers.put("embeddings", masked(states.get(0), mask));
                answers.put("block_0", masked(states.get(1), mask));
                answers.put("encoder_last_hidden_state", masked(last(states), mask));
                answers.put("pooled", bert.pooled(last(states)));
            }
        } else {
            try (T5Encoder t5 = T5Encoder.load(c.model())) {
                List<Tensor> states = t5.hiddenStates(t5.embed(ids), mask);
                answers.put("encoder_block_0", masked(states.get(0), mask));
                answers.put("encoder_last_hidden_state", masked(last(states), mask));
                if (c.params().has("padded_row_mean")) {
                    Tensor padded = mask.select(0, 1).eq(0L).unsqueeze(-1);
                    double found = last(states)
                            .select(0, 1)
                            .maskedSelect(padded)
                            .mean()
                            .item();
                    double expected = c.params().get("padded_row_mean", 0.0);
                    answers.near("padded_row_mean", expected, found, 1e-4);
                }
            }
        }
    }

    private static void textToText(Case c, Answers answers) {
        Tensor mask = c.input("attention_mask");
        try (T5 t5 = T5.load(c.model())) {
            List<Tensor> encoded = t5.encode(t5.embed(c.input("input_ids")), mask);
            answers.put("encoder_block_0", masked(encoded.get(0), mask));
            answers.put("encoder_last_hidden_state", masked(last(encoded), mask));
            List<Tensor> decoded = t5.decode(c.input("decoder_input_ids"), last(encoded), mask);
            answers.put("block_0", decoded.get(0));
            answers.put("last_hidden_state", last(decoded));
            answers.put("logits", t5.logits(last(decoded)));
            Tensor start = t5.startTokens(mask.size(0));
            List<Tensor> steps = new ArrayList<>();
            try (Steps run = t5.start(last(encoded), mask)) {
                Tensor chosen =
                        Generation.run(run, start, options(c), Listener.NONE, s -> steps.add(Scope.detach(s.copy())));
                answers.put("generated", Tensor.cat(1, start, chosen));
                answers.put("step_logits", Tensor.stack(1, steps));
                steps.forEach(Tensor::close);
            }
        }
    }

    private static void embed(Case c, Answers answers) {
        List<String> texts = c.params().get("texts", List.of());
        Path folder = c.params().has("wheel") ? new Wheel(c.params()).model() : c.model();
        try (SentenceEncoder encoder = SentenceEncoder.load(folder)) {
            Tokenizer.Batch tokens = encoder.tokens(texts);
            answers.put("input_ids", Case.rows(List.of(tokens.ids()), 0));
            answers.put("attention_mask", Case.rows(List.of(tokens.mask()), 0));
            Tensor vectors = encoder.encode(texts);
            answers.put("embeddings", vectors);
            answers.put("similarity", vectors.matmul(vectors.transpose(0, 1)));
        }
    }

    private static void generate(Case c, Answers answers) {
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        c.params().expect("do_sample", false);
        try (LanguageModel model = LanguageModel.load(c.model())) {
            List<Tensor> states = model.hiddenStates(model.embed(ids), mask, null, null);
            answers.put("embeddings", masked(states.get(0), mask));
            answers.put("block_0", masked(states.get(1), mask));
            answers.put("last_hidden_state", masked(last(states), mask));
            answers.put("logits", masked(model.logits(last(states)), mask));
            Options options = options(c);
            List<Tensor> steps = new ArrayList<>();
            try (KvCache cache = new KvCache();
                    Steps run = Prompt.of(model, ids, mask).start(model, cache)) {
                Tensor chosen =
                        Generation.run(run, ids, options, Listener.NONE, s -> steps.add(Scope.detach(s.copy())));
                answers.put("generated", Tensor.cat(1, ids, chosen));
                answers.put("step_logits", ended(steps, chosen, options));
                steps.forEach(Tensor::close);
            }
        }
    }

    private static Options options(Case c) {
        return Options.greedy(c.params().get("max_new_tokens", 20)).withTokensOf(c.model());
    }

    /** Scores of each step, {@code [B, step, V]}, zero where the row was fed nothing but padding. */
    private static Tensor ended(List<Tensor> steps, Tensor chosen, Options options) {
        int rows = (int) chosen.size(0);
        int width = (int) chosen.size(1);
        long[] ids = chosen.toLongs();
        float[] going = new float[rows * width];
        for (int row = 0; row < rows; row++) {
            int end = 0;
            while (end < width && !options.ends().contains((int) ids[row * width + end])) {
                end++;
            }
            Arrays.fill(going, row * width, row * width + Math.min(width, end + 2), 1);
        }
        return Tensor.stack(1, steps).mul(Tensor.of(going, rows, width, 1));
    }

    private static void generateOptions(Case c, Answers answers) {
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        Json p = c.params();
        Options greedy = options(c);
        Sampling penalised = Sampling.GREEDY
                .withRepetitionPenalty(p.get("repetition_penalty", 1.0))
                .withNoRepeatNgram(p.get("no_repeat_ngram_size", 0));
        Options beams =
                greedy.withBeams(p.get("num_beams", 1), p.get("length_penalty", 1.0), p.get("early_stopping", false));
        try (LanguageModel model = LanguageModel.load(c.model())) {
            Map.of("greedy", greedy, "penalised", greedy.with(penalised), "beams", beams)
                    .forEach((output, options) ->
                            answers.put(output, Tensor.cat(1, ids, Generation.run(model, ids, mask, options))));
        }
    }

    private static void samplingFilters(Case c, Answers answers) {
        Json filters = c.params().at("filters");
        for (String name : filters.keys()) {
            Json f = filters.at(name);
            Sampling sampling = new Sampling(
                    f.get("temperature", 1.0),
                    f.get("top_k", 0),
                    f.get("top_p", 1.0),
                    f.get("min_p", 0.0),
                    f.get("repetition_penalty", 1.0),
                    f.get("no_repeat_ngram_size", 0));
            answers.put(
                    "probabilities_" + name,
                    sampling.apply(c.input("logits"), c.input("history")).softmax(-1));
        }
    }

    private static Tensor last(List<Tensor> states) {
        return states.get(states.size() - 1);
    }

    /** Zero where the token is padding. */
    private static Tensor masked(Tensor hidden, Tensor mask) {
        return hidden.mul(mask.unsqueeze(-1));
    }
}
