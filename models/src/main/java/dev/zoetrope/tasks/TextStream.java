package dev.zoetrope.tasks;

import dev.zoetrope.media.Tokenizer;
import java.util.Arrays;
import java.util.List;

/**
 * The text of tokens as they come. What may still change is held back: characters whose bytes are spread over several
 * tokens, and the beginning of a text that would end the answer.
 */
final class TextStream {
    private static final char INCOMPLETE = '\uFFFD';

    private final Tokenizer tokenizer;
    private final List<String> stops;
    private long[] ids = new long[16];
    private int count;
    private String shown = "";
    private boolean stopped;

    TextStream(Tokenizer tokenizer, List<String> stops) {
        this.tokenizer = tokenizer;
        this.stops = stops;
    }

    /** What can be shown now that this token is there; empty if nothing new can. */
    String add(long id) {
        if (count == ids.length) {
            ids = Arrays.copyOf(ids, 2 * count);
        }
        ids[count++] = id;
        return show(false);
    }

    /** What was held back, when no token comes any more. */
    String end() {
        return stopped ? "" : show(true);
    }

    private String show(boolean last) {
        String text = tokenizer.decode(Arrays.copyOf(ids, count), true);
        int end = text.length();
        for (String stop : stops) {
            int at = text.indexOf(stop);
            if (at >= 0 && at <= end) {
                end = at;
                stopped = true;
            }
        }
        if (!last && !stopped) {
            while (end > 0 && text.charAt(end - 1) == INCOMPLETE) {
                end--;
            }
            end -= begunStop(text.substring(0, end));
        }
        if (stopped || last) {
            while (end > shown.length() && Character.isWhitespace(text.charAt(end - 1))) {
                end--;
            }
        }
        if (end <= shown.length() || !text.startsWith(shown)) {
            return "";
        }
        String next = text.substring(shown.length(), end);
        shown += next;
        return next;
    }

    /** Length of the longest beginning of a stop text with which the text ends. */
    private int begunStop(String text) {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, text.length()); n > longest; n--) {
                if (text.endsWith(stop.substring(0, n))) {
                    longest = n;
                }
            }
        }
        return longest;
    }

    /** Whether a text that ends the answer was said. */
    boolean stopped() {
        return stopped;
    }

    /** All that was shown. */
    String text() {
        return shown;
    }
}
