package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.models.deepseekvl.DeepSeekVlProcessor;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.models.owl.OwlProcessor;
import dev.zoetrope.training.ModelFolder;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Question;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The tokenizer of small models of the built-in world: a token a word, and the words around questions and answers. */
final class TalkWords {
    static final String PAD = "[PAD]";
    static final String BEGIN = "<s>";
    static final String END = "</s>";
    private static final String UNKNOWN = "[UNK]";
    private static final String LAYOUT = "USER ASSISTANT Question Short answer";

    /** How a conversation is written where the release brings a template; punctuation is no word here. */
    private static final String TEMPLATE =
            """
            {% for message in messages %}{% if message.role == 'user' %}USER: {% for part in message.content %}\
            {% if part.type == 'image' %}PLACE
            {% else %}{{ part.text }}{% endif %}{% endfor %} {% else %}ASSISTANT: {% for part in message.content %}\
            {{ part.text }}{% endfor %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}
            """;

    private TalkWords() {}

    /** What stands in rows for a token of a picture, in systems where that is a token. */
    static String place(String system) {
        return system.equals("deepseekvl") ? DeepSeekVlProcessor.PLACE : LlavaProcessor.IMAGE;
    }

    /** Writes tokenizer and chat template. */
    static void write(Path folder, String system) {
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(Question.words());
        add(words, LAYOUT);
        TalkData.CAPTION.forEach(text -> add(words, text));
        add(words, Dialogue.of("").text(List.of(new Dialogue.Turn("", ""))));
        add(words, OwlProcessor.text(List.of(new OwlProcessor.Turn("", ""))));
        List<String> special = List.of(PAD, UNKNOWN, BEGIN, END, place(system));
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
        ModelFolder.json(
                folder.resolve("tokenizer_config.json"),
                ModelFolder.ordered(
                        "tokenizer_class", "PreTrainedTokenizerFast",
                        "bos_token", BEGIN,
                        "eos_token", END,
                        "pad_token", PAD,
                        "unk_token", UNKNOWN,
                        "padding_side", "left"));
        byte[] template = TEMPLATE.strip().replace("PLACE", place(system)).getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(folder.resolve("chat_template.jinja"), out -> out.write(template));
    }

    private static void add(Set<String> words, String text) {
        for (String word : text.toLowerCase(Locale.ROOT).split("[^\\p{L}\\p{N}]+", -1)) {
            if (!word.isEmpty()) {
                words.add(word);
            }
        }
    }
}
