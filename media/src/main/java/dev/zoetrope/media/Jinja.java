package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The part of the Jinja language that chat templates use, with the settings that transformers gives it: the newline after a
 * block and the blanks before one are dropped. Templates come from strangers: they see nothing but the values handed in,
 * can change none of them, and their work, depth and output are bounded.
 *
 * <p>Values are those of Python in Java's clothes: null for None, Boolean, Long, Double, String, List, Map, and
 * {@link JinjaValues.Undefined}.
 */
final class Jinja {

    /** How many loop rounds and calls one rendering may take. */
    private static final int MAX_STEPS = 1_000_000;

    private static final int MAX_OUTPUT = 1 << 24;

    /** A piece of a template that writes text. */
    private interface Node {
        void render(Frame frame, StringBuilder out);
    }

    /** An expression. */
    private interface Expression {
        @Nullable
        Object eval(Frame frame);
    }

    /** Something that can be called: a macro, a function, or a method together with its object. */
    interface Callable {
        @Nullable
        Object call(List<@Nullable Object> arguments, Map<String, @Nullable Object> named);
    }

    /** The names of one scope, on top of those around it. */
    private static final class Frame {
        final Map<String, @Nullable Object> names = new HashMap<>();
        final @Nullable Frame parent;
        final Budget budget;

        Frame(Frame parent) {
            this.parent = parent;
            this.budget = parent.budget;
        }

        Frame(Map<String, ?> values) {
            parent = null;
            budget = new Budget();
            names.putAll(values);
        }

        @Nullable
        Object get(String name) {
            for (Frame f = this; f != null; f = f.parent) {
                if (f.names.containsKey(name)) {
                    return f.names.get(name);
                }
            }
            return new JinjaValues.Undefined(name);
        }
    }

    /** How {@code break} and {@code continue} leave the body of a loop. */
    private static final class LoopExit extends RuntimeException {
        private static final long serialVersionUID = 1L;
        final boolean ends;

        LoopExit(boolean ends) {
            super("break or continue outside of a loop", null, false, false);
            this.ends = ends;
        }
    }

    private static final class Budget {
        private int steps;

        void step(StringBuilder out) {
            if (++steps > MAX_STEPS || out.length() > MAX_OUTPUT) {
                throw new UserError("chat template: more than " + MAX_STEPS + " steps or " + MAX_OUTPUT
                        + " characters; it does not seem to end");
            }
        }
    }

    private final List<Node> nodes;

    /** Reads a template. @throws UserError with the line, if it cannot be understood */
    Jinja(String template) {
        Parser parser = new Parser(new JinjaLexer(template).tokens());
        try {
            nodes = parser.body(Set.of());
        } catch (StackOverflowError e) {
            throw tooDeep(e);
        }
    }

    /** The text of the template for these values. */
    String render(Map<String, ?> values) {
        Map<String, @Nullable Object> globals = new HashMap<>();
        globals.put("range", (Callable) JinjaValues::range);
        globals.put("namespace", (Callable) (arguments, named) -> new JinjaValues.Namespace(new HashMap<>(named)));
        globals.put("dict", (Callable) (arguments, named) -> new LinkedHashMap<>(named));
        globals.put("raise_exception", (Callable) (arguments, named) -> {
            throw new UserError("chat template: " + JinjaValues.text(arguments.isEmpty() ? "" : arguments.get(0)));
        });
        globals.putAll(values);
        StringBuilder out = new StringBuilder();
        try {
            render(nodes, new Frame(globals), out);
        } catch (StackOverflowError e) {
            throw tooDeep(e);
        } catch (LoopExit e) {
            throw new UserError("chat template: " + e.getMessage(), e);
        }
        return out.toString();
    }

    /** The stack itself is the bound on depth: parsing and rendering leave nothing behind that an abort could break. */
    private static UserError tooDeep(StackOverflowError e) {
        return new UserError("chat template: its blocks, expressions or macros are nested too deeply", e);
    }

    private static void render(List<Node> nodes, Frame frame, StringBuilder out) {
        for (Node node : nodes) {
            node.render(frame, out);
        }
    }

    /** Tokens to nodes, by recursive descent in the order of Jinja's own precedences. */
    private static final class Parser {
        private final List<JinjaLexer.Token> tokens;
        private int at;

        Parser(List<JinjaLexer.Token> tokens) {
            this.tokens = tokens;
        }

        private JinjaLexer.Token peek() {
            return tokens.get(at);
        }

        private JinjaLexer.Token next() {
            return tokens.get(at++);
        }

        private boolean is(String symbol) {
            return peek().isSymbol(symbol);
        }

        private boolean isName(String name) {
            return peek().isName(name);
        }

        private boolean take(String symbol) {
            boolean is = is(symbol);
            at += is ? 1 : 0;
            return is;
        }

        private boolean takeName(String name) {
            boolean is = isName(name);
            at += is ? 1 : 0;
            return is;
        }

        private void expect(String symbol) {
            if (!take(symbol)) {
                throw error("'" + symbol + "' expected, found " + peek());
            }
        }

        private String name() {
            JinjaLexer.Token token = next();
            if (token.kind() != JinjaLexer.Kind.NAME) {
                throw error("a name expected, found " + token);
            }
            return token.text();
        }

        private UserError error(String what) {
            return new UserError("chat template: line "
                    + tokens.get(Math.min(at, tokens.size() - 1)).line() + ": " + what);
        }

        /** Nodes up to a block that begins with one of these names; that name is taken, what follows it is not. */
        List<Node> body(Set<String> ends) {
            List<Node> body = new ArrayList<>();
            while (true) {
                JinjaLexer.Token token = next();
                switch (token.kind()) {
                    case TEXT -> body.add((frame, out) -> out.append(token.text()));
                    case OPEN_VALUE -> {
                        Expression value = tuple();
                        expect("}}");
                        body.add((frame, out) -> out.append(JinjaValues.text(value.eval(frame))));
                    }
                    case OPEN_BLOCK -> {
                        String name = name();
                        if (ends.contains(name)) {
                            ended = name;
                            return body;
                        }
                        body.add(block(name));
                    }
                    case END -> {
                        at--;
                        if (!ends.isEmpty()) {
                            throw error("the template ends where {% " + String.join(" or ", ends) + " %} is expected");
                        }
                        return body;
                    }
                    default -> throw error("unexpected " + token);
                }
            }
        }

        /** Which name ended the last body. */
        private String ended = "";

        private Node block(String name) {
            return switch (name) {
                case "if" -> conditional();
                case "for" -> loop();
                case "break", "continue" -> {
                    expect("%}");
                    LoopExit exit = new LoopExit(name.equals("break"));
                    yield (frame, out) -> {
                        throw exit;
                    };
                }
                case "set" -> assignment();
                case "macro" -> macro();
                case "generation" -> {
                    expect("%}");
                    List<Node> body = body(Set.of("endgeneration"));
                    expect("%}");
                    yield (frame, out) -> Jinja.render(body, frame, out);
                }
                case "filter" -> {
                    String filter = name();
                    Arguments arguments = is("(") ? arguments() : Arguments.NONE;
                    expect("%}");
                    List<Node> body = body(Set.of("endfilter"));
                    expect("%}");
                    yield (frame, out) -> out.append(JinjaValues.text(JinjaValues.filter(
                            filter, capture(body, frame), arguments.positional(frame), arguments.named(frame))));
                }
                default ->
                    throw error("{% " + name + " %} is not supported; supported are if, for, break, continue,"
                            + " set, macro, filter, generation");
            };
        }

        private static String capture(List<Node> body, Frame frame) {
            StringBuilder text = new StringBuilder();
            Jinja.render(body, frame, text);
            return text.toString();
        }

        private Node conditional() {
            Expression condition = tuple();
            expect("%}");
            List<Node> then = body(Set.of("elif", "else", "endif"));
            List<Node> otherwise;
            switch (ended) {
                case "elif" -> otherwise = List.of(conditional());
                case "else" -> {
                    expect("%}");
                    otherwise = body(Set.of("endif"));
                    expect("%}");
                }
                default -> {
                    otherwise = List.of();
                    expect("%}");
                }
            }
            return (frame, out) ->
                    Jinja.render(JinjaValues.truth(condition.eval(frame)) ? then : otherwise, frame, out);
        }

        private Node loop() {
            List<String> targets = new ArrayList<>();
            boolean parenthesised = take("(");
            do {
                targets.add(name());
            } while (take(",") && !isName("in"));
            if (parenthesised) {
                expect(")");
            }
            if (!takeName("in")) {
                throw error("'in' expected, found " + peek());
            }
            Expression source = or();
            Expression condition = takeName("if") ? expression() : null;
            expect("%}");
            List<Node> body = body(Set.of("else", "endfor"));
            List<Node> otherwise;
            if (ended.equals("else")) {
                expect("%}");
                otherwise = body(Set.of("endfor"));
            } else {
                otherwise = List.of();
            }
            expect("%}");
            return (frame, out) -> {
                List<@Nullable Object> items = new ArrayList<>();
                for (Object item : JinjaValues.items(source.eval(frame))) {
                    frame.budget.step(out);
                    if (condition != null) {
                        Frame inner = new Frame(frame);
                        bind(targets, item, inner);
                        if (!JinjaValues.truth(condition.eval(inner))) {
                            continue;
                        }
                    }
                    items.add(item);
                }
                JinjaValues.Loop loop = new JinjaValues.Loop(items);
                for (Object item : items) {
                    frame.budget.step(out);
                    Frame inner = new Frame(frame);
                    bind(targets, item, inner);
                    inner.names.put("loop", loop);
                    try {
                        Jinja.render(body, inner, out);
                    } catch (LoopExit exit) {
                        if (exit.ends) {
                            break;
                        }
                    }
                    loop.advance();
                }
                if (items.isEmpty()) {
                    Jinja.render(otherwise, frame, out);
                }
            };
        }

        private static void bind(List<String> targets, Object item, Frame frame) {
            if (targets.size() == 1) {
                frame.names.put(targets.get(0), item);
                return;
            }
            List<@Nullable Object> parts = JinjaValues.items(item);
            if (parts.size() != targets.size()) {
                throw new UserError("chat template: " + parts.size() + " values cannot be unpacked into "
                        + targets.size() + " names");
            }
            for (int i = 0; i < targets.size(); i++) {
                frame.names.put(targets.get(i), parts.get(i));
            }
        }

        private Node assignment() {
            List<String> targets = new ArrayList<>();
            targets.add(name());
            String attribute = take(".") ? name() : null;
            while (attribute == null && take(",")) {
                targets.add(name());
            }
            Expression value;
            if (take("=")) {
                value = tuple();
                expect("%}");
            } else {
                expect("%}");
                List<Node> body = body(Set.of("endset"));
                expect("%}");
                value = frame -> capture(body, new Frame(frame));
            }
            if (attribute == null) {
                return (frame, out) -> bind(targets, value.eval(frame), frame);
            }
            return (frame, out) -> {
                if (!(frame.get(targets.get(0)) instanceof JinjaValues.Namespace namespace)) {
                    throw new UserError("chat template: attributes can be set on namespaces only, which '"
                            + targets.get(0) + "' is not");
                }
                namespace.values().put(attribute, value.eval(frame));
            };
        }

        private Node macro() {
            String name = name();
            expect("(");
            Map<String, Expression> parameters = new LinkedHashMap<>();
            while (!take(")")) {
                String parameter = name();
                parameters.put(parameter, take("=") ? expression() : frame -> new JinjaValues.Undefined(parameter));
                if (!is(")")) {
                    expect(",");
                }
            }
            expect("%}");
            List<Node> body = body(Set.of("endmacro"));
            expect("%}");
            return (frame, out) -> frame.names.put(name, (Callable) (arguments, named) -> {
                Frame inner = new Frame(frame);
                int i = 0;
                for (Map.Entry<String, Expression> parameter : parameters.entrySet()) {
                    String p = parameter.getKey();
                    Object value = i < arguments.size()
                            ? arguments.get(i)
                            : named.containsKey(p)
                                    ? named.get(p)
                                    : parameter.getValue().eval(inner);
                    inner.names.put(p, value);
                    i++;
                }
                return capture(body, inner);
            });
        }

        /** An expression, or several with commas between them as a list. */
        private Expression tuple() {
            Expression first = expression();
            if (!is(",")) {
                return first;
            }
            List<Expression> parts = new ArrayList<>();
            parts.add(first);
            while (take(",") && !is("}}") && !is("%}") && !is(")")) {
                parts.add(expression());
            }
            return list(parts);
        }

        private static Expression list(List<Expression> parts) {
            return frame -> {
                List<@Nullable Object> values = new ArrayList<>();
                parts.forEach(part -> values.add(part.eval(frame)));
                return values;
            };
        }

        private Expression expression() {
            Expression value = or();
            while (takeName("if")) {
                Expression then = value;
                Expression condition = or();
                Expression otherwise = takeName("else") ? expression() : frame -> new JinjaValues.Undefined("else");
                value = frame -> JinjaValues.truth(condition.eval(frame)) ? then.eval(frame) : otherwise.eval(frame);
            }
            return value;
        }

        private Expression or() {
            Expression left = and();
            while (takeName("or")) {
                Expression a = left;
                Expression b = and();
                left = frame -> {
                    Object value = a.eval(frame);
                    return JinjaValues.truth(value) ? value : b.eval(frame);
                };
            }
            return left;
        }

        private Expression and() {
            Expression left = not();
            while (takeName("and")) {
                Expression a = left;
                Expression b = not();
                left = frame -> {
                    Object value = a.eval(frame);
                    return JinjaValues.truth(value) ? b.eval(frame) : value;
                };
            }
            return left;
        }

        private Expression not() {
            if (!takeName("not")) {
                return comparison();
            }
            Expression value = not();
            return frame -> !JinjaValues.truth(value.eval(frame));
        }

        /** Comparisons, which may form a chain: a < b < c. */
        private Expression comparison() {
            Expression first = sum();
            List<String> operators = new ArrayList<>();
            List<Expression> operands = new ArrayList<>();
            while (true) {
                if (peek().isAnyOf("==", "!=", "<", "<=", ">", ">=")) {
                    operators.add(next().text());
                } else if (takeName("in")) {
                    operators.add("in");
                } else if (isName("not") && tokens.get(at + 1).isName("in")) {
                    at += 2;
                    operators.add("not in");
                } else {
                    break;
                }
                operands.add(sum());
            }
            if (operators.isEmpty()) {
                return first;
            }
            return frame -> {
                Object left = first.eval(frame);
                for (int i = 0; i < operators.size(); i++) {
                    Object right = operands.get(i).eval(frame);
                    if (!JinjaValues.compare(operators.get(i), left, right)) {
                        return false;
                    }
                    left = right;
                }
                return true;
            };
        }

        private Expression sum() {
            Expression left = concatenation();
            while (peek().isAnyOf("+", "-")) {
                left = arithmetic(next().text(), left, concatenation());
            }
            return left;
        }

        private Expression concatenation() {
            Expression left = product();
            while (take("~")) {
                Expression a = left;
                Expression b = product();
                left = frame -> JinjaValues.text(a.eval(frame)) + JinjaValues.text(b.eval(frame));
            }
            return left;
        }

        private Expression product() {
            Expression left = power();
            while (peek().isAnyOf("*", "/", "//", "%")) {
                left = arithmetic(next().text(), left, power());
            }
            return left;
        }

        private Expression power() {
            Expression left = unary(true);
            while (take("**")) {
                left = arithmetic("**", left, unary(true));
            }
            return left;
        }

        private static Expression arithmetic(String operator, Expression a, Expression b) {
            return frame -> JinjaValues.arithmetic(operator, a.eval(frame), b.eval(frame));
        }

        private Expression unary(boolean filtered) {
            Expression value;
            if (take("-")) {
                Expression negated = unary(false);
                value = frame -> JinjaValues.arithmetic("-", 0L, negated.eval(frame));
            } else if (take("+")) {
                value = unary(false);
            } else {
                value = postfix(primary());
            }
            return filtered ? filters(value) : value;
        }

        private Expression primary() {
            JinjaLexer.Token token = next();
            switch (token.kind()) {
                case STRING -> {
                    StringBuilder text = new StringBuilder(token.text());
                    while (peek().kind() == JinjaLexer.Kind.STRING) {
                        text.append(next().text());
                    }
                    String value = text.toString();
                    return frame -> value;
                }
                case NUMBER -> {
                    Object number = JinjaValues.number(token.text());
                    return frame -> number;
                }
                case NAME -> {
                    return switch (token.text()) {
                        case "true", "True" -> frame -> true;
                        case "false", "False" -> frame -> false;
                        case "none", "None" -> frame -> null;
                        default -> frame -> frame.get(token.text());
                    };
                }
                case SYMBOL -> {
                    switch (token.text()) {
                        case "(" -> {
                            if (take(")")) {
                                return list(List.of());
                            }
                            Expression value = tuple();
                            expect(")");
                            return value;
                        }
                        case "[" -> {
                            List<Expression> parts = new ArrayList<>();
                            while (!take("]")) {
                                parts.add(expression());
                                if (!is("]")) {
                                    expect(",");
                                }
                            }
                            return list(parts);
                        }
                        case "{" -> {
                            return dictionary();
                        }
                        default -> {}
                    }
                }
                default -> {}
            }
            at--;
            throw error("a value expected, found " + token);
        }

        private Expression dictionary() {
            List<Expression> keys = new ArrayList<>();
            List<Expression> values = new ArrayList<>();
            while (!take("}")) {
                keys.add(expression());
                expect(":");
                values.add(expression());
                if (!is("}")) {
                    expect(",");
                }
            }
            return frame -> {
                Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
                for (int i = 0; i < keys.size(); i++) {
                    map.put(keys.get(i).eval(frame), values.get(i).eval(frame));
                }
                return map;
            };
        }

        private Expression postfix(Expression primary) {
            Expression value = primary;
            while (true) {
                Expression object = value;
                if (take(".")) {
                    JinjaLexer.Token member = next();
                    Object key =
                            member.kind() == JinjaLexer.Kind.NUMBER ? JinjaValues.number(member.text()) : member.text();
                    value = frame -> JinjaValues.attribute(object.eval(frame), key);
                } else if (take("[")) {
                    value = subscript(object);
                } else if (is("(")) {
                    value = call(object);
                } else {
                    return value;
                }
            }
        }

        private Expression call(Expression callee) {
            Arguments arguments = arguments();
            return frame -> {
                if (!(callee.eval(frame) instanceof Callable callable)) {
                    throw new UserError("chat template: something is called that is no function");
                }
                return callable.call(arguments.positional(frame), arguments.named(frame));
            };
        }

        private Expression subscript(Expression object) {
            Expression from = is(":") ? frame -> null : expression();
            if (take("]")) {
                return frame -> JinjaValues.item(object.eval(frame), from.eval(frame));
            }
            expect(":");
            Expression to = is(":") || is("]") ? frame -> null : expression();
            Expression step = take(":") && !is("]") ? expression() : frame -> null;
            expect("]");
            return frame -> JinjaValues.slice(object.eval(frame), from.eval(frame), to.eval(frame), step.eval(frame));
        }

        /** Filters and tests, which bind closer than any operator. */
        private Expression filters(Expression first) {
            Expression value = first;
            while (true) {
                Expression input = value;
                if (take("|")) {
                    String name = name();
                    Arguments arguments = is("(") ? arguments() : Arguments.NONE;
                    value = frame -> JinjaValues.filter(
                            name, input.eval(frame), arguments.positional(frame), arguments.named(frame));
                } else if (takeName("is")) {
                    boolean negated = takeName("not");
                    JinjaLexer.Token test = next();
                    Arguments arguments = testArguments();
                    value = frame ->
                            JinjaValues.test(test.text(), input.eval(frame), arguments.positional(frame)) != negated;
                } else if (is("(")) {
                    value = call(input);
                } else {
                    return value;
                }
            }
        }

        private Arguments testArguments() {
            if (is("(")) {
                return arguments();
            }
            JinjaLexer.Token token = peek();
            boolean value =
                    switch (token.kind()) {
                        case STRING, NUMBER -> true;
                        case NAME ->
                            !Set.of("else", "or", "and", "is", "if", "in", "not")
                                    .contains(token.text());
                        case SYMBOL -> token.isAnyOf("[", "{");
                        default -> false;
                    };
            return value ? new Arguments(List.of(postfix(primary())), Map.of()) : Arguments.NONE;
        }

        /** What a call is given. */
        private record Arguments(List<Expression> positions, Map<String, Expression> names) {
            static final Arguments NONE = new Arguments(List.of(), Map.of());

            List<@Nullable Object> positional(Frame frame) {
                List<@Nullable Object> values = new ArrayList<>();
                positions.forEach(position -> values.add(position.eval(frame)));
                return values;
            }

            Map<String, @Nullable Object> named(Frame frame) {
                Map<String, @Nullable Object> values = new LinkedHashMap<>();
                names.forEach((name, value) -> values.put(name, value.eval(frame)));
                return values;
            }
        }

        private Arguments arguments() {
            expect("(");
            List<Expression> positions = new ArrayList<>();
            Map<String, Expression> names = new LinkedHashMap<>();
            while (!take(")")) {
                if (peek().kind() == JinjaLexer.Kind.NAME && tokens.get(at + 1).isSymbol("=")) {
                    String name = name();
                    expect("=");
                    names.put(name, expression());
                } else {
                    positions.add(expression());
                }
                if (!is(")")) {
                    expect(",");
                }
            }
            return new Arguments(positions, names);
        }
    }
}
