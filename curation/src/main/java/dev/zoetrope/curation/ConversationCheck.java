package dev.zoetrope.curation;

import com.fasterxml.jackson.databind.JsonNode;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Holds conversations in LLaVA's form against its rules, one record after the other: {@code {"id", "image",
 * "conversations": [{"from": "human", "value": "<image>\n..."}, {"from": "gpt", "value": ...}]}}.
 */
public final class ConversationCheck {
    /** The place of a picture in a text. */
    static final String IMAGE_MARK = "<image>";

    /** What can be wrong, in the order in which it is looked for. A rule goes through all messages before the next does. */
    public enum Rule {
        ID_MISSING(1, "id is missing or empty"),
        ID_REPEATED(10, "id was used by an earlier record"),
        NO_CONVERSATION(2, "conversations is missing, no list or empty"),
        UNKNOWN_SPEAKER(5, "from is neither human nor gpt"),
        EMPTY_MESSAGE(6, "value is no text or blank"),
        NOT_BEGUN_BY_HUMAN(3, "the first message is not from human"),
        SAME_SPEAKER_TWICE(4, "two neighbouring messages are from the same speaker"),
        NOT_ENDED_BY_GPT(9, "the last message is not from gpt"),
        IMAGE_IN_ANSWER(11, "<image> stands in an answer"),
        IMAGE_NOT_NAMED(7, "<image> stands in a message, but the record names no image"),
        IMAGE_NOT_USED(8, "the record names an image, but no question has <image>"),
        TOO_MANY_MARKS(12, "<image> stands there more often than there are images"),
        IMAGE_DANGLING(13, "there is no such image file");

        private final int code;
        private final String text;

        Rule(int code, String text) {
            this.code = code;
            this.text = text;
        }

        /** The number of the rule in reports; 0 is for records that keep them all. */
        public int code() {
            return code;
        }

        /** In words. */
        public String text() {
            return text;
        }
    }

    /**
     * A record that breaks a rule.
     *
     * @param row from 0
     * @param id empty where there is none
     */
    public record Broken(long row, String id, Rule rule) {}

    private final @Nullable Path images;
    private final Set<String> ids = new HashSet<>();
    private final Map<String, Boolean> present = new HashMap<>();

    /** @param images the folder that image names are relative to; null leaves the files alone */
    public ConversationCheck(@Nullable Path images) {
        if (images != null && !Files.isDirectory(images)) {
            throw new UserError(images + ": there is no such folder of images");
        }
        this.images = images;
    }

    /** Checks a file and lists its broken records in their order. */
    public static List<Broken> file(Path file, @Nullable Path images) {
        ConversationCheck check = new ConversationCheck(images);
        List<Broken> r = new ArrayList<>();
        RecordFile.each(file, (record, row) -> {
            Rule broken = check.next(record);
            if (broken != null) {
                r.add(new Broken(row, record.path("id").asText(""), broken));
            }
        });
        return r;
    }

    /** Hands over every record of a file, one after the other. */
    public static void each(Path file, Consumer<JsonNode> record) {
        RecordFile.each(file, (r, row) -> record.accept(r));
    }

    /** The first rule that the next record breaks; null for none. */
    public @Nullable Rule next(JsonNode record) {
        JsonNode id = record.path("id");
        if (!(id.isTextual() && !id.textValue().isEmpty()) && !id.isIntegralNumber()) {
            return Rule.ID_MISSING;
        }
        if (!ids.add(id.asText())) {
            return Rule.ID_REPEATED;
        }
        JsonNode said = record.path("conversations");
        if (!said.isArray() || said.isEmpty()) {
            return Rule.NO_CONVERSATION;
        }
        List<Message> messages = new ArrayList<>();
        said.forEach(m -> messages.add(new Message(m.path("from").asText(""), m.path("value"))));
        Rule broken = messages(messages);
        return broken == null ? image(record.path("image"), messages) : broken;
    }

    private record Message(String from, JsonNode value) {
        boolean human() {
            return from.equals("human");
        }

        boolean gpt() {
            return from.equals("gpt");
        }

        boolean blank() {
            return !value.isTextual()
                    || value.textValue()
                            .codePoints()
                            .allMatch(c -> Character.isWhitespace(c) || Character.isSpaceChar(c));
        }

        int marks() {
            return value.textValue().split(IMAGE_MARK, -1).length - 1;
        }
    }

    private static @Nullable Rule messages(List<Message> messages) {
        if (messages.stream().anyMatch(m -> !m.human() && !m.gpt())) {
            return Rule.UNKNOWN_SPEAKER;
        }
        if (messages.stream().anyMatch(Message::blank)) {
            return Rule.EMPTY_MESSAGE;
        }
        if (!messages.get(0).human()) {
            return Rule.NOT_BEGUN_BY_HUMAN;
        }
        for (int i = 1; i < messages.size(); i++) {
            if (messages.get(i).human() == messages.get(i - 1).human()) {
                return Rule.SAME_SPEAKER_TWICE;
            }
        }
        if (!messages.get(messages.size() - 1).gpt()) {
            return Rule.NOT_ENDED_BY_GPT;
        }
        return messages.stream().anyMatch(m -> m.gpt() && m.marks() > 0) ? Rule.IMAGE_IN_ANSWER : null;
    }

    private @Nullable Rule image(JsonNode image, List<Message> messages) {
        boolean named = !image.isMissingNode() && !image.isNull();
        int marks = messages.stream().mapToInt(Message::marks).sum();
        if (marks > 0 && !named) {
            return Rule.IMAGE_NOT_NAMED;
        }
        if (named && marks == 0) {
            return Rule.IMAGE_NOT_USED;
        }
        if (marks > 1) {
            return Rule.TOO_MANY_MARKS;
        }
        return named && images != null && !present.computeIfAbsent(image.asText(), this::isThere)
                ? Rule.IMAGE_DANGLING
                : null;
    }

    private boolean isThere(String name) {
        try {
            return images != null && Files.isRegularFile(images.resolve(name));
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
