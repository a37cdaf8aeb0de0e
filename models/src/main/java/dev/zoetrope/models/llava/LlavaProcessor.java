package dev.zoetrope.models.llava;

import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.ChatTemplate.Message;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** From pictures and prompts with {@code <image>} in them to what {@link Llava} reads. */
public final class LlavaProcessor implements AutoCloseable {
    /** Where a picture stands in a text. */
    public static final String IMAGE = "<image>";

    private final Tokenizer tokenizer;
    private final ImageProcessor pictures;
    private final int mark;
    private final int marksPerImage;
    private final @Nullable ChatTemplate template; // of llava-hf's releases
    private final Dialogue dialogue; // of those that bring no template

    private LlavaProcessor(
            Tokenizer tokenizer,
            ImageProcessor pictures,
            int mark,
            int marksPerImage,
            @Nullable ChatTemplate template) {
        this.tokenizer = tokenizer;
        this.pictures = pictures;
        this.mark = mark;
        this.marksPerImage = marksPerImage;
        this.template = template;
        String end = tokenizer.token("eos_token");
        this.dialogue = Dialogue.of(end == null ? "" : end);
    }

    /** Tokenizer and processor of a release's folder; the latter may lie with the tower. */
    public static LlavaProcessor open(Path folder, Llava model) {
        Path tower = folder.resolve("vision_tower");
        boolean own = Files.isRegularFile(folder.resolve("preprocessor_config.json")) || !Files.isDirectory(tower);
        ImageProcessor pictures = ImageProcessor.open(own ? folder : tower);
        boolean hf = model.config().layout() == Llava.Layout.HF;
        Tokenizer tokenizer = Tokenizer.open(folder);
        return new LlavaProcessor(
                tokenizer,
                model.config().padsToSquare() ? pictures.paddedToSquare() : pictures,
                model.config().imageToken(),
                hf ? model.tokensPerImage() : 1,
                hf && tokenizer.hasChatTemplate() ? tokenizer.chatTemplate() : null);
    }

    /**
     * @param mark what stands in a row where a picture goes
     * @param marksPerImage how many of them, side by side; more than one where they are tokens of the vocabulary
     */
    public static LlavaProcessor of(Tokenizer tokenizer, ImageProcessor pictures, int mark, int marksPerImage) {
        return new LlavaProcessor(tokenizer, pictures, mark, marksPerImage, null);
    }

    /**
     * A conversation as text, with {@link #IMAGE} where its questions have it. The answer of the last turn may be missing:
     * then the text ends where it is to be said.
     */
    public String text(List<Dialogue.Turn> turns) {
        return template == null ? dialogue.text(turns) : templated(template, turns);
    }

    /** The words around questions and answers; null where the release brings a template. */
    public @Nullable Dialogue dialogue() {
        return template == null ? dialogue : null;
    }

    /** By a release's own template, which is told of pictures at the beginning of a question, each on a line of its own. */
    public static String templated(ChatTemplate template, List<Dialogue.Turn> turns) {
        List<Message> messages = new ArrayList<>();
        boolean open = true;
        for (Dialogue.Turn t : turns) {
            List<Map<String, Object>> content = new ArrayList<>();
            String question = t.question();
            while (question.startsWith(IMAGE)) {
                content.add(Map.of("type", "image"));
                question = question.substring(IMAGE.length()).replaceFirst("^\n", "");
            }
            content.add(Map.of("type", "text", "text", question));
            messages.add(new Message("user", content));
            open = t.answer().isEmpty();
            if (!open) {
                messages.add(new Message("assistant", List.of(Map.of("type", "text", "text", t.answer()))));
            }
        }
        return template.render(messages, open);
    }

    /** Pictures as the tower reads them, {@code [picture, 3, height, width]}. */
    public Tensor pixels(List<Image> images) {
        return pictures.batch(images);
    }

    /** The ids of a prompt, with marks where its pictures stand. */
    public long[] ids(String prompt) {
        return mark < 0
                ? pieceByPiece(tokenizer, prompt, mark)
                : tokenizer.encode(prompt.replace(IMAGE, IMAGE.repeat(marksPerImage)));
    }

    /**
     * The ids of a text that is cut at its pictures: each piece is tokenised on its own, as the models were trained, and
     * the start token stays on the first piece only.
     */
    public static long[] pieceByPiece(Tokenizer tokenizer, String prompt, long mark) {
        String start = tokenizer.token("bos_token");
        List<long[]> pieces = new ArrayList<>();
        for (String piece : prompt.split(IMAGE, -1)) {
            pieces.add(tokenizer.encode(piece));
        }
        long[] first = pieces.get(0);
        boolean starts = start != null && first.length > 0 && first[0] == tokenizer.id(start);
        LongStream all = starts ? LongStream.of(first[0]) : LongStream.empty();
        for (int i = 0; i < pieces.size(); i++) {
            long[] piece = pieces.get(i);
            LongStream rest = Arrays.stream(piece, Math.min(starts ? 1 : 0, piece.length), piece.length);
            all = LongStream.concat(i == 0 ? all : LongStream.concat(all, LongStream.of(mark)), rest);
        }
        return all.toArray();
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
