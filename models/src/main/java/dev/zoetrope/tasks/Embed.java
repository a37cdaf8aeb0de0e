package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.siglip.Siglip;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * Pictures and texts as vectors of unit length in one space, whose products say how well they fit: CLIP or SigLIP with
 * processor and tokenizer.
 *
 * <pre>{@code
 * try (var model = Embed.load(folder)) {
 *     float[] picture = model.image(Images.read(Path.of("photo.jpg")));
 *     float[] text = model.text("two dogs");
 * }
 * }</pre>
 *
 * Safe for use by several threads at once.
 */
public final class Embed implements AutoCloseable {
    /** What CLIP and SigLIP do differently. */
    private interface Towers extends AutoCloseable {
        Tensor images(Tensor pixels);

        Tensor texts(long[][] ids);

        Tensor logits(Tensor images, Tensor texts);

        /** Of each text for each picture. */
        Tensor probabilities(Tensor logits);

        /** The most tokens of a text. */
        int positions();

        /** To which length texts are filled up: all to the full one, or only to the longest of a batch. */
        boolean alwaysFull();

        int width();

        /** The sentence that a class name stands in where nobody says otherwise. */
        String template();

        @Override
        void close();
    }

    private final Towers towers;
    private final ImageProcessor processor;
    private final Tokenizer tokenizer;
    private final String name;

    private Embed(Towers towers, ImageProcessor processor, Tokenizer tokenizer, String name) {
        this.towers = towers;
        this.processor = processor;
        this.tokenizer = tokenizer;
        this.name = name;
    }

    /**
     * A CLIP (transformers or open_clip) or a SigLIP: weights, configuration, preprocessor_config.json and tokenizer in
     * one folder.
     */
    public static Embed load(Path folder) {
        ImageProcessor processor = processor(folder);
        Tokenizer tokenizer = Tokenizer.open(folder);
        try {
            return new Embed(towers(folder), processor, tokenizer, String.valueOf(folder.getFileName()));
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    /** The small CLIP that comes with Zoetrope. It knows Carousel, the built-in world, and nothing else. */
    public static Embed builtIn() {
        return load(BuiltIn.folder(BuiltIn.CLIP));
    }

    private static ImageProcessor processor(Path folder) {
        Path openClip = folder.resolve("open_clip_config.json");
        return Files.isRegularFile(openClip) && !Files.isRegularFile(folder.resolve("preprocessor_config.json"))
                ? Clip.processor(Json.read(openClip))
                : ImageProcessor.open(folder);
    }

    private static Towers towers(Path folder) {
        Path config = folder.resolve("config.json");
        String type = Files.isRegularFile(config) ? Json.read(config).get("model_type", "clip") : "clip";
        return switch (type) {
            case "clip" -> new ClipTowers(Clip.load(folder));
            case "siglip" -> new SiglipTowers(Siglip.load(folder));
            default -> throw Json.read(config).unsupported("model_type", "clip, siglip");
        };
    }

    /** What the model is called. */
    public String name() {
        return name;
    }

    /** Length of the vectors. */
    public int width() {
        return towers.width();
    }

    /** The sentence that class names are put into for this model, {@code {}} for the name. */
    public String template() {
        return towers.template();
    }

    public float[] image(Image image) {
        return images(List.of(image))[0];
    }

    public float[] text(String text) {
        return texts(List.of(text))[0];
    }

    /** {@code [picture, width]}. */
    public float[][] images(List<Image> images) {
        return images.isEmpty() ? new float[0][] : rows(() -> imageTensor(images));
    }

    /** {@code [text, width]}. Texts longer than the model reads are cut, keeping the token that ends them. */
    public float[][] texts(List<String> texts) {
        return texts.isEmpty() ? new float[0][] : rows(() -> textTensor(texts));
    }

    private static float[][] rows(Supplier<Tensor> make) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor t = make.get();
            int width = (int) t.size(1);
            float[] all = t.toFloats();
            float[][] r = new float[(int) t.size(0)][];
            for (int i = 0; i < r.length; i++) {
                r[i] = Arrays.copyOfRange(all, i * width, (i + 1) * width);
            }
            return r;
        }
    }

    /** The most tokens of a text that the model reads, those that begin and end it included. */
    public int maxTokens() {
        return towers.positions();
    }

    /** How many of the texts are longer than {@link #maxTokens}, so that their ends count for nothing. */
    public long cut(List<String> texts) {
        return texts.stream()
                .filter(t -> tokenizer.encode(t).length > towers.positions())
                .count();
    }

    /** Pictures as a tensor {@code [picture, width]}, owned by the innermost scope. */
    public Tensor imageTensor(List<Image> images) {
        try (Scope s = Scope.open()) {
            return s.keep(towers.images(processor.batch(images)));
        }
    }

    /** Texts as a tensor {@code [text, width]}, owned by the innermost scope. */
    public Tensor textTensor(List<String> texts) {
        int length = towers.positions();
        List<long[]> rows = texts.stream().map(t -> tokenizer.encode(t, length)).toList();
        Tokenizer.Batch batch = towers.alwaysFull()
                ? tokenizer.pad(rows, length, Tokenizer.Side.RIGHT)
                : tokenizer.pad(rows, Tokenizer.Side.RIGHT);
        return towers.texts(batch.ids());
    }

    /** How well pictures {@code [I, width]} and texts {@code [T, width]} fit, as the model was trained to say: {@code [I, T]}. */
    public Tensor logits(Tensor images, Tensor texts) {
        return towers.logits(images, texts);
    }

    /**
     * From {@link #logits} to probabilities, {@code [I, T]}: CLIP's are shares over the texts of a row, SigLIP's judge
     * each pair on its own.
     */
    public Tensor probabilities(Tensor logits) {
        return towers.probabilities(logits);
    }

    @Override
    public void close() {
        tokenizer.close();
        towers.close();
    }

    private static Tensor matrix(long[][] rows) {
        long[] all = Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray();
        return Tensor.of(all, rows.length, rows[0].length);
    }

    private record ClipTowers(Clip clip) implements Towers {
        @Override
        public Tensor images(Tensor pixels) {
            return clip.images(pixels);
        }

        @Override
        public Tensor texts(long[][] ids) {
            try (Scope s = Scope.open()) {
                return s.keep(clip.texts(matrix(ids), null)); // padding comes behind the end token, which never sees it
            }
        }

        @Override
        public Tensor logits(Tensor images, Tensor texts) {
            return clip.logits(images, texts);
        }

        @Override
        public Tensor probabilities(Tensor logits) {
            return logits.softmax(-1);
        }

        @Override
        public int positions() {
            return clip.config().text().positions();
        }

        @Override
        public boolean alwaysFull() {
            return false;
        }

        @Override
        public int width() {
            return clip.config().text().projection();
        }

        @Override
        public String template() {
            return "a photo of a {}.";
        }

        @Override
        public void close() {
            clip.close();
        }
    }

    private record SiglipTowers(Siglip siglip) implements Towers {
        @Override
        public Tensor images(Tensor pixels) {
            return siglip.images(pixels);
        }

        @Override
        public Tensor texts(long[][] ids) {
            try (Scope s = Scope.open()) {
                return s.keep(siglip.texts(matrix(ids)));
            }
        }

        @Override
        public Tensor logits(Tensor images, Tensor texts) {
            return siglip.logits(images, texts);
        }

        @Override
        public Tensor probabilities(Tensor logits) {
            return logits.sigmoid();
        }

        @Override
        public int positions() {
            return siglip.config().text().positions();
        }

        @Override
        public boolean alwaysFull() {
            return true;
        }

        @Override
        public int width() {
            return siglip.config().text().projection();
        }

        @Override
        public String template() {
            return "This is a photo of {}.";
        }

        @Override
        public void close() {
            siglip.close();
        }
    }
}
