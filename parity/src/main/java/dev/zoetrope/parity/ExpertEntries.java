package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.cogvlm.CogVlmPrompt;
import dev.zoetrope.models.cogvlm.CogVlmPrompt.Exchange;
import dev.zoetrope.models.cogvlm.EvaVision;
import dev.zoetrope.models.cogvlm.TokenTypes;
import dev.zoetrope.models.deepseekvl.DeepSeekVl;
import dev.zoetrope.models.deepseekvl.DeepSeekVlProcessor;
import dev.zoetrope.models.deepseekvl.HybridEye;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Listener;
import dev.zoetrope.models.language.Generation.Observer;
import dev.zoetrope.models.language.Generation.Options;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Vision-language models with parts of their own inside: CogVLM's experts, DeepSeek-VL's two eyes. */
final class ExpertEntries {
    private ExpertEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("cogvlm.vision", ExpertEntries::vision);
        entries.put("cogvlm.position_ids", ExpertEntries::positions);
        entries.put("cogvlm.expert_attention", ExpertEntries::attention);
        entries.put("cogvlm.expert_mlp", ExpertEntries::mlp);
        entries.put("cogvlm.forward", ExpertEntries::forward);
        entries.put("cogvlm.generate", ExpertEntries::generate);
        entries.put("cogvlm.prompt", ExpertEntries::prompt);
        entries.put("deepseekvl.generate", ExpertEntries::deepSeek);
    }

    private static void vision(Case c, Answers answers) {
        try (CogVlm model = CogVlm.load(c.model())) {
            EvaVision eye = model.vision();
            List<Tensor> states = eye.hiddenStates(c.input("images"));
            Tensor last = states.get(states.size() - 1);
            answers.put("embeddings", states.get(0));
            answers.put("layer0_attention", eye.attention(0, states.get(0)));
            answers.put("layer0", states.get(1));
            answers.put("last_layer", last);
            answers.put("linear_proj", eye.projected(last));
            answers.put("features", eye.forward(c.input("images")));
        }
    }

    private static void positions(Case c, Answers answers) {
        TokenTypes types = TokenTypes.of(c.input("token_type_ids"));
        TokenTypes more = TokenTypes.of(c.input("more_token_type_ids"));
        answers.put("position_ids", types.positions(c.input("attention_mask")));
        answers.put("vision_expert_mask", types.visionExpert());
        answers.put("more_position_ids", more.positions(null));
        answers.put("more_vision_expert_mask", more.visionExpert());
    }

    private static void attention(Case c, Answers answers) {
        try (CogVlm model = CogVlm.load(c.model())) {
            Tensor mask = c.input("attention_mask");
            Tensor y = model.attention(
                    c.params().get("layer", 0),
                    c.input("hidden_states"),
                    c.input("token_type_ids"),
                    c.input("position_ids"),
                    mask);
            answers.put("output", masked(y, mask));
        }
    }

    private static void mlp(Case c, Answers answers) {
        try (CogVlm model = CogVlm.load(c.model())) {
            answers.put(
                    "output",
                    model.mlp(c.params().get("layer", 0), c.input("hidden_states"), c.input("token_type_ids")));
        }
    }

    private static void forward(Case c, Answers answers) {
        Tensor mask = c.input("attention_mask");
        try (CogVlm model = CogVlm.load(c.model())) {
            Tensor images = model.imageTokens(c.input("images"));
            CogVlm.Row row = model.read(c.input("input_ids"), c.input("token_type_ids"), mask, images);
            List<Tensor> states = row.reader().hiddenStates(row.embedded(), mask, row.positions(), null);
            Tensor logits = model.logits(row);
            Tensor labels = c.input("labels");
            answers.put("position_ids", row.positions());
            answers.put("inputs_embeds", masked(states.get(0), mask));
            answers.put("layer0", masked(states.get(1), mask));
            answers.put("logits", masked(logits, mask));
            answers.put(
                    "loss",
                    NextToken.loss(
                            logits,
                            Tensor.where(
                                    labels.lt(0L),
                                    Tensor.full(NextToken.IGNORED).to(labels.dtype()),
                                    labels)));
        }
    }

    private static void generate(Case c, Answers answers) {
        Tensor ids = c.input("input_ids");
        Tensor words = c.input("text_only_ids");
        try (CogVlm model = CogVlm.load(c.model())) {
            CogVlm.Row row = model.read(ids, c.input("token_type_ids"), null, model.imageTokens(c.input("images")));
            answers.put("sequences", continued(row, ids, c, "max_new_tokens"));
            answers.put("sequences_text_only", continued(model.read(words, null), words, c, "text_only_tokens"));
        }
    }

    private static Tensor continued(CogVlm.Row row, Tensor history, Case c, String tokens) {
        try (KvCache cache = new KvCache();
                Steps steps = row.start(cache)) {
            return greedy(steps, history, c, tokens);
        }
    }

    private static Tensor greedy(Steps steps, Tensor history, Case c, String tokens) {
        Options options = Options.greedy(c.params().get(tokens, 20));
        if (c.params().has("eos_token_id")) {
            options = options.withTokensOf(c.params());
        }
        return Generation.run(steps, history, options, Listener.NONE, Observer.NONE);
    }

    private static void prompt(Case c, Answers answers) {
        CogVlm.Config config = CogVlm.Config.of(Json.read(c.model().resolve("config.json")));
        Json texts = c.params().at("prompts");
        String question = c.params().require("query");
        List<Exchange> history = new ArrayList<>();
        if (c.params().value("history") instanceof List<?> said) {
            for (Object exchange : said) {
                List<?> pair = (List<?>) exchange;
                history.add(new Exchange(String.valueOf(pair.get(0)), String.valueOf(pair.get(1))));
            }
        }
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            for (CogVlmPrompt.Template template : CogVlmPrompt.Template.values()) {
                String name = template.name().toLowerCase(Locale.ROOT);
                String text = template.text(history, question);
                answers.equal(name, texts.require(name), text);
                CogVlmPrompt.Tokens row = CogVlmPrompt.tokens(config, tokenizer, text, true);
                answers.put(name + "_ids", Tensor.of(row.ids(), row.ids().length));
                answers.put(name + "_token_type_ids", Tensor.of(row.types(), row.types().length));
            }
        }
        List<Image> images = List.of(Images.read(c.file("image")));
        answers.put("pixel_values", CogVlmPrompt.pixels(config, images).select(0, 0));
    }

    private static void deepSeek(Case c, Answers answers) {
        List<Image> images = c.params().get("pictures", List.<String>of()).stream()
                .map(f -> Images.read(c.beside(f)))
                .toList();
        Tensor ids = c.input("input_ids");
        Tensor mask = c.input("attention_mask");
        c.params().expect("do_sample", false);
        try (DeepSeekVl model = DeepSeekVl.load(c.model())) {
            DeepSeekVlProcessor processor = DeepSeekVlProcessor.open(c.model(), model.config());
            Tensor pixels = processor.pixels(images);
            Tensor high = processor.highPixels(images);
            HybridEye detail = model.detail();
            if (detail != null && high != null) {
                answers.put("high_res_pixel_values", high);
                answers.put("high_res_last", detail.encoder().forward(high));
                answers.put("high_res_tokens", detail.forward(high));
            }
            Tensor features = model.imageTokens(pixels, high);
            Prompt row = model.join(ids, mask, features);
            answers.put("pixel_values", pixels);
            answers.put("vision_last_hidden_state", model.overview().forward(pixels));
            answers.put("image_features", features);
            answers.put("logits", masked(model.logits(row), mask));
            try (KvCache cache = new KvCache();
                    Steps steps = row.start(model.language(), cache)) {
                answers.put("generated", Tensor.cat(1, ids, greedy(steps, ids, c, "max_new_tokens")));
            }
        }
    }

    /** Zero where the token is padding. */
    private static Tensor masked(Tensor hidden, Tensor mask) {
        return hidden.mul(mask.unsqueeze(-1));
    }
}
