package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * What an answer in JSON has to look like, character by character. Of JSON Schema it knows types, properties, required,
 * items, enum, const, anyOf, oneOf, references within the schema, and numbers of items and characters; what else would
 * narrow an answer is refused by name. Properties come in the schema's order, and no others, unless it lists none.
 */
public final class JsonSchema {
    private static final Set<String> SILENT = Set.of(
            "$schema",
            "$id",
            "$defs",
            "definitions",
            "$comment",
            "title",
            "description",
            "default",
            "examples",
            "strict",
            "deprecated",
            "readOnly",
            "writeOnly");
    private static final Set<String> KNOWN = Set.of(
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "enum",
            "const",
            "anyOf",
            "oneOf",
            "$ref");
    private static final int DEEPEST = 2000;
    private static final int DEEPEST_INDENT = 32;

    /** What may come. */
    private sealed interface Node {}

    private record Literal(String text) implements Node {}

    private record Chars(IntPredicate allowed) implements Node {}

    private record Sequence(List<Node> parts) implements Node {}

    private record Choice(List<Node> ways) implements Node {}

    /** @param most -1 for any number */
    private record Repeat(Node what, int least, int most) implements Node {}

    /** What a reference points to, which may contain the reference. */
    private static final class Reference implements Node {
        private @Nullable Node target;

        Node resolved() {
            return Objects.requireNonNull(target);
        }
    }

    /** What is to come, first to last; null where nothing is. */
    private record Rest(Node node, @Nullable Rest then) {}

    /** Where a text stands: all ways to read it so far. Immutable. */
    public static final class State {
        private final List<Head> heads;
        private final boolean complete;

        private State(Set<Head> heads, boolean complete) {
            this.heads = List.copyOf(heads);
            this.complete = complete;
        }

        /** Whether the text may end here. */
        public boolean isComplete() {
            return complete;
        }

        /** Whether nothing more can come. */
        public boolean isFinal() {
            return heads.isEmpty();
        }

        /** After one more character; null if it cannot come. */
        public @Nullable State after(char c) {
            Set<Head> next = new LinkedHashSet<>();
            boolean ends = false;
            for (Head head : heads) {
                if (head.allowed.test(c)) {
                    ends |= expand(head.then, next);
                }
            }
            return next.isEmpty() && !ends ? null : new State(next, ends);
        }

        /** After these characters; null if they cannot come. */
        public @Nullable State after(String text) {
            State s = this;
            for (int i = 0; i < text.length() && s != null; i++) {
                s = s.after(text.charAt(i));
            }
            return s;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof State s && s.complete == complete && s.heads.equals(heads);
        }

        @Override
        public int hashCode() {
            return heads.hashCode();
        }
    }

    /** A character that may come next, and what comes behind it. */
    private record Head(IntPredicate allowed, @Nullable Rest then) {}

    /** A space, or a new line and its indentation: models that may write more of them tend to write nothing else. */
    private static final Node SPACE = optional(new Choice(
            List.of(new Literal(" "), sequence(new Literal("\n"), new Repeat(new Literal(" "), 0, DEEPEST_INDENT)))));

    private static final Node DIGITS = new Repeat(new Chars(c -> c >= '0' && c <= '9'), 1, -1);
    private static final Node INTEGER = sequence(
            optional(new Literal("-")),
            new Choice(List.of(
                    new Literal("0"),
                    sequence(
                            new Chars(c -> c >= '1' && c <= '9'),
                            new Repeat(new Chars(c -> c >= '0' && c <= '9'), 0, 15)))));
    private static final Node NUMBER = sequence(
            INTEGER,
            optional(sequence(new Literal("."), DIGITS)),
            optional(sequence(
                    new Chars(c -> c == 'e' || c == 'E'), optional(new Chars(c -> c == '+' || c == '-')), DIGITS)));
    private static final Node CHARACTER = new Choice(List.of(
            new Chars(c -> c >= ' ' && c != '"' && c != '\\'),
            sequence(
                    new Literal("\\"),
                    new Choice(List.of(
                            new Chars(c -> "\"\\/bfnrt".indexOf(c) >= 0),
                            sequence(
                                    new Literal("u"),
                                    new Repeat(new Chars(c -> Character.digit(c, 16) >= 0), 4, 4)))))));
    private static final Node BOOLEAN = new Choice(List.of(new Literal("true"), new Literal("false")));
    private static final Node NULL = new Literal("null");
    private static final Reference ANY = new Reference();

    static {
        Node member = sequence(string(0, -1), SPACE, new Literal(":"), SPACE, ANY);
        ANY.target = new Choice(List.of(
                string(0, -1), NUMBER, BOOLEAN, NULL, list("{", member, "}", 0, -1), list("[", ANY, "]", 0, -1)));
    }

    /** Any object. */
    public static final JsonSchema OBJECT = of("{\"type\": \"object\"}");

    private final State start;

    private JsonSchema(Node root) {
        Set<Head> heads = new LinkedHashSet<>();
        boolean complete = expand(new Rest(sequence(SPACE, root), null), heads);
        start = new State(heads, complete);
    }

    /** @param schema JSON Schema as text */
    public static JsonSchema of(String schema) {
        return of(Json.parse("JSON schema", schema));
    }

    public static JsonSchema of(Json schema) {
        return new JsonSchema(new Compiler(schema).node(schema));
    }

    /** Before the first character. */
    public State start() {
        return start;
    }

    /** What may come first of the rest; whether the text may end instead. */
    private static boolean expand(@Nullable Rest rest, Set<Head> heads) {
        return expand(rest, heads, 0);
    }

    private static boolean expand(@Nullable Rest rest, Set<Head> heads, int depth) {
        if (depth > DEEPEST) {
            throw new UserError("JSON schema: a $ref leads back to itself before any character of the answer");
        }
        if (rest == null) {
            return true;
        }
        Node node = rest.node;
        Rest then = rest.then;
        if (node instanceof Chars chars) {
            heads.add(new Head(chars.allowed, then));
            return false;
        }
        if (node instanceof Literal literal) {
            String text = literal.text;
            Rest more = text.length() == 1 ? then : new Rest(new Literal(text.substring(1)), then);
            heads.add(new Head(new Only(text.charAt(0)), more));
            return false;
        }
        if (node instanceof Sequence sequence) {
            Rest all = then;
            for (int i = sequence.parts.size() - 1; i >= 0; i--) {
                all = new Rest(sequence.parts.get(i), all);
            }
            return expand(all, heads, depth + 1);
        }
        if (node instanceof Choice choice) {
            boolean ends = false;
            for (Node way : choice.ways) {
                ends |= expand(new Rest(way, then), heads, depth + 1);
            }
            return ends;
        }
        if (node instanceof Repeat repeat) {
            boolean ends = repeat.least == 0 && expand(then, heads, depth + 1);
            if (repeat.most != 0) {
                Node again =
                        new Repeat(repeat.what, Math.max(0, repeat.least - 1), repeat.most < 0 ? -1 : repeat.most - 1);
                expand(new Rest(repeat.what, new Rest(again, then)), heads, depth + 1);
            }
            return ends;
        }
        return expand(new Rest(((Reference) node).resolved(), then), heads, depth + 1);
    }

    /** One character; equal ones are equal, so that states can be told to be the same. */
    private record Only(char c) implements IntPredicate {
        @Override
        public boolean test(int other) {
            return other == c;
        }
    }

    private static Node sequence(Node... parts) {
        return new Sequence(List.of(parts));
    }

    private static Node optional(Node node) {
        return new Repeat(node, 0, 1);
    }

    private static Node string(int least, int most) {
        return sequence(new Literal("\""), new Repeat(CHARACTER, least, most), new Literal("\""));
    }

    /** Some of one kind between brackets, with commas between them. */
    private static Node list(String open, Node item, String close, int least, int most) {
        Node another = sequence(new Literal(","), SPACE, item, SPACE);
        Node some = sequence(
                item, SPACE, new Repeat(another, Math.max(0, least - 1), most < 0 ? -1 : Math.max(0, most - 1)));
        Node inside = most == 0 ? SPACE : least == 0 ? optional(some) : some;
        return sequence(new Literal(open), SPACE, inside, new Literal(close));
    }

    /** From schemas to what may come. */
    private static final class Compiler {
        private final Json root;
        private final Map<String, Reference> references = new HashMap<>();

        Compiler(Json root) {
            this.root = root;
        }

        Node node(Json j) {
            for (String key : j.keys()) {
                if (!KNOWN.contains(key) && !SILENT.contains(key)) {
                    throw new UserError(
                            j.name() + ": " + key + " cannot be kept to while an answer is written; leave it"
                                    + " out, or check it afterwards; supported: "
                                    + KNOWN.stream().sorted().toList());
                }
            }
            if (j.has("$ref")) {
                return reference(j.require("$ref"));
            }
            if (j.has("const")) {
                return new Literal(literal(j.value("const")));
            }
            if (j.has("enum")) {
                List<Node> ways = new ArrayList<>();
                for (Object value : (List<?>) Objects.requireNonNull(j.value("enum"))) {
                    ways.add(new Literal(literal(value)));
                }
                return choice(j, "enum", ways);
            }
            for (String key : List.of("anyOf", "oneOf")) {
                if (j.has(key)) {
                    return choice(j, key, j.list(key).stream().map(this::node).toList());
                }
            }
            if (!j.has("type")) {
                return j.has("properties") ? object(j) : ANY;
            }
            List<String> types = j.isArray("type") ? j.get("type", List.of()) : List.of(j.require("type"));
            return choice(j, "type", types.stream().map(t -> typed(j, t)).toList());
        }

        private static Node choice(Json j, String key, List<Node> ways) {
            if (ways.isEmpty()) {
                throw new UserError(j.name() + ": " + key + " is empty: no answer would do");
            }
            return ways.size() == 1 ? ways.get(0) : new Choice(ways);
        }

        private Node typed(Json j, String type) {
            return switch (type) {
                case "object" -> object(j);
                case "array" ->
                    list(
                            "[",
                            j.has("items") ? node(j.at("items")) : ANY,
                            "]",
                            j.get("minItems", 0),
                            j.get("maxItems", -1));
                case "string" -> string(j.get("minLength", 0), j.get("maxLength", -1));
                case "number" -> NUMBER;
                case "integer" -> INTEGER;
                case "boolean" -> BOOLEAN;
                case "null" -> NULL;
                default -> throw j.unsupported("type", "object, array, string, number, integer, boolean, null");
            };
        }

        private Node object(Json j) {
            Json properties = j.at("properties");
            if (properties.keys().isEmpty()) {
                Node value = j.isObject("additionalProperties") ? node(j.at("additionalProperties")) : ANY;
                Node member = sequence(string(0, -1), SPACE, new Literal(":"), SPACE, value);
                return list("{", member, "}", 0, -1);
            }
            List<String> required = j.get("required", List.of());
            for (String name : required) {
                if (!properties.keys().contains(name)) {
                    throw new UserError(j.name() + ": required names " + name + ", which properties do not have");
                }
            }
            // From the last property to the first: what may follow where one stands before it already, and where not.
            Node behind = new Literal("}");
            Node before = new Literal("}");
            List<String> names = List.copyOf(properties.keys());
            for (int i = names.size() - 1; i >= 0; i--) {
                String name = names.get(i);
                Node member = sequence(
                        new Literal(quoted(name)), SPACE, new Literal(":"), SPACE, node(properties.at(name)), SPACE);
                Node next = sequence(new Literal(","), SPACE, member, behind);
                Node first = sequence(member, behind);
                boolean must = required.contains(name);
                behind = must ? next : new Choice(List.of(next, behind));
                before = must ? first : new Choice(List.of(first, before));
            }
            return sequence(new Literal("{"), SPACE, before);
        }

        private Node reference(String path) {
            Reference known = references.get(path);
            if (known != null) {
                return known;
            }
            Reference r = new Reference();
            references.put(path, r);
            Json at = root;
            if (!path.startsWith("#")) {
                throw new UserError(
                        root.name() + ": $ref " + path + " lies outside of the schema; only #/... is followed");
            }
            for (String part : path.substring(1).split("/", -1)) {
                if (!part.isEmpty()) {
                    at = at.requireAt(part);
                }
            }
            r.target = node(at);
            return r;
        }

        private static String literal(@Nullable Object value) {
            return value instanceof String text ? quoted(text) : String.valueOf(value);
        }

        private static String quoted(String text) {
            StringBuilder b = new StringBuilder("\"");
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c == '"' || c == '\\') {
                    b.append('\\').append(c);
                } else if (c < ' ') {
                    b.append(String.format("\\u%04x", (int) c));
                } else {
                    b.append(c);
                }
            }
            return b.append('"').toString();
        }
    }
}
