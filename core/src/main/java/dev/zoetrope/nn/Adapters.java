package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;

/**
 * Low-rank changes of a model's linear layers, found by their paths: the model itself is not rewritten. Loaded from a
 * file that peft wrote, or drawn for training:
 *
 * <pre>{@code
 * model.requireGrad(false);
 * Adapters style = new Adapters(Lora.Config.of(16, 32, 0.05, "query", "value"), model, Weights.draw(random));
 * style.attach(1);
 * ... train style.weights().named() ...
 * Safetensors.write(file, style.weights().named());
 * }</pre>
 *
 * Several may be attached at once, each with its strength; their changes add up. The names below {@code weights} are
 * the layers' paths, so for a file of peft hand over {@code weights.at("base_model.model")}.
 */
public final class Adapters {
    private record Site(LoraStack stack, Lora lora) {}

    private final List<Site> sites = new ArrayList<>();
    private final Weights weights;

    /**
     * @param model where the model was built from; its layers must stand already
     * @param weights where the adapters come from and are saved to
     */
    public Adapters(Lora.Config config, Weights model, Weights weights) {
        this.weights = weights;
        List<String> paths = new ArrayList<>();
        model.parts(LoraStack.class, (path, stack) -> {
            paths.add(path);
            if (config.targets().matcher(path).matches()) {
                sites.add(new Site(stack, new Lora(config, weights.at(path), stack.in(), stack.out())));
            }
        });
        if (sites.isEmpty()) {
            throw new UserError("target_modules " + config.targets() + " match none of the " + paths.size()
                    + " linear layers, such as " + paths.stream().limit(8).toList());
        }
    }

    /** Turns them on, or changes their strength: the model then answers with {@code strength} times their change. */
    public void attach(double strength) {
        sites.forEach(s -> s.stack().attach(s.lora(), strength));
    }

    /** Turns them off. */
    public void detach() {
        sites.forEach(s -> s.stack().detach(s.lora()));
    }

    public Weights weights() {
        return weights;
    }

    /**
     * Adds what is attached to the weights of a model, which then runs as fast as without adapters; the weights before
     * are kept for {@link #unmerge}. Not while the model runs.
     */
    public static void merge(Weights model) {
        model.parts(LoraStack.class, (path, stack) -> stack.merge());
    }

    /** Gives a model back the weights it had, bit by bit; what was merged is attached again. */
    public static void unmerge(Weights model) {
        model.parts(LoraStack.class, (path, stack) -> stack.unmerge());
    }
}
