package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.nextgpt.NextGpt;
import dev.zoetrope.models.nextgpt.NextGpt.Kind;
import dev.zoetrope.models.nextgpt.NextGpt.Wish;
import dev.zoetrope.models.nextgpt.OutputProjection;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.nextgpt.Alignment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** NExT-GPT: its answers, what steers the decoders, and both alignments. */
final class NextGptEntries {
    private NextGptEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("nextgpt.output_projection", NextGptEntries::outputProjection);
        entries.put("nextgpt.alignment_loss", NextGptEntries::alignmentLoss);
        entries.put("nextgpt.embed", NextGptEntries::embed);
        entries.put("nextgpt.generate", NextGptEntries::generate);
    }

    private static Kind kind(Case c) {
        return Kind.valueOf(c.params().require("modality").toUpperCase(Locale.ROOT));
    }

    private static void outputProjection(Case c, Answers answers) {
        try (OutputProjection projection = OutputProjection.load(c.model())) {
            OutputProjection.Parts parts = projection.parts(c.input("hidden"), c.input("token_embeddings"));
            answers.put("fc", parts.fc());
            answers.put("encoder", parts.encoder());
            answers.put("decoder", parts.decoder());
            answers.put("condition", parts.condition());
        }
    }

    private static void alignmentLoss(Case c, Answers answers) {
        try (NextGpt model = NextGpt.load(c.model())) {
            Alignment alignment = new Alignment(model);
            List<String> texts = c.params().get("texts", List.of());
            Alignment.SignalRows rows = alignment.signalRows(texts, kind(c));
            answers.put("input_ids", rows.ids());
            answers.put("target_ids", rows.targets());
            answers.put("attention_mask", rows.mask());
            Alignment.Losses losses = alignment.losses(rows, kind(c), c.input("caption_embeddings"), 1);
            answers.put("loss", losses.loss());
            answers.put("language_loss", losses.language());
            answers.put("alignment_loss", losses.alignment());
            answers.put("accuracy", losses.accuracy());
        }
    }

    private static void embed(Case c, Answers answers) {
        Json p = c.params();
        try (NextGpt model = NextGpt.load(c.model())) {
            Tensor media = c.input("media_embedding");
            answers.put("projected", model.media(media));
            answers.put("prompt_embeddings", model.prompt(p.require("prompt")));
            Alignment.MediaRows rows =
                    new Alignment(model).mediaRows(media, p.get("captions", List.of()), p.require("instruction"));
            answers.put("inputs_embeds", rows.embedded());
            answers.put("targets", rows.targets());
            answers.put("attention_mask", rows.mask());
        }
    }

    private static void generate(Case c, Answers answers) {
        Json p = c.params();
        try (NextGpt model = NextGpt.load(c.model())) {
            NextGpt.Answer answer =
                    model.answer(model.prompt(p.require("prompt")), stops(p), p.requireInt("max_new_tokens"));
            answers.put(
                    "sequences",
                    Tensor.of(
                            answer.ids().stream().mapToLong(Long::longValue).toArray(),
                            1,
                            answer.ids().size()));
            List<String> called = new ArrayList<>();
            for (Wish wish : answer.wishes()) {
                String name = wish.kind().name().toLowerCase(Locale.ROOT);
                called.add(name);
                answers.put("hidden_" + name, wish.hidden());
                answers.put("condition_" + name, wish.condition());
                answers.equal(
                        "captions " + name,
                        p.at("captions").require(name.substring(0, 3).replace("ima", "img")),
                        wish.caption());
            }
            answers.equal("decoders_called", p.get("decoders_called", List.of()), called);
        }
    }

    private static List<List<Long>> stops(Json p) {
        List<List<Long>> r = new ArrayList<>();
        if (p.value("stop_ids") instanceof List<?> all) {
            for (Object one : all) {
                r.add(((List<?>) one)
                        .stream().map(n -> ((Number) n).longValue()).toList());
            }
        }
        return r;
    }
}
