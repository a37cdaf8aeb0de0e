package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.blip2.Blip2;
import dev.zoetrope.models.blip2.Blip2Processor;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Says in a sentence what is to be seen in pictures, by BLIP-2.
 *
 * <pre>{@code
 * try (Caption model = Caption.load(folder)) {
 *     System.out.println(model.of(Images.read(Path.of("photo.jpg"))));
 * }
 * }</pre>
 *
 * Safe for use by several threads at once.
 */
public final class Caption implements AutoCloseable {
    /**
     * @param prompt how captions begin, or a question; {@code "Question: what is it? Answer:"} for releases that answer
     * @param maxTokens longest caption
     * @param beams how many captions of a picture are followed side by side
     * @param lengthPenalty power of the length by which a beam's score is divided
     * @param sampling how tokens are chosen where one beam is followed
     * @param seed of what is drawn
     */
    public record Options(String prompt, int maxTokens, int beams, double lengthPenalty, Sampling sampling, long seed) {
        /** As the paper captions: five beams, up to 30 tokens behind "a photo of". */
        public static final Options DEFAULT = new Options("a photo of", 30, 5, 1, Sampling.GREEDY, 0);

        public Options {
            Check.positive(maxTokens, "max-tokens");
            Check.positive(beams, "beams");
        }

        public Options withPrompt(String text) {
            return new Options(text, maxTokens, beams, lengthPenalty, sampling, seed);
        }

        public Options withMaxTokens(int value) {
            return new Options(prompt, value, beams, lengthPenalty, sampling, seed);
        }

        public Options withBeams(int value) {
            return new Options(prompt, maxTokens, value, lengthPenalty, sampling, seed);
        }

        public Options with(Sampling how, long drawnFrom) {
            return new Options(prompt, maxTokens, 1, lengthPenalty, how, drawnFrom);
        }
    }

    private final Blip2 model;
    private final Blip2Processor processor;
    private final Generation.Options ends;

    private Caption(Blip2 model, Blip2Processor processor, Generation.Options ends) {
        this.model = model;
        this.processor = processor;
        this.ends = ends;
    }

    /** Whether the folder holds a model that this task is for. */
    public static boolean isFor(Path folder) {
        Path config = folder.resolve("config.json");
        return Files.isRegularFile(config)
                && Json.read(config).get("model_type", "").equals("blip-2");
    }

    /** Opens the folder of a BLIP-2 with tokenizer and processor, in float32. */
    public static Caption load(Path folder) {
        return load(folder, ChatModel.Precision.EXACT);
    }

    /** Opens the folder of a BLIP-2 with tokenizer and processor. */
    public static Caption load(Path folder, ChatModel.Precision precision) {
        Json config = Json.read(folder.resolve("config.json"));
        if (config.get("architectures", List.of()).contains("Blip2ForImageTextRetrieval")) {
            throw new UserError(
                    folder + ": this BLIP-2 finds pictures and texts, it says nothing: use it with retrieve, "
                            + "or take one with a language model, such as Salesforce/blip2-opt-2.7b");
        }
        Blip2 model = Blip2.load(folder, precision.type(), precision.packing());
        try {
            return new Caption(model, Blip2Processor.open(folder, model.config()), ends(folder));
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    /** The tokens that end a caption: generation_config.json's, or else the language model's own. */
    private static Generation.Options ends(Path folder) {
        Path file = folder.resolve("generation_config.json");
        Json text = Json.read(folder.resolve("config.json")).at("text_config");
        return Generation.Options.greedy(1)
                .withTokensOf(Files.isRegularFile(file) ? Json.read(file) : Json.empty(), text);
    }

    /** A caption with the default options. */
    public String of(Image image) {
        return of(List.of(image), Options.DEFAULT).get(0);
    }

    /** A caption for each picture, without the prompt that it goes on from; all go through the model together. */
    public List<String> of(List<Image> images, Options o) {
        if (images.isEmpty()) {
            return List.of();
        }
        Generation.Options generation = new Generation.Options(
                o.maxTokens, o.sampling, o.beams, o.lengthPenalty, false, ends.ends(), ends.pad(), o.seed);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor any = model.weights().named().values().iterator().next();
            Tensor pixels = processor.pixels(images).to(any.device()).to(any.dtype());
            long[] prompt = processor.ids(o.prompt);
            Tensor ids = Tensor.of(prompt, 1, prompt.length).expand(images.size(), -1);
            Splice row = model.join(ids, null, model.imageTokens(pixels));
            Tensor told = model.generate(row, ids, generation, Generation.Listener.NONE)
                    .to(Device.CPU);
            return texts(told);
        }
    }

    /** {@code [picture, token]}. */
    private List<String> texts(Tensor told) {
        long[] all = told.toLongs();
        int width = (int) told.size(1);
        List<String> r = new ArrayList<>();
        for (int i = 0; i < told.size(0); i++) {
            r.add(processor.text(Arrays.copyOfRange(all, i * width, (i + 1) * width)));
        }
        return r;
    }

    @Override
    public void close() {
        processor.close();
        model.close();
    }
}
