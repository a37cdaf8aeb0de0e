package dev.zoetrope.tasks;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Which tokens may come next in an answer that keeps to a {@link JsonSchema}. For one answer. */
final class TokenMask {
    private static final int REMEMBERED = 256; // states of which the tokens are kept

    /** What each token of a vocabulary adds to a text. */
    static final class Vocabulary {
        private static final char INCOMPLETE = '\uFFFD';

        /** Tokens that begin alike. */
        private static final class Branch {
            private final Map<Character, Branch> next = new TreeMap<>();
            private final List<Integer> here = new ArrayList<>();

            private void allowed(JsonSchema.State state, List<Integer> found) {
                found.addAll(here);
                next.forEach((c, below) -> {
                    JsonSchema.State after = state.after(c);
                    if (after != null) {
                        below.allowed(after, found);
                    }
                });
            }
        }

        private final String[] texts;
        private final Branch root = new Branch();

        /** Tokens are read behind another one: on its own, a token may lose its space. Parts of characters are left out. */
        Vocabulary(Tokenizer tokenizer) {
            texts = new String[tokenizer.size()];
            long[] row = tokenizer.encodePlain("a");
            String before = tokenizer.decode(row, true);
            row = Arrays.copyOf(row, row.length + 1);
            for (int id = 0; id < texts.length; id++) {
                row[row.length - 1] = id;
                String text = tokenizer.decode(row, true);
                texts[id] = text.startsWith(before) ? text.substring(before.length()) : "";
                if (!texts[id].isEmpty() && text.indexOf(INCOMPLETE) < 0) {
                    Branch at = root;
                    for (char c : texts[id].toCharArray()) {
                        at = at.next.computeIfAbsent(c, k -> new Branch());
                    }
                    at.here.add(id);
                }
            }
        }
    }

    private final Vocabulary vocabulary;
    private final Set<Integer> ends;
    private final Map<JsonSchema.State, int[]> known = new HashMap<>();
    private JsonSchema.State state;

    /** @param ends tokens that end an answer */
    TokenMask(Vocabulary vocabulary, Set<Integer> ends, JsonSchema schema) {
        this.vocabulary = vocabulary;
        this.ends = ends;
        state = schema.start();
        if (allowed().length == 0) {
            throw new UserError("this model's tokenizer has no tokens of which JSON could be written, such as '{': take"
                    + " another model, or ask without a schema");
        }
    }

    /** Goes on behind a token. */
    void said(long id) {
        JsonSchema.State next = ends.contains((int) id) ? null : state.after(vocabulary.texts[(int) id]);
        state = next == null ? state : next;
    }

    /** Whether the answer is complete and nothing can be added. */
    boolean isFinal() {
        return state.isComplete() && state.isFinal();
    }

    /** The tokens that may come next. */
    int[] allowed() {
        if (known.size() == REMEMBERED) {
            known.clear();
        }
        return known.computeIfAbsent(state, s -> {
            List<Integer> found = new ArrayList<>();
            vocabulary.root.allowed(s, found);
            if (s.isComplete()) {
                found.addAll(ends);
            }
            return found.stream().mapToInt(Integer::intValue).toArray();
        });
    }
}
