package dev.zoetrope.tensor;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.DoubleList;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.LongList;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.TensorList;
import org.jspecify.annotations.Nullable;

/** Operators that the generated bindings lack, called by name. Costs about 5 us more than a bound one. */
final class Boxed {
    private static final Map<String, OperatorHandle> OPERATORS = new ConcurrentHashMap<>();

    private Boxed() {}

    /**
     * Calls {@code aten::operator.overload} with every argument of its schema (there are no defaults here): Tensor,
     * Long, Double, Boolean, String, long[], double[], List of Tensor, or null for none. Returns the first result.
     */
    static Tensor call(String operator, String overload, @Nullable Object... arguments) {
        return call(operator, overload, arguments, stack -> {
            org.bytedeco.pytorch.Tensor result =
                    new org.bytedeco.pytorch.Tensor(first(operator, stack).toTensor());
            result.retainReference();
            return Tensor.make(operator, () -> result);
        });
    }

    /** Calls an operator whose result is a list of tensors. */
    static List<Tensor> callForList(String operator, String overload, @Nullable Object... arguments) {
        return call(operator, overload, arguments, stack -> {
            List<Tensor> results = Tensor.list(operator, first(operator, stack).toTensorVector());
            results.forEach(t -> t.engine().retainReference());
            return results;
        });
    }

    /** Calls an operator that changes its arguments and returns nothing. */
    static void run(String operator, String overload, @Nullable Object... arguments) {
        call(operator, overload, arguments, stack -> true);
    }

    private static <T> T call(
            String operator, String overload, @Nullable Object[] arguments, Function<IValueVector, T> result) {
        Engine.load();
        OperatorHandle handle = OPERATORS.computeIfAbsent(operator + "." + overload, k -> {
            try (OperatorHandle found = Dispatcher.singleton().findSchemaOrThrow("aten::" + operator, overload)) {
                return new OperatorHandle(found);
            }
        });
        try (PointerScope temporaries = new PointerScope()) {
            IValueVector stack = new IValueVector();
            for (Object a : arguments) {
                stack.push_back(value(a));
            }
            handle.callBoxed(stack);
            return result.apply(stack);
        } catch (RuntimeException e) {
            throw TensorException.of(operator, e, tensors(arguments));
        }
    }

    private static IValue first(String operator, IValueVector results) {
        if (results.size() == 0) {
            throw new IllegalStateException(operator + " returned nothing");
        }
        return results.get(0);
    }

    private static IValue value(@Nullable Object a) {
        if (a == null) {
            return new IValue();
        } else if (a instanceof Tensor t) {
            return new IValue(t.engine());
        } else if (a instanceof Boolean b) {
            return new IValue(b);
        } else if (a instanceof Double d) {
            return new IValue(d);
        } else if (a instanceof Number n) {
            return new IValue(n.longValue());
        } else if (a instanceof String s) {
            return new IValue(s);
        } else if (a instanceof long[] l) {
            return new IValue(new GenericList((Pointer) new LongList(l)));
        } else if (a instanceof double[] d) {
            DoubleList list = new DoubleList();
            for (double element : d) {
                list.push_back(element);
            }
            return new IValue(new GenericList((Pointer) list));
        } else if (a instanceof List<?> l) {
            TensorList list = new TensorList();
            for (Object t : l) {
                list.push_back(((Tensor) t).engine());
            }
            return new IValue(new GenericList((Pointer) list));
        }
        throw new IllegalArgumentException("no boxed form for " + a.getClass());
    }

    private static Tensor[] tensors(@Nullable Object... arguments) {
        return java.util.Arrays.stream(arguments)
                .filter(Tensor.class::isInstance)
                .map(Tensor.class::cast)
                .toArray(Tensor[]::new);
    }
}
