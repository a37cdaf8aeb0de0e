package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Question;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Conversations about the built-in world as rows of tokens, one a word, in which only answers are to be learned.
 *
 * <p>Axes: B rows, T tokens.
 */
final class LlavaWords {
    static final String PAD = "[PAD]";
    static final String UNKNOWN = "[UNK]";
    static final String BEGIN = "<s>";
    static final String END = "</s>";
    static final String IMAGE = "<image>";
    private static final String USER = "user";
    private static final String ASSISTANT = "assistant";

    /** As Chat writes a conversation; punctuation is no word here. */
    private static final String TEMPLATE =
            """
            {% for message in messages %}{% if message.role == 'user' %}USER: {% for part in message.content %}\
            {% if part.type == 'image' %}<image>
            {% else %}{{ part.text }}{% endif %}{% endfor %} {% else %}ASSISTANT: {% for part in message.content %}\
            {{ part.text }}{% endfor %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}
            """;

    /** Ids and what of them is to be learned. */
    @SuppressWarnings("ArrayRecordComponent")
    record Row(long[] ids, long[] labels) {}

    /** Rows of one length, {@code [B, T]} INT64. */
    record Batch(Tensor ids, Tensor mask, Tensor labels) {}

    private final Tokenizer tokenizer;
    private final int tokensPerImage;

    LlavaWords(Tokenizer tokenizer, int tokensPerImage) {
        this.tokenizer = tokenizer;
        this.tokensPerImage = tokensPerImage;
    }

    /** Writes tokenizer and chat template. */
    static void write(Path folder) {
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(Question.words());
        words.addAll(List.of(USER, ASSISTANT));
        LlavaTraining.CAPTION.forEach(text -> words.addAll(List.of(text.replace("?", "").split(" "))));
        List<String> special = List.of(PAD, UNKNOWN, BEGIN, END, IMAGE);
        Map<String, Object> begin =
                Map.of("id", BEGIN, "ids", List.of(special.indexOf(BEGIN)), "tokens", List.of(BEGIN));
        Map<String, Object> text = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
        WordTokenizer.write(
                folder,
                special,
                UNKNOWN,
                words,
                Map.of(
                        "type", "TemplateProcessing",
                        "single", List.of(Map.of("SpecialToken", Map.of("id", BEGIN, "type_id", 0)), text),
                        "pair", List.of(text),
                        "special_tokens", Map.of(BEGIN, begin)));
        Exported.json(
                folder.resolve("tokenizer_config.json"),
                Map.of(
                        "tokenizer_class", "PreTrainedTokenizerFast",
                        "bos_token", BEGIN,
                        "eos_token", END,
                        "pad_token", PAD,
                        "unk_token", UNKNOWN,
                        "padding_side", "left"));
        byte[] template = TEMPLATE.strip().getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(folder.resolve("chat_template.jinja"), out -> out.write(template));
    }

    /**
     * A conversation.
     *
     * @param turns the last one may lack its answer
     * @param pictured whether a picture comes with the first question
     */
    Row row(List<Turn> turns, boolean pictured) {
        List<Long> ids = new ArrayList<>(List.of((long) tokenizer.id(BEGIN)));
        List<Long> labels = new ArrayList<>(List.of(NextToken.IGNORED));
        for (int i = 0; i < turns.size(); i++) {
            Turn t = turns.get(i);
            add(ids, labels, false, tokenizer.id(USER));
            for (int k = 0; k < (pictured && i == 0 ? tokensPerImage : 0); k++) {
                add(ids, labels, false, tokenizer.id(IMAGE));
            }
            add(ids, labels, false, tokenizer.encodePlain(t.question()));
            add(ids, labels, false, tokenizer.id(ASSISTANT));
            if (!t.answer().isEmpty()) {
                add(ids, labels, true, tokenizer.encodePlain(t.answer()));
                add(ids, labels, true, tokenizer.id(END));
            }
        }
        return new Row(longs(ids), longs(labels));
    }

    private static void add(List<Long> ids, List<Long> labels, boolean learned, long... more) {
        for (long id : more) {
            ids.add(id);
            labels.add(learned ? id : NextToken.IGNORED);
        }
    }

    private static long[] longs(List<Long> list) {
        return list.stream().mapToLong(Long::longValue).toArray();
    }

    Batch batch(List<Row> rows, Tokenizer.Side side) {
        Tokenizer.Batch b = tokenizer.pad(rows.stream().map(Row::ids).toList(), side);
        int width = b.ids()[0].length;
        long[] labels = new long[rows.size() * width];
        Arrays.fill(labels, NextToken.IGNORED);
        for (int r = 0; r < rows.size(); r++) {
            long[] own = rows.get(r).labels();
            int from = side == Tokenizer.Side.LEFT ? width - own.length : 0;
            System.arraycopy(own, 0, labels, r * width + from, own.length);
        }
        return new Batch(tensor(b.ids()), tensor(b.mask()), Tensor.of(labels, rows.size(), width));
    }

    private static Tensor tensor(long[][] rows) {
        return Tensor.of(Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, rows[0].length);
    }

    Tokenizer tokenizer() {
        return tokenizer;
    }
}
