package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.ChatTemplate.Message;
import dev.zoetrope.media.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Text: tokenizers, chat templates, encoders. */
final class LanguageEntries {
    private LanguageEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("language.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask"));
        entries.put("clip.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask_out"));
        entries.put("siglip.tokenize", (c, answers) -> tokenize(c, answers, "attention_mask"));
        entries.put("language.chatTemplate", LanguageEntries::chatTemplate);
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
}
