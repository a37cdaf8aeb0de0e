package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Which parameters a stage of a recipe trains, by name: those in which any expression of {@code train} is found and none
 * of {@code freeze}.
 */
public record Trainable(List<Pattern> train, List<Pattern> freeze) implements Predicate<String> {
    public static final Trainable ALL = of(List.of(""), List.of());

    /** From regular expressions, searched in the full name: anchors are written where they are meant. */
    public static Trainable of(List<String> train, List<String> freeze) {
        return new Trainable(compile(train), compile(freeze));
    }

    @Override
    public boolean test(String name) {
        return found(train, name) && !found(freeze, name);
    }

    /**
     * Marks the parameters of a model for training or freezes them, and returns those that train, for the optimiser.
     * Refuses a rule by which nothing trains.
     */
    public LinkedHashMap<String, Tensor> apply(Weights weights) {
        LinkedHashMap<String, Tensor> trained = new LinkedHashMap<>();
        weights.named().forEach((name, t) -> {
            boolean trains = t.dtype().isFloating() && test(name);
            t.requireGrad(trains);
            if (trains) {
                trained.put(name, t);
            }
        });
        if (trained.isEmpty()) {
            throw new UserError("nothing is left to train: no parameter name matches train " + train
                    + " without freeze " + freeze + "; the first is "
                    + weights.named().keySet().stream().findFirst().orElse("none"));
        }
        return trained;
    }

    private static boolean found(List<Pattern> patterns, String name) {
        return patterns.stream().anyMatch(p -> p.matcher(name).find());
    }

    private static List<Pattern> compile(List<String> expressions) {
        return expressions.stream()
                .map(e -> {
                    try {
                        return Pattern.compile(e);
                    } catch (PatternSyntaxException bad) {
                        throw new UserError("bad regular expression '" + e + "': " + bad.getDescription(), bad);
                    }
                })
                .toList();
    }
}
