package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The template of a checkpoint that turns a conversation into the text that the model was trained on. */
public final class ChatTemplate {

    private final Jinja template;
    private final Map<String, String> specialTokens;

    /**
     * Reads a template.
     *
     * @param template in Jinja, as chat_template.jinja or tokenizer_config.json have it
     * @param specialTokens what the template knows by names such as bos_token
     * @throws UserError with the line, if the template cannot be understood
     */
    public ChatTemplate(String template, Map<String, String> specialTokens) {
        this.template = new Jinja(template);
        this.specialTokens = Map.copyOf(specialTokens);
    }

    /**
     * One contribution to a conversation.
     *
     * @param role "user", "assistant", "system" or what else the template knows
     * @param content a text; or, for templates that take pictures, a list of maps such as {@code {type: "image"}} and
     *     {@code {type: "text", text: "..."}}
     */
    public record Message(String role, Object content) {}

    /**
     * The text of a conversation.
     *
     * @param addGenerationPrompt whether the words that open the assistant's answer are added
     * @throws UserError if the template refuses the conversation
     */
    public String render(List<Message> messages, boolean addGenerationPrompt) {
        List<Map<String, Object>> maps = messages.stream()
                .map(m -> Map.of("role", m.role(), "content", m.content()))
                .toList();
        return render(Map.of("messages", maps, "add_generation_prompt", addGenerationPrompt));
    }

    /** The text for any values that the template asks for by name, such as messages or tools: texts, numbers, lists, maps. */
    public String render(Map<String, Object> values) {
        Map<String, Object> all = new HashMap<>(specialTokens);
        all.put("strftime_now", (Jinja.Callable) (arguments, named) -> now(JinjaValues.text(arguments.get(0))));
        values.forEach((name, value) -> all.put(name, JinjaValues.of(value)));
        return template.render(all);
    }

    /** The present time by a pattern of C's strftime. */
    private static String now(String pattern) {
        Map<Character, String> fields = Map.of(
                'd', "dd", 'm', "MM", 'b', "MMM", 'B', "MMMM", 'Y', "yyyy", 'y', "yy", 'H', "HH", 'M', "mm", 'S', "ss",
                'A', "EEEE");
        StringBuilder text = new StringBuilder();
        LocalDateTime now = LocalDateTime.now(ZoneId.systemDefault());
        for (int i = 0; i < pattern.length(); i++) {
            char c = pattern.charAt(i);
            if (c != '%' || i + 1 == pattern.length()) {
                text.append(c);
                continue;
            }
            String field = fields.get(pattern.charAt(++i));
            if (field == null) {
                throw new UserError("chat template: strftime_now: %" + pattern.charAt(i) + " is not supported");
            }
            text.append(now.format(DateTimeFormatter.ofPattern(field, Locale.ENGLISH)));
        }
        return text.toString();
    }
}
