package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Foreach;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Moves named parameters along their gradients. A parameter without a gradient is skipped altogether, decay too; one
 * whose gradient is zero decays.
 *
 * <pre>{@code
 * try (Optimizer o = new Optimizer(w.named(), Optimizer.AdamW.of(1e-4, 0.05), Group.noDecay("bias$", "norm"))) {
 *     loss.backward();
 *     double norm = Gradients.clip(o.parameters().values(), 1.0);
 *     o.step(schedule.at(step));
 *     o.zeroGrad();
 * }
 * }</pre>
 */
public final class Optimizer implements AutoCloseable {
    /** How a parameter moves. */
    public sealed interface Rule {
        double rate();

        double weightDecay();
    }

    /** Adam with decoupled decay, arXiv:1711.05101: p shrinks by {@code 1 - rate * weightDecay} before it moves. */
    public record AdamW(double rate, double beta1, double beta2, double eps, double weightDecay) implements Rule {
        public AdamW {
            checkAdam(rate, beta1, beta2, eps, weightDecay);
        }

        /** With PyTorch's betas 0.9, 0.999 and eps 1e-8. */
        public static AdamW of(double rate, double weightDecay) {
            return new AdamW(rate, 0.9, 0.999, 1e-8, weightDecay);
        }
    }

    /** Adam, arXiv:1412.6980, whose decay is added to the gradient (L2). */
    public record Adam(double rate, double beta1, double beta2, double eps, double weightDecay) implements Rule {
        public Adam {
            checkAdam(rate, beta1, beta2, eps, weightDecay);
        }
    }

    /** Gradient descent with momentum, undamped: the first step's velocity is the gradient itself. */
    public record Sgd(double rate, double momentum, boolean nesterov, double weightDecay) implements Rule {
        public Sgd {
            notNegative(rate, "lr");
            notNegative(weightDecay, "weight_decay");
            Check.between(0, 1, momentum, "momentum");
            if (nesterov && momentum == 0) {
                throw new UserError("nesterov needs momentum above 0");
            }
        }
    }

    /**
     * Parameters that move otherwise than the rest. A parameter belongs to the first group that has it.
     *
     * @param rateFactor multiplies the learning rate
     * @param weightDecay replaces the rule's; null to keep it
     */
    public record Group(Predicate<String> has, double rateFactor, @Nullable Double weightDecay) {
        public Group {
            notNegative(rateFactor, "lr factor");
            if (weightDecay != null) {
                notNegative(weightDecay, "weight_decay");
            }
        }

        /** Names in which any of the regular expressions is found do not decay. */
        public static Group noDecay(String... expressions) {
            return new Group(matching(List.of(expressions)), 1, 0.0);
        }

        public static Group rate(double factor, String... expressions) {
            return new Group(matching(List.of(expressions)), factor, null);
        }

        private static Predicate<String> matching(List<String> expressions) {
            List<Pattern> all = expressions.stream().map(Pattern::compile).toList();
            return name -> all.stream().anyMatch(p -> p.matcher(name).find());
        }
    }

    private static final String STEP = ".step";
    private static final String MEAN = ".exp_avg";
    private static final String SQUARE = ".exp_avg_sq";
    private static final String VELOCITY = ".momentum_buffer";

    private final LinkedHashMap<String, Tensor> parameters;
    private final Rule rule;
    private final List<Group> groups;
    private final List<List<String>> members = new ArrayList<>();
    private final LinkedHashMap<String, Tensor> state = new LinkedHashMap<>();

    /** @param parameters contiguous floating tensors, which the optimiser never closes */
    public Optimizer(Map<String, Tensor> parameters, Rule rule, List<Group> groups) {
        this.parameters = new LinkedHashMap<>(parameters);
        this.rule = rule;
        this.groups = new ArrayList<>(groups);
        this.groups.add(new Group(name -> true, 1, null));
        this.groups.forEach(g -> members.add(new ArrayList<>()));
        this.parameters.forEach((name, t) -> {
            if (!t.isContiguous()) {
                throw new IllegalArgumentException(name + " is a strided view: optimise a contiguous tensor");
            }
            int group = 0;
            while (!this.groups.get(group).has().test(name)) {
                group++;
            }
            members.get(group).add(name);
        });
    }

    public Optimizer(Map<String, Tensor> parameters, Rule rule, Group... groups) {
        this(parameters, rule, List.of(groups));
    }

    /** One step at the rule's own rate. */
    public void step() {
        step(rule.rate());
    }

    /** One step at this learning rate, which the groups' factors multiply. */
    public void step(double rate) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            for (int i = 0; i < groups.size(); i++) {
                Group g = groups.get(i);
                double decay = g.weightDecay() == null ? rule.weightDecay() : g.weightDecay();
                move(members.get(i), rate * g.rateFactor(), decay);
            }
        }
    }

    private void move(List<String> names, double rate, double decay) {
        List<String> moved = new ArrayList<>();
        List<Tensor> p = new ArrayList<>();
        List<Tensor> g = new ArrayList<>();
        for (String name : names) {
            Tensor t = parameters.get(name);
            Tensor gradient = t.grad();
            if (gradient != null) {
                moved.add(name);
                p.add(t);
                g.add(gradient.contiguous()); // the kernels walk memory, not strides
            }
        }
        if (rule instanceof Sgd r) {
            descend(r, moved, p, g, rate, decay);
        } else if (rule instanceof AdamW r) {
            adam(moved, p, g, rate, r.beta1(), r.beta2(), decay, r.eps(), true);
        } else if (rule instanceof Adam r) {
            adam(moved, p, g, rate, r.beta1(), r.beta2(), decay, r.eps(), false);
        }
    }

    private void adam(
            List<String> names,
            List<Tensor> p,
            List<Tensor> g,
            double rate,
            double beta1,
            double beta2,
            double decay,
            double eps,
            boolean decoupled) {
        List<Tensor> steps = state(names, STEP, Optimizer::zeroSteps);
        List<Tensor> means = state(names, MEAN, Optimizer::zerosLike);
        List<Tensor> squares = state(names, SQUARE, Optimizer::zerosLike);
        Foreach.add(steps, 1);
        Foreach.adam(p, g, means, squares, steps, rate, beta1, beta2, decay, eps, decoupled);
    }

    private void descend(Sgd r, List<String> names, List<Tensor> p, List<Tensor> g, double rate, double decay) {
        List<Tensor> velocities = r.momentum() == 0 ? List.of() : state(names, VELOCITY, Optimizer::zerosLike);
        Foreach.sgd(p, g, velocities, rate, r.momentum(), decay, r.nesterov());
    }

    private List<Tensor> state(List<String> names, String suffix, UnaryOperator<Tensor> initial) {
        List<Tensor> r = new ArrayList<>(names.size());
        for (String name : names) {
            r.add(state.computeIfAbsent(name + suffix, key -> {
                Tensor t = initial.apply(parameters.get(name));
                return Scope.detach(t).named(key);
            }));
        }
        return r;
    }

    /** What is kept of each parameter, as it ends the key of {@link #state}. */
    List<String> suffixes() {
        return rule instanceof Sgd ? List.of(VELOCITY) : List.of(STEP, MEAN, SQUARE);
    }

    /** The parameter that a key of {@link #state} belongs to. */
    static String parameterOf(String key) {
        return key.substring(0, key.lastIndexOf('.'));
    }

    /** What the state of a parameter is before its first step. */
    static Tensor blank(String suffix, Tensor parameter) {
        return suffix.equals(STEP) ? zeroSteps(parameter) : zerosLike(parameter);
    }

    private static Tensor zerosLike(Tensor t) {
        return Tensor.zeros(t.dtype(), t.device(), t.shape());
    }

    private static Tensor zeroSteps(Tensor t) {
        return Tensor.zeros(DType.FLOAT32, t.device());
    }

    /** Forgets all gradients. */
    public void zeroGrad() {
        parameters.values().forEach(Tensor::zeroGrad);
    }

    public Rule rule() {
        return rule;
    }

    /** What is moved, by name. */
    public Map<String, Tensor> parameters() {
        return Collections.unmodifiableMap(parameters);
    }

    /**
     * What a checkpoint stores: {@code <parameter>.step}, {@code .exp_avg}, {@code .exp_avg_sq} or {@code
     * .momentum_buffer} of every parameter that has moved. The tensors are the optimiser's own: copy what is to last.
     */
    public Map<String, Tensor> state() {
        return Collections.unmodifiableMap(state);
    }

    /** Goes on from the {@link #state} of an optimiser of the same rule and parameters; copies it. */
    public void restore(Map<String, Tensor> saved) {
        List<String> suffixes = suffixes();
        LinkedHashMap<String, Tensor> copies = new LinkedHashMap<>();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            parameters.forEach((name, t) -> suffixes.forEach(suffix -> {
                Tensor from = saved.get(name + suffix);
                if (from == null) {
                    return;
                }
                long[] expected = suffix.equals(STEP) ? new long[0] : t.shape();
                if (!Arrays.equals(from.shape(), expected)) {
                    throw new UserError("optimiser state " + name + suffix + " has shape "
                            + Arrays.toString(from.shape()) + ", the parameter expects " + Arrays.toString(expected)
                            + ": resume with the recipe that saved it");
                }
                DType dtype = suffix.equals(STEP) ? DType.FLOAT32 : t.dtype();
                Tensor copy = from.detach().to(dtype).to(t.device()).copy().named(name + suffix);
                copies.put(name + suffix, copy);
            }));
            List<String> unknown = saved.keySet().stream()
                    .filter(k -> !copies.containsKey(k))
                    .limit(3)
                    .toList();
            if (!unknown.isEmpty()) {
                throw new UserError("optimiser state " + String.join(", ", unknown)
                        + " belongs to no parameter that is trained here: resume with the recipe that saved it");
            }
            copies.values().forEach(Scope::detach);
        }
        close();
        state.putAll(copies);
    }

    /** Frees the state; parameters stay. */
    @Override
    public void close() {
        state.values().forEach(Tensor::close);
        state.clear();
    }

    private static void checkAdam(double rate, double beta1, double beta2, double eps, double weightDecay) {
        notNegative(rate, "lr");
        notNegative(weightDecay, "weight_decay");
        notNegative(eps, "eps");
        Check.between(0, Math.nextDown(1.0), beta1, "beta1");
        Check.between(0, Math.nextDown(1.0), beta2, "beta2");
    }

    private static void notNegative(double number, String name) {
        if (!(number >= 0) || Double.isInfinite(number)) {
            throw new UserError(name + " " + number + " is not a number of 0 or more");
        }
    }
}
