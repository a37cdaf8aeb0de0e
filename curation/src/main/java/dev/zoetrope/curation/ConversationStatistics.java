package dev.zoetrope.curation;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Counts over conversations in LLaVA's form. */
public final class ConversationStatistics {
    private long records;
    private long withImage;
    private long messages;
    private long longest;
    private final long[] characters = new long[2]; // of questions, of answers
    private final long[] said = new long[2];
    private final Map<String, Long> folders = new TreeMap<>();

    public void add(JsonNode record) {
        records++;
        if (record.hasNonNull("image")) {
            withImage++;
            String image = record.path("image").asText();
            int slash = image.indexOf('/');
            folders.merge(slash < 0 ? "." : image.substring(0, slash), 1L, Long::sum);
        }
        JsonNode conversation = record.path("conversations");
        messages += conversation.size();
        longest = Math.max(longest, conversation.size());
        for (JsonNode m : conversation) {
            int who = m.path("from").asText().equals("gpt") ? 1 : 0;
            said[who]++;
            characters[who] += m.path("value").asText().length();
        }
    }

    public long records() {
        return records;
    }

    /** Records with a picture. */
    public long withImage() {
        return withImage;
    }

    /** Questions and answers. */
    public long messages() {
        return messages;
    }

    /** In lines to read. */
    @Override
    public String toString() {
        StringBuilder s = new StringBuilder(String.format(
                Locale.ROOT,
                "%d records: %d with a picture, %d of text only%n%d messages, %.1f a record, %d at most%n"
                        + "characters: %.0f a question, %.0f an answer",
                records,
                withImage,
                records - withImage,
                messages,
                (double) messages / Math.max(1, records),
                longest,
                (double) characters[0] / Math.max(1, said[0]),
                (double) characters[1] / Math.max(1, said[1])));
        folders.forEach((folder, n) -> s.append(String.format(Locale.ROOT, "%n%10d  %s", n, folder)));
        return s.toString();
    }
}
