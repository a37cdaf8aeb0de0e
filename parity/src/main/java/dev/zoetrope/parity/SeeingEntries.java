package dev.zoetrope.parity;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.clip.ClipVision;
import dev.zoetrope.models.siglip.Siglip;
import dev.zoetrope.models.siglip.SiglipVision;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.ZeroShot;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.Map;

/** Models that classify pictures or bring them together with texts: ViT, CLIP, SigLIP. */
final class SeeingEntries {
    private SeeingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("vit.forward", SeeingEntries::vit);
        entries.put("vit.features", SeeingEntries::vitFeatures);
        entries.put("vit.predict", SeeingEntries::vitPredict);
        entries.put("vit.preprocess", (c, answers) -> answers.put("pixel_values", pixels(c)));
        entries.put("clip.forward", SeeingEntries::clip);
        entries.put("clip.classify", SeeingEntries::clipClassify);
        entries.put("clip.preprocess", (c, answers) -> answers.put("pixel_values", pixels(c)));
        entries.put("clip_text.encode", SeeingEntries::clipText);
        entries.put("clip_tokenizer.encode", (c, answers) -> tokens(c, answers));
        entries.put("siglip.forward", SeeingEntries::siglip);
        entries.put("siglip.vision", SeeingEntries::siglipVision);
        entries.put("siglip.predict", SeeingEntries::siglipPredict);
    }

    private static List<Image> pictures(Case c) {
        return c.params().get("pictures", List.of()).stream()
                .map(file -> Images.read(c.beside(file)))
                .toList();
    }

    /** The case's pictures as its processor makes them, {@code [picture, 3, H, W]}. */
    private static Tensor pixels(Case c) {
        return ImageProcessor.open(c.model()).batch(pictures(c));
    }

    private static void vit(Case c, Answers answers) {
        try (Vit vit = Vit.load(c.model())) {
            List<Tensor> states = vit.hiddenStates(c.input("pixel_values"));
            Tensor logits = vit.forward(c.input("pixel_values"));
            answers.put("embeddings", states.get(0));
            answers.put("block_0", states.get(1));
            answers.put("last_hidden_state", vit.normalised(last(states)));
            answers.put("logits", logits);
            answers.put("probabilities", logits.softmax(-1));
        }
    }

    private static void vitFeatures(Case c, Answers answers) {
        try (Vit vit = Vit.load(c.model())) {
            Tensor features = vit.features(c.input("pixel_values"));
            answers.put("last_hidden_state", features);
            answers.put("pooled", vit.pooled(features));
        }
    }

    private static void vitPredict(Case c, Answers answers) {
        try (Vit vit = Vit.load(c.model())) {
            Tensor pixels = pixels(c);
            Tensor logits = vit.forward(pixels);
            Tensor.Ranked top = logits.softmax(-1).topk(c.params().get("top_k", 5), -1);
            answers.put("pixel_values", pixels);
            answers.put("logits", logits);
            answers.put("top_ids", top.indices());
            answers.put("top_probabilities", top.values());
        }
    }

    private static void clip(Case c, Answers answers) {
        try (Clip clip = Clip.load(c.model())) {
            Tensor pixels = c.input("pixel_values");
            ClipVision vision = clip.vision();
            List<Tensor> seen = vision.hiddenStates(pixels);
            answers.put("vision_embeddings", vision.embeddings(pixels));
            answers.put("vision_block_0", seen.get(1));
            answers.put("vision_last_hidden_state", vision.forward(pixels));
            answers.put("vision_pooled", vision.pooled(last(seen)));

            Tensor ids = c.input("input_ids");
            Tensor mask = c.optionalInput("attention_mask");
            ClipText text = clip.text();
            Tensor read = text.forward(ids, mask);
            answers.put("text_block_0", text.hiddenState(ids, mask, 1));
            answers.put("text_last_hidden_state", read);
            answers.put("text_pooled", text.pooled(ids, read));

            Tensor images = clip.images(pixels);
            Tensor texts = clip.texts(ids, mask);
            answers.put("image_embeds", images);
            answers.put("text_embeds", texts);
            answers.put("logits_per_image", clip.logits(images, texts));
        }
    }

    private static void clipClassify(Case c, Answers answers) {
        List<String> classes = c.params().get("classes", List.of());
        List<String> templates = c.params().get("templates", List.of());
        Embed model = Embed.load(c.model());
        try (ZeroShot task = ZeroShot.of(model, classes, templates)) {
            answers.put("pixel_values", pixels(c));
            Tensor images = model.imageTensor(pictures(c));
            Tensor logits = model.logits(images, task.classes());
            answers.put("text_embeds", task.classes().copy());
            answers.put("image_embeds", images);
            answers.put("logits_per_image", logits);
            answers.put("probabilities", model.probabilities(logits));
        }
    }

    private static void clipText(Case c, Answers answers) {
        Tensor ids = tokens(c, answers);
        try (ClipText text = ClipText.load(c.model().resolve("text_encoder"))) {
            Tensor read = text.forward(ids, null);
            answers.put("last_hidden_state", read);
            answers.put("pooled", text.pooled(ids, read));
            answers.put("clip_skip_1", text.normalised(text.hiddenState(ids, null, -2)));
        }
    }

    /** Texts of a pipeline's tokenizer, all of one length. */
    private static Tensor tokens(Case c, Answers answers) {
        int width = c.params().get("max_length", 77);
        try (Tokenizer tokenizer = Tokenizer.open(c.model().resolve("tokenizer"))) {
            List<long[]> rows = c.params().get("texts", List.of()).stream()
                    .map(t -> tokenizer.encode(t, width))
                    .toList();
            Tokenizer.Batch batch = tokenizer.pad(rows, width, Tokenizer.Side.RIGHT);
            Tensor ids = Case.rows(List.of(batch.ids()), 0);
            answers.put("input_ids", ids);
            answers.put("attention_mask", Case.rows(List.of(batch.mask()), 0));
            return ids;
        }
    }

    private static void siglip(Case c, Answers answers) {
        try (Siglip siglip = Siglip.load(c.model())) {
            Tensor pixels = c.input("pixel_values");
            siglipVision(siglip.vision(), pixels, answers);
            Tensor read = siglip.text().forward(c.input("input_ids"));
            answers.put("text_last_hidden_state", read);
            answers.put("text_pooled", siglip.text().pooled(read));
            siglipPairs(siglip, pixels, c.input("input_ids"), answers);
        }
    }

    private static void siglipVision(Case c, Answers answers) {
        try (SiglipVision vision = SiglipVision.load(c.model())) {
            siglipVision(vision, c.input("pixel_values"), answers);
        }
    }

    private static void siglipVision(SiglipVision vision, Tensor pixels, Answers answers) {
        List<Tensor> seen = vision.hiddenStates(pixels);
        answers.put("vision_embeddings", seen.get(0));
        answers.put("vision_block_0", seen.get(1));
        Tensor normalised = vision.forward(pixels);
        answers.put("vision_last_hidden_state", normalised);
        answers.put("vision_pooled", vision.pooled(normalised));
    }

    private static void siglipPredict(Case c, Answers answers) {
        try (Siglip siglip = Siglip.load(c.model())) {
            Tensor pixels = pixels(c);
            answers.put("pixel_values", pixels);
            siglipPairs(siglip, pixels, c.input("input_ids"), answers);
        }
    }

    private static void siglipPairs(Siglip siglip, Tensor pixels, Tensor ids, Answers answers) {
        Tensor images = siglip.images(pixels);
        Tensor texts = siglip.texts(ids);
        Tensor logits = siglip.logits(images, texts);
        answers.put("image_embeds", images);
        answers.put("text_embeds", texts);
        answers.put("logits_per_image", logits);
        answers.put("probabilities", logits.sigmoid());
    }

    private static Tensor last(List<Tensor> states) {
        return states.get(states.size() - 1);
    }
}
