package dev.zoetrope.media;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.core.util.Separators.Spacing;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What Python's values do in a template: truth, comparison, arithmetic, attributes, methods, filters and tests. */
final class JinjaValues {

    private static final int MAX_LENGTH = 1 << 20;

    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.FAIL_ON_EMPTY_BEANS);

    private JinjaValues() {}

    /** A caller's value in the types that templates know. */
    static @Nullable Object of(@Nullable Object value) {
        if (value instanceof Integer i) {
            return i.longValue();
        }
        if (value instanceof Float f) {
            return f.doubleValue();
        }
        if (value instanceof List<?> list) {
            return list.stream().map(JinjaValues::of).collect(Collectors.toCollection(ArrayList::new));
        }
        if (value instanceof Map<?, ?> map) {
            Map<@Nullable Object, @Nullable Object> copy = new LinkedHashMap<>();
            map.forEach((key, item) -> copy.put(of(key), of(item)));
            return copy;
        }
        boolean known = value == null
                || value instanceof String
                || value instanceof Boolean
                || value instanceof Long
                || value instanceof Double
                || value instanceof Jinja.Callable;
        if (!known) {
            throw new IllegalArgumentException("chat template: values of " + value.getClass() + " are not supported");
        }
        return value;
    }

    /** A name or attribute that is not there: empty as text, false as condition, an error in any other use. */
    record Undefined(String name) {
        UserError error() {
            return new UserError("chat template: '" + name + "' is undefined");
        }
    }

    /** The one kind of object whose attributes a template may set. */
    record Namespace(Map<String, @Nullable Object> values) {}

    /** What {@code loop} is inside a loop. */
    static final class Loop {
        private final List<@Nullable Object> items;
        private int index;

        Loop(List<@Nullable Object> items) {
            this.items = items;
        }

        void advance() {
            index++;
        }

        @Nullable
        Object get(String name) {
            int size = items.size();
            return switch (name) {
                case "index" -> index + 1L;
                case "index0" -> (long) index;
                case "revindex" -> (long) (size - index);
                case "revindex0" -> (long) (size - index - 1);
                case "first" -> index == 0;
                case "last" -> index == size - 1;
                case "length" -> (long) size;
                case "previtem" -> index > 0 ? items.get(index - 1) : new Undefined("loop.previtem");
                case "nextitem" -> index < size - 1 ? items.get(index + 1) : new Undefined("loop.nextitem");
                case "cycle" -> (Jinja.Callable) (arguments, named) -> arguments.get(index % arguments.size());
                default -> new Undefined("loop." + name);
            };
        }
    }

    static Object number(String text) {
        String digits = text.replace("_", "");
        try {
            return digits.matches("\\d+") ? (Object) Long.parseLong(digits) : (Object) Double.parseDouble(digits);
        } catch (NumberFormatException e) {
            throw new UserError("chat template: '" + text + "' is no number", e);
        }
    }

    static boolean truth(@Nullable Object value) {
        if (value instanceof Boolean b) {
            return b;
        }
        if (value instanceof Number n) {
            return n.doubleValue() != 0;
        }
        if (value instanceof String s) {
            return !s.isEmpty();
        }
        if (value instanceof List<?> list) {
            return !list.isEmpty();
        }
        if (value instanceof Map<?, ?> map) {
            return !map.isEmpty();
        }
        return value != null && !(value instanceof Undefined);
    }

    /** Python's {@code str}. */
    static String text(@Nullable Object value) {
        if (value instanceof String s) {
            return s;
        }
        return value instanceof Undefined ? "" : representation(value);
    }

    /** Python's {@code repr}. */
    private static String representation(@Nullable Object value) {
        if (value == null) {
            return "None";
        }
        if (value instanceof Boolean b) {
            return b ? "True" : "False";
        }
        if (value instanceof String s) {
            char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
            String body = s.replace("\\", "\\\\")
                    .replace("\n", "\\n")
                    .replace("\r", "\\r")
                    .replace("\t", "\\t");
            return quote + (quote == '\'' ? body.replace("'", "\\'") : body) + quote;
        }
        if (value instanceof List<?> list) {
            return list.stream().map(JinjaValues::representation).collect(Collectors.joining(", ", "[", "]"));
        }
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                    .map(e -> representation(e.getKey()) + ": " + representation(e.getValue()))
                    .collect(Collectors.joining(", ", "{", "}"));
        }
        return value.toString();
    }

    /** What a loop goes through: elements, the keys of a map, the characters of a text. */
    static List<@Nullable Object> items(@Nullable Object value) {
        if (value instanceof List<?> list) {
            return new ArrayList<>(list);
        }
        if (value instanceof Map<?, ?> map) {
            return new ArrayList<>(map.keySet());
        }
        if (value instanceof String s) {
            return s.codePoints().mapToObj(Character::toString).collect(Collectors.toCollection(ArrayList::new));
        }
        if (value instanceof Undefined) {
            return new ArrayList<>();
        }
        throw new UserError("chat template: " + representation(value) + " cannot be looped over");
    }

    static Object range(List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
        long from = arguments.size() > 1 ? whole(arguments.get(0)) : 0;
        long to = whole(arguments.get(arguments.size() > 1 ? 1 : 0));
        long step = arguments.size() > 2 ? whole(arguments.get(2)) : 1;
        if (step == 0 || (to - from) / step > 100_000) {
            throw new UserError("chat template: range(" + from + ", " + to + ", " + step + ") is too long");
        }
        List<Object> values = new ArrayList<>();
        for (long i = from; step > 0 ? i < to : i > to; i += step) {
            values.add(i);
        }
        return values;
    }

    private static long whole(@Nullable Object value) {
        if (value instanceof Long l) {
            return l;
        }
        if (value instanceof Boolean b) {
            return b ? 1 : 0;
        }
        throw value instanceof Undefined u
                ? u.error()
                : new UserError("chat template: " + representation(value) + " is not a whole number");
    }

    private static boolean equal(@Nullable Object a, @Nullable Object b) {
        if (isNumber(a) && isNumber(b)) {
            return decimal(a) == decimal(b);
        }
        return a instanceof Undefined ? b instanceof Undefined : Objects.equals(a, b);
    }

    private static boolean isNumber(@Nullable Object value) {
        return value instanceof Number || value instanceof Boolean;
    }

    private static double decimal(@Nullable Object value) {
        return value instanceof Double d ? d : whole(value);
    }

    static boolean compare(String operator, @Nullable Object a, @Nullable Object b) {
        return switch (operator) {
            case "==" -> equal(a, b);
            case "!=" -> !equal(a, b);
            case "in" -> contains(b, a);
            case "not in" -> !contains(b, a);
            case "<" -> order(a, b) < 0;
            case "<=" -> order(a, b) <= 0;
            case ">" -> order(a, b) > 0;
            default -> order(a, b) >= 0;
        };
    }

    private static boolean contains(@Nullable Object container, @Nullable Object value) {
        if (container instanceof String s) {
            return s.contains(text(value));
        }
        return items(container).stream().anyMatch(item -> equal(item, value));
    }

    private static int order(@Nullable Object a, @Nullable Object b) {
        if (isNumber(a) && isNumber(b)) {
            return Double.compare(decimal(a), decimal(b));
        }
        if (a instanceof String s && b instanceof String t) {
            return s.compareTo(t);
        }
        throw new UserError(
                "chat template: " + representation(a) + " and " + representation(b) + " have no order between them");
    }

    static Object arithmetic(String operator, @Nullable Object a, @Nullable Object b) {
        if (a instanceof Undefined u) {
            throw u.error();
        }
        if (b instanceof Undefined u) {
            throw u.error();
        }
        if (operator.equals("+") && a instanceof String s && b instanceof String t) {
            return limited(s + t);
        }
        if (operator.equals("+") && a instanceof List<?> s && b instanceof List<?> t) {
            List<@Nullable Object> both = new ArrayList<>(s);
            both.addAll(t);
            return limited(both);
        }
        if (operator.equals("*") && a instanceof String s && b instanceof Long n) {
            if (s.length() * Math.max(0, n) > MAX_LENGTH) {
                throw new UserError("chat template: a text of more than " + MAX_LENGTH + " characters");
            }
            return s.repeat((int) Math.max(0, n));
        }
        if (!isNumber(a) || !isNumber(b)) {
            throw new UserError("chat template: " + representation(a) + " " + operator + " " + representation(b)
                    + " cannot be computed");
        }
        boolean divides = operator.equals("/") || operator.equals("//") || operator.equals("%");
        if (divides && decimal(b) == 0) {
            throw new UserError("chat template: division by zero");
        }
        if (a instanceof Double || b instanceof Double || operator.equals("/")) {
            return decimals(operator, decimal(a), decimal(b));
        }
        long x = whole(a);
        long y = whole(b);
        return switch (operator) {
            case "+" -> x + y;
            case "-" -> x - y;
            case "*" -> x * y;
            case "//" -> Math.floorDiv(x, y);
            case "%" -> Math.floorMod(x, y);
            default ->
                y >= 0 ? (Object) (long) Math.pow((double) x, (double) y) : (Object) Math.pow((double) x, (double) y);
        };
    }

    private static double decimals(String operator, double x, double y) {
        return switch (operator) {
            case "+" -> x + y;
            case "-" -> x - y;
            case "*" -> x * y;
            case "/" -> x / y;
            case "//" -> Math.floor(x / y);
            case "%" -> x - y * Math.floor(x / y);
            default -> Math.pow(x, y);
        };
    }

    private static String limited(String text) {
        if (text.length() > MAX_LENGTH) {
            throw new UserError("chat template: a text of more than " + MAX_LENGTH + " characters");
        }
        return text;
    }

    private static List<@Nullable Object> limited(List<@Nullable Object> list) {
        if (list.size() > MAX_LENGTH) {
            throw new UserError("chat template: a list of more than " + MAX_LENGTH + " elements");
        }
        return list;
    }

    /** {@code object.key}: a method where the object has one of that name, else the item. */
    static @Nullable Object attribute(@Nullable Object object, Object key) {
        if (object instanceof Undefined u) {
            throw u.error();
        }
        if (object instanceof Loop loop) {
            return loop.get(key.toString());
        }
        if (object instanceof Namespace namespace) {
            Map<String, @Nullable Object> values = namespace.values();
            return values.containsKey(key) ? values.get(key) : new Undefined(key.toString());
        }
        boolean method = key instanceof String name
                && ((object instanceof String && TEXT_METHODS.contains(name))
                        || (object instanceof Map && MAP_METHODS.contains(name)));
        return method
                ? (Jinja.Callable) (arguments, named) -> method(object, (String) key, arguments)
                : item(object, key);
    }

    private static final List<String> TEXT_METHODS = List.of(
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "splitlines",
            "startswith",
            "endswith",
            "upper",
            "lower",
            "capitalize",
            "title",
            "replace",
            "join",
            "find",
            "count",
            "isdigit");
    private static final List<String> MAP_METHODS = List.of("items", "keys", "values", "get");

    /** {@code object[key]}. */
    static @Nullable Object item(@Nullable Object object, @Nullable Object key) {
        if (object instanceof Undefined u) {
            throw u.error();
        }
        if (object instanceof Map<?, ?> map) {
            return map.containsKey(key) ? map.get(key) : new Undefined(text(key));
        }
        boolean indexed = object instanceof List || object instanceof String;
        if (indexed && key instanceof Long index) {
            List<@Nullable Object> items = items(object);
            int place = (int) (index < 0 ? index + items.size() : index);
            return place >= 0 && place < items.size() ? items.get(place) : new Undefined("item " + index);
        }
        return new Undefined(text(key));
    }

    /** {@code object[from:to:step]}. */
    static Object slice(@Nullable Object object, @Nullable Object from, @Nullable Object to, @Nullable Object step) {
        if (object instanceof Undefined u) {
            throw u.error();
        }
        List<@Nullable Object> items = items(object);
        int size = items.size();
        long by = step == null ? 1 : whole(step);
        if (by == 0) {
            throw new UserError("chat template: the step of a slice is 0");
        }
        long low = by > 0 ? 0 : -1;
        long high = by > 0 ? size : size - 1;
        long start = from == null ? (by > 0 ? low : high) : bound(whole(from), size, low, high);
        long end = to == null ? (by > 0 ? high : low) : bound(whole(to), size, low, high);
        List<@Nullable Object> part = new ArrayList<>();
        for (long i = start; by > 0 ? i < end : i > end; i += by) {
            part.add(items.get((int) i));
        }
        return object instanceof String ? part.stream().map(JinjaValues::text).collect(Collectors.joining()) : part;
    }

    private static long bound(long index, int size, long low, long high) {
        return Math.max(low, Math.min(high, index < 0 ? index + size : index));
    }

    private static @Nullable Object method(Object object, String name, List<@Nullable Object> arguments) {
        if (object instanceof Map<?, ?> map) {
            return switch (name) {
                case "items" -> pairs(map);
                case "keys" -> items(map);
                case "values" -> new ArrayList<@Nullable Object>(map.values());
                default ->
                    map.containsKey(arguments.get(0))
                            ? map.get(arguments.get(0))
                            : arguments.size() > 1 ? arguments.get(1) : null;
            };
        }
        String text = (String) object;
        @Nullable String first = arguments.isEmpty() || arguments.get(0) == null ? null : text(arguments.get(0));
        return switch (name) {
            case "strip" -> strip(text, first, true, true);
            case "lstrip" -> strip(text, first, true, false);
            case "rstrip" -> strip(text, first, false, true);
            case "split" -> split(text, first, arguments.size() > 1 ? whole(arguments.get(1)) : -1);
            case "rsplit" -> rsplit(text, first, arguments.size() > 1 ? whole(arguments.get(1)) : -1);
            case "splitlines" -> new ArrayList<@Nullable Object>(text.lines().toList());
            case "startswith" -> affixes(arguments).stream().anyMatch(text::startsWith);
            case "endswith" -> affixes(arguments).stream().anyMatch(text::endsWith);
            case "upper" -> text.toUpperCase(Locale.ROOT);
            case "lower" -> text.toLowerCase(Locale.ROOT);
            case "capitalize" -> capitalized(text);
            case "title" -> titled(text);
            case "replace" -> replaced(text, arguments);
            case "join" -> joined(items(arguments.get(0)), text);
            case "find" -> (long) text.indexOf(text(arguments.get(0)));
            case "count" ->
                (long) (text.length() - text.replace(text(first), "").length())
                        / Math.max(1, text(first).length());
            default -> !text.isEmpty() && text.chars().allMatch(Character::isDigit);
        };
    }

    private static List<String> affixes(List<@Nullable Object> arguments) {
        Object first = arguments.get(0);
        return first instanceof List<?> several
                ? several.stream().map(JinjaValues::text).toList()
                : List.of(text(first));
    }

    private static List<@Nullable Object> pairs(Map<?, ?> map) {
        List<@Nullable Object> pairs = new ArrayList<>();
        map.forEach((key, value) -> pairs.add(Arrays.asList(key, value)));
        return pairs;
    }

    /** Without the white space, or the given characters, at its ends. */
    private static String strip(String text, @Nullable String characters, boolean left, boolean right) {
        int from = 0;
        int to = text.length();
        while (left && from < to && strips(text.charAt(from), characters)) {
            from++;
        }
        while (right && from < to && strips(text.charAt(to - 1), characters)) {
            to--;
        }
        return text.substring(from, to);
    }

    private static boolean strips(char c, @Nullable String characters) {
        return characters == null ? isBlank(c) : characters.indexOf(c) >= 0;
    }

    /** Python's white space, to which no-break spaces belong, unlike Java's. */
    private static boolean isBlank(char c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
    }

    private static List<@Nullable Object> split(String text, @Nullable String separator, long most) {
        List<@Nullable Object> parts = new ArrayList<>();
        String rest = separator == null ? strip(text, null, true, false) : text;
        while (most < 0 || parts.size() < most) {
            int[] gap = gap(rest, separator);
            if (gap[0] < 0) {
                break;
            }
            parts.add(rest.substring(0, gap[0]));
            rest = rest.substring(gap[1]);
        }
        if (separator != null || !rest.isEmpty()) {
            parts.add(rest);
        }
        return parts;
    }

    /** Where the next separator, or stretch of white space, begins and ends. */
    private static int[] gap(String text, @Nullable String separator) {
        if (separator != null) {
            if (separator.isEmpty()) {
                throw new UserError("chat template: split by an empty text");
            }
            int at = text.indexOf(separator);
            return new int[] {at, at + separator.length()};
        }
        for (int i = 0; i < text.length(); i++) {
            if (isBlank(text.charAt(i))) {
                int end = i;
                while (end < text.length() && isBlank(text.charAt(end))) {
                    end++;
                }
                return new int[] {i, end};
            }
        }
        return new int[] {-1, -1};
    }

    private static List<@Nullable Object> rsplit(String text, @Nullable String separator, long most) {
        List<@Nullable Object> parts = split(text, separator, -1);
        if (most < 0 || separator == null || parts.size() <= most + 1) {
            return parts;
        }
        int kept = parts.size() - (int) most;
        List<@Nullable Object> joined = new ArrayList<>();
        joined.add(joined(parts.subList(0, kept), separator));
        joined.addAll(parts.subList(kept, parts.size()));
        return joined;
    }

    private static String capitalized(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.offsetByCodePoints(0, 1);
        return text.substring(0, first).toUpperCase(Locale.ROOT)
                + text.substring(first).toLowerCase(Locale.ROOT);
    }

    private static String titled(String text) {
        StringBuilder title = new StringBuilder();
        boolean inWord = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            title.append(inWord ? Character.toLowerCase(c) : Character.toUpperCase(c));
            inWord = Character.isLetter(c);
        }
        return title.toString();
    }

    private static String replaced(String text, List<@Nullable Object> arguments) {
        if (arguments.size() == 3) {
            List<@Nullable Object> parts = split(text, text(arguments.get(0)), whole(arguments.get(2)));
            return joined(parts, text(arguments.get(1)));
        }
        return limited(text.replace(text(arguments.get(0)), text(arguments.get(1))));
    }

    private static String joined(List<@Nullable Object> items, String separator) {
        return limited(items.stream().map(JinjaValues::text).collect(Collectors.joining(separator)));
    }

    static @Nullable Object filter(
            String name,
            @Nullable Object value,
            List<@Nullable Object> arguments,
            Map<String, @Nullable Object> named) {
        return switch (name) {
            case "trim" -> strip(text(value), arguments.isEmpty() ? null : text(arguments.get(0)), true, true);
            case "upper" -> text(value).toUpperCase(Locale.ROOT);
            case "lower" -> text(value).toLowerCase(Locale.ROOT);
            case "capitalize" -> capitalized(text(value));
            case "title" -> titled(text(value));
            case "string" -> text(value);
            case "safe" -> value;
            case "replace" -> replaced(text(value), arguments);
            case "length", "count" ->
                (long)
                        (value instanceof Map<?, ?> map
                                ? map.size()
                                : items(value).size());
            case "first" -> item(items(value), 0L);
            case "last" -> item(items(value), -1L);
            case "list" -> items(value);
            case "reverse" -> reversed(value);
            case "join" ->
                joined(
                        attributeOf(items(value), named.get("attribute")),
                        arguments.isEmpty() ? text(named.getOrDefault("d", "")) : text(arguments.get(0)));
            case "default", "d" -> orDefault(value, arguments, named);
            case "int" -> integer(value, arguments);
            case "float" ->
                isNumber(value)
                        ? (Object) decimal(value)
                        : (Object) Double.parseDouble(text(value).strip());
            case "abs" -> value instanceof Long l ? (Object) Math.abs(l) : (Object) Math.abs(decimal(value));
            case "items" -> value instanceof Map<?, ?> map ? pairs(map) : new ArrayList<>();
            case "dictsort" -> sortedPairs(value);
            case "sort" -> sorted(items(value), named.get("attribute"), truth(named.get("reverse")));
            case "unique" -> unique(items(value));
            case "map" -> mapped(value, arguments, named);
            case "select", "reject" -> selected(value, item -> tested(item, arguments, 0) == name.equals("select"));
            case "selectattr", "rejectattr" ->
                selected(
                        value,
                        item -> tested(path(item, text(arguments.get(0))), arguments, 1) == name.equals("selectattr"));
            case "tojson" -> json(value, named.getOrDefault("indent", arguments.isEmpty() ? null : arguments.get(0)));
            case "indent" -> indented(text(value), arguments, named);
            default -> throw new UserError("chat template: filter '" + name + "' is not supported");
        };
    }

    private static @Nullable Object orDefault(
            @Nullable Object value, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
        Object otherwise = arguments.isEmpty() ? named.getOrDefault("default_value", "") : arguments.get(0);
        boolean alsoFalse = truth(arguments.size() > 1 ? arguments.get(1) : named.get("boolean"));
        return value instanceof Undefined || (alsoFalse && !truth(value)) ? otherwise : value;
    }

    private static Object integer(@Nullable Object value, List<@Nullable Object> arguments) {
        if (isNumber(value)) {
            return (long) decimal(value);
        }
        try {
            return (long) Double.parseDouble(text(value).strip());
        } catch (NumberFormatException e) {
            return arguments.isEmpty() ? 0L : whole(arguments.get(0));
        }
    }

    private static Object reversed(@Nullable Object value) {
        List<@Nullable Object> items = items(value);
        Collections.reverse(items);
        return value instanceof String ? joined(items, "") : items;
    }

    private static List<@Nullable Object> attributeOf(List<@Nullable Object> items, @Nullable Object attribute) {
        List<@Nullable Object> values = new ArrayList<>();
        for (Object item : items) {
            values.add(attribute == null ? item : path(item, text(attribute)));
        }
        return values;
    }

    /** An attribute, or one of an attribute, as {@code a.b}. */
    private static @Nullable Object path(@Nullable Object item, String path) {
        Object value = item;
        for (String key : path.split("\\.", -1)) {
            value = item(value, key.matches("\\d+") ? (Object) Long.parseLong(key) : key);
        }
        return value;
    }

    private static List<@Nullable Object> sortedPairs(@Nullable Object value) {
        List<@Nullable Object> pairs = value instanceof Map<?, ?> map ? pairs(map) : new ArrayList<>();
        pairs.sort((a, b) -> order(item(a, 0L), item(b, 0L)));
        return pairs;
    }

    private static List<@Nullable Object> sorted(
            List<@Nullable Object> items, @Nullable Object attribute, boolean reverse) {
        items.sort(
                (a, b) -> attribute == null ? order(a, b) : order(path(a, text(attribute)), path(b, text(attribute))));
        if (reverse) {
            Collections.reverse(items);
        }
        return items;
    }

    private static List<@Nullable Object> unique(List<@Nullable Object> items) {
        List<@Nullable Object> unique = new ArrayList<>();
        for (Object item : items) {
            if (unique.stream().noneMatch(other -> equal(other, item))) {
                unique.add(item);
            }
        }
        return unique;
    }

    private static List<@Nullable Object> mapped(
            @Nullable Object value, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
        if (named.containsKey("attribute")) {
            return attributeOf(items(value), named.get("attribute"));
        }
        List<@Nullable Object> values = new ArrayList<>();
        for (Object item : items(value)) {
            values.add(filter(text(arguments.get(0)), item, arguments.subList(1, arguments.size()), named));
        }
        return values;
    }

    private static List<@Nullable Object> selected(@Nullable Object value, Predicate<@Nullable Object> condition) {
        List<@Nullable Object> selected = new ArrayList<>();
        for (Object item : items(value)) {
            if (condition.test(item)) {
                selected.add(item);
            }
        }
        return selected;
    }

    /** The test named by the argument at a place, with those behind it; truth itself without one. */
    private static boolean tested(@Nullable Object value, List<@Nullable Object> arguments, int at) {
        return arguments.size() <= at
                ? truth(value)
                : test(text(arguments.get(at)), value, arguments.subList(at + 1, arguments.size()));
    }

    static boolean test(String name, @Nullable Object value, List<@Nullable Object> arguments) {
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none", "None" -> value == null;
            case "boolean" -> value instanceof Boolean;
            case "true", "True" -> Boolean.TRUE.equals(value);
            case "false", "False" -> Boolean.FALSE.equals(value);
            case "string" -> value instanceof String;
            case "number" -> isNumber(value);
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "mapping" -> value instanceof Map;
            case "sequence", "iterable" ->
                value instanceof List || value instanceof Map || value instanceof String || value instanceof Undefined;
            case "callable" -> value instanceof Jinja.Callable;
            case "odd" -> Math.floorMod(whole(value), 2) == 1;
            case "even" -> Math.floorMod(whole(value), 2) == 0;
            case "divisibleby" -> whole(value) % whole(arguments.get(0)) == 0;
            case "equalto", "eq", "==" -> equal(value, arguments.get(0));
            case "ne", "!=" -> !equal(value, arguments.get(0));
            case "lt", "<", "lessthan" -> order(value, arguments.get(0)) < 0;
            case "le", "<=" -> order(value, arguments.get(0)) <= 0;
            case "gt", ">", "greaterthan" -> order(value, arguments.get(0)) > 0;
            case "ge", ">=" -> order(value, arguments.get(0)) >= 0;
            case "in" -> contains(arguments.get(0), value);
            case "upper" -> text(value).equals(text(value).toUpperCase(Locale.ROOT));
            case "lower" -> text(value).equals(text(value).toLowerCase(Locale.ROOT));
            default -> throw new UserError("chat template: test '" + name + "' is not supported");
        };
    }

    private static String indented(String text, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
        Object width = named.getOrDefault("width", arguments.isEmpty() ? 4L : arguments.get(0));
        String blanks = width instanceof String s ? s : " ".repeat((int) Math.min(100, whole(width)));
        boolean first = truth(arguments.size() > 1 ? arguments.get(1) : named.get("first"));
        boolean blank = truth(arguments.size() > 2 ? arguments.get(2) : named.get("blank"));
        String[] lines = text.split("\n", -1);
        for (int i = 0; i < lines.length; i++) {
            boolean indents = i == 0 ? first : blank || !lines[i].isEmpty();
            lines[i] = indents ? blanks + lines[i] : lines[i];
        }
        return String.join("\n", lines);
    }

    /** JSON as Python's {@code json.dumps} writes it: a blank behind commas and colons, no escapes beyond ASCII. */
    private static String json(@Nullable Object value, @Nullable Object indent) {
        Separators separators = Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Spacing.AFTER)
                .withObjectEmptySeparator("")
                .withArrayEmptySeparator("");
        DefaultPrettyPrinter.Indenter indenter;
        if (indent == null) {
            separators = separators.withObjectEntrySpacing(Spacing.AFTER).withArrayValueSpacing(Spacing.AFTER);
            indenter = DefaultPrettyPrinter.NopIndenter.instance;
        } else {
            indenter = new DefaultIndenter(" ".repeat((int) Math.min(100, whole(indent))), "\n");
        }
        DefaultPrettyPrinter printer = new DefaultPrettyPrinter(separators);
        printer.indentObjectsWith(indenter);
        printer.indentArraysWith(indenter);
        if (value instanceof Undefined u) {
            throw u.error();
        }
        try {
            return JSON.writer(printer).writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new UserError("chat template: tojson: " + e.getOriginalMessage(), e);
        }
    }
}
