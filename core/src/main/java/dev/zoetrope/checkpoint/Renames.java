package dev.zoetrope.checkpoint;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * From the names that a model asks for to those of another release, a table of regular expressions that are applied one
 * after the other, each to the result of the one before. What the other release stores in another form is marked behind
 * its name: {@code qkv.weight#0/3} is the first of three equal parts along the first axis, {@code proj#T} is the
 * transposed matrix; {@code in_proj#1/3#T} takes the part, then transposes. {@code q.weight#1x1} is a matrix that is
 * stored as a convolution of one place.
 *
 * <pre>{@code
 * Renames.of(
 *     "^vision_model\\.encoder\\.layers\\.", "visual.transformer.resblocks.",
 *     "\\.self_attn\\.q_proj\\.(weight|bias)$", ".attn.in_proj_$1#0/3")
 * }</pre>
 */
public final class Renames implements UnaryOperator<String> {
    private record Rule(Pattern from, String to) {}

    private final List<Rule> rules;

    private Renames(List<Rule> rules) {
        this.rules = rules;
    }

    /** Pairs of expression and replacement. */
    public static Renames of(String... fromTo) {
        if (fromTo.length % 2 != 0) {
            throw new IllegalArgumentException("expected pairs, got " + fromTo.length + " strings");
        }
        List<Rule> rules = new ArrayList<>();
        for (int i = 0; i < fromTo.length; i += 2) {
            rules.add(new Rule(Pattern.compile(fromTo[i]), fromTo[i + 1]));
        }
        return new Renames(List.copyOf(rules));
    }

    @Override
    public String apply(String name) {
        String r = name;
        for (Rule rule : rules) {
            r = rule.from().matcher(r).replaceAll(rule.to());
        }
        return r;
    }
}
