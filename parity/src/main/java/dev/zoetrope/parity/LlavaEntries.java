package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
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
import dev.zoetrope.models.llava.Connector;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Features;
import dev.zoetrope.models.llava.Ldp;
import dev.zoetrope.models.llava.LdpV2;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.models.llava.VisionTower;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** LLaVA and its kin: TinyLLaVA, MobileVLM, Bunny. */
final class LlavaEntries {
    private static final long MARK = -200;

    private LlavaEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("llava.generate", LlavaEntries::askPictures);
        for (String system : List.of("tinyllava", "mobilevlm", "bunny")) {
            entries.put(system + ".forward", LlavaEntries::forward);
            entries.put(system + ".generate", LlavaEntries::generate);
        }
        entries.put("tinyllava.connector", LlavaEntries::connector);
        entries.put("tinyllava.template", LlavaEntries::template);
        entries.put("mobilevlm.projector", LlavaEntries::projector);
        entries.put("mobilevlm.prompt", LlavaEntries::prompt);
        entries.put("bunny.prompt", LlavaEntries::prompt);
        entries.put("bunny.s2", LlavaEntries::scales);
    }

    private static void askPictures(Case c, Answers answers) {
        List<Image> images = c.params().get("pictures", List.<String>of()).stream()
                .map(f -> Images.read(c.beside(f)))
                .toList();
        List<String> prompts = c.params().get("prompts", List.of());
        c.params().expect("do_sample", false);
        try (Llava model = Llava.load(c.model());
                LlavaProcessor processor = LlavaProcessor.open(c.model(), model)) {
            Tensor pixels = processor.pixels(images);
            List<long[]> rows = prompts.stream().map(processor::ids).toList();
            Tokenizer.Batch batch = processor.tokenizer().pad(rows, Tokenizer.Side.LEFT);
            Tensor ids = Case.rows(List.of(batch.ids()), 0);
            Tensor mask = Case.rows(List.of(batch.mask()), 0);
            Tensor features = model.imageTokens(pixels);
            answers.put("pixel_values", pixels);
            answers.put("input_ids", ids);
            answers.put("attention_mask", mask);
            answers.put("vision_block_0", model.tower().hiddenState(pixels, 1));
            answers.put("image_features", features);
            Splice row = model.join(ids, mask, null, features);
            Tensor logits = model.logits(row);
            answers.put("last_logits", logits.narrow(1, logits.size(1) - 5, 5));
            Tensor said = continued(model, row, ids, c);
            answers.put("generated", Tensor.cat(1, ids, said));
            List<String> decoded = new ArrayList<>();
            for (int i = 0; i < prompts.size(); i++) {
                decoded.add(processor.tokenizer().decode(said.select(0, i).toLongs(), true));
            }
            answers.equal("decoded", c.params().get("decoded", List.of()), decoded);
        }
    }

    private static Tensor continued(Llava model, Splice row, Tensor history, Case c) {
        Options options = Options.greedy(c.params().get("max_new_tokens", 20));
        if (c.params().has("eos_token_id")) {
            options = options.withTokensOf(c.params());
        }
        try (KvCache cache = new KvCache();
                Steps steps = row.prompt().start(model.language(), cache)) {
            return Generation.run(steps, history, options, Listener.NONE, Observer.NONE);
        }
    }

    private static void forward(Case c, Answers answers) {
        try (Llava model = Llava.load(c.model())) {
            Tensor features = model.features(c.input("images"));
            Tensor tokens = model.imageTokens(c.input("images"));
            answers.put("vision_features", features);
            answers.put("image_features", tokens);
            Splice row = model.join(c.input("input_ids"), c.input("attention_mask"), c.input("labels"), tokens);
            answers.put("inputs_embeds", row.embedded());
            answers.put("attention_mask_expanded", row.mask());
            Tensor logits = model.logits(row);
            answers.put("loss", NextToken.loss(logits, row.labels()));
            boolean padded = row.positions() == null; // only then is what the mask leaves out padding
            Tensor shown = padded ? logits.mul(row.mask().unsqueeze(-1)) : logits;
            answers.put("logits", shown.slice(1, 0, shown.size(1), c.params().get("logits_stride", 1)));
        }
    }

    private static void generate(Case c, Answers answers) {
        try (Llava model = Llava.load(c.model())) {
            Tensor ids = c.input("input_ids");
            Splice row = model.join(ids, null, null, model.imageTokens(c.input("images")));
            answers.put("sequences", continued(model, row, ids, c));
        }
    }

    private static void connector(Case c, Answers answers) {
        answers.put("tokens", Pretrained.<Tensor>load(c.model(), (json, w) -> {
            Module m = Connector.of(
                    json, "connector_type", w, json.requireInt("vision_hidden_size"), json.requireInt("hidden_size"));
            return m.forward(c.input("features"));
        }));
    }

    private static void projector(Case c, Answers answers) {
        Tensor features = c.input("features");
        Pretrained.<Boolean>load(c.model(), (json, w) -> {
            int in = json.requireInt("mm_hidden_size");
            int out = json.requireInt("hidden_size");
            boolean first = json.require("mm_projector_type").equals("ldpnet");
            List<String> names = first
                    ? List.of("mlp", "depthwise1", "squeeze_excite1", "block1", "projected")
                    : List.of("mlp", "pooled", "projected");
            List<Tensor> steps = first ? new Ldp(w, in, out).steps(features) : new LdpV2(w, in, out).steps(features);
            for (int i = 0; i < names.size(); i++) {
                answers.put(names.get(i), steps.get(i));
            }
            return true;
        });
    }

    private static void scales(Case c, Answers answers) {
        List<Integer> scales =
                Arrays.stream(c.params().get("scales", new int[0])).boxed().toList();
        try (VisionTower tower = VisionTower.load(c.model())) {
            Tensor images = c.input("images");
            scales.forEach(s -> answers.put("resized_" + s, Features.resized(images, s)));
            answers.put("features", new Features(List.of(-2), false, scales).of(tower, images));
        }
    }

    private static void prompt(Case c, Answers answers) {
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            List<Turn> asked =
                    List.of(new Turn(LlavaProcessor.IMAGE + "\n" + c.params().require("question"), ""));
            String text = Dialogue.of(c.params().require("stop")).text(asked);
            answers.equal("prompt", c.params().require("prompt"), text);
            answers.put("input_ids", row(LlavaProcessor.pieceByPiece(tokenizer, text, MARK)));
            if (c.params().has("two")) {
                answers.put(
                        "two",
                        row(LlavaProcessor.pieceByPiece(tokenizer, c.params().require("two"), MARK)));
            }
            Image image = Images.read(c.file("image"));
            answers.put(
                    "pixel_values",
                    ImageProcessor.open(c.model()).paddedToSquare().batch(List.of(image)));
        }
    }

    private static void template(Case c, Answers answers) {
        List<Turn> turns = new ArrayList<>();
        List<Json> said = c.params().list("conversation");
        for (int i = 0; i + 1 < said.size(); i += 2) {
            turns.add(new Turn(said.get(i).require("value"), said.get(i + 1).require("value")));
        }
        try (Tokenizer tokenizer = Tokenizer.open(c.model())) {
            Dialogue dialogue = Dialogue.of(c.params().require("template").equals("phi") ? "<|endoftext|>" : "</s>");
            answers.equal("train_prompt", c.params().require("train_prompt"), dialogue.text(turns));
            Dialogue.Labelled train = dialogue.labelled(tokenizer, turns, MARK);
            answers.put("train_ids", row(train.ids()));
            answers.put("train_labels", row(train.labels()));
            String open = dialogue.text(List.of(new Turn(turns.get(0).question(), "")));
            answers.equal("eval_prompt", c.params().require("eval_prompt"), open);
            answers.put("eval_ids", row(LlavaProcessor.pieceByPiece(tokenizer, open, MARK)));
            Dialogue.Labelled caption = Dialogue.caption(tokenizer, turns.get(0).answer(), MARK);
            answers.put("pretrain_ids", row(caption.ids()));
            answers.put("pretrain_labels", row(caption.labels()));
            List<Image> image = List.of(Images.read(c.file("image")));
            ImageProcessor processor = ImageProcessor.open(c.model());
            answers.put("pixel_values_square", processor.batch(image).select(0, 0));
            answers.put(
                    "pixel_values_pad", processor.paddedToSquare().batch(image).select(0, 0));
        }
    }

    private static Tensor row(long... ids) {
        return Tensor.of(ids, ids.length);
    }
}
