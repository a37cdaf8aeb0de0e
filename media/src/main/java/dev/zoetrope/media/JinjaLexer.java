package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** Cuts a Jinja template into texts, delimiters and the tokens between them. */
final class JinjaLexer {

    enum Kind {
        TEXT,
        OPEN_VALUE,
        OPEN_BLOCK,
        NAME,
        STRING,
        NUMBER,
        SYMBOL,
        END
    }

    /** A token, or a stretch of plain text. */
    record Token(Kind kind, String text, int line) {
        boolean isSymbol(String symbol) {
            return kind == Kind.SYMBOL && text.equals(symbol);
        }

        boolean isName(String name) {
            return kind == Kind.NAME && text.equals(name);
        }

        boolean isAnyOf(String... symbols) {
            return kind == Kind.SYMBOL && Arrays.asList(symbols).contains(text);
        }

        @Override
        public String toString() {
            return kind == Kind.END ? "the end" : "'" + text + "'";
        }
    }

    /** Longest first, so that the first that fits is the right one. */
    private static final List<String> SYMBOLS = List.of(
            "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{",
            "}", ",", ".", ":", "|");

    private static final Pattern RAW =
            Pattern.compile("\\s*raw\\s*[-+]?%\\}(.*?)\\{%[-+]?\\s*endraw\\s*[-+]?%\\}", Pattern.DOTALL);

    private final String template;
    private final int[] lineEnds;
    private final List<Token> tokens = new ArrayList<>();
    private int at;

    JinjaLexer(String template) {
        String unix = template.replace("\r\n", "\n").replace('\r', '\n');
        this.template = unix.endsWith("\n") ? unix.substring(0, unix.length() - 1) : unix;
        this.lineEnds = IntStream.range(0, template.length())
                .filter(i -> template.charAt(i) == '\n')
                .toArray();
    }

    List<Token> tokens() {
        boolean lineStart = true; // whether the coming text begins a line of the template
        boolean stripLeft = false; // whether the tag before asked for the white space behind it to go
        while (true) {
            int tag = nextTag(at);
            String text = template.substring(at, tag < 0 ? template.length() : tag);
            if (stripLeft) {
                text = text.stripLeading();
            }
            if (tag < 0) {
                text(text);
                tokens.add(new Token(Kind.END, "", line(template.length())));
                return tokens;
            }
            char kind = template.charAt(tag + 1);
            char modifier = tag + 2 < template.length() ? template.charAt(tag + 2) : ' ';
            text(before(text, kind, modifier, lineStart));
            at = tag + 2 + (modifier == '-' || modifier == '+' ? 1 : 0);
            int end =
                    switch (kind) {
                        case '#' -> comment(tag);
                        case '%' -> raw() ? at : inside(Kind.OPEN_BLOCK, "%}");
                        default -> inside(Kind.OPEN_VALUE, "}}");
                    };
            char before = template.charAt(end - 3);
            at = end;
            stripLeft = before == '-';
            lineStart = false;
            boolean dropsNewline = kind != '{' && before != '+' && before != '-';
            if (dropsNewline && at < template.length() && template.charAt(at) == '\n') {
                at++;
                lineStart = true;
            }
        }
    }

    /** The text in front of a tag, without the white space that goes. */
    private static String before(String text, char kind, char modifier, boolean lineStart) {
        if (modifier == '-') {
            return text.stripTrailing();
        }
        int line = text.lastIndexOf('\n') + 1;
        boolean beginsLine = line > 0 || lineStart;
        boolean drops = kind != '{'
                && modifier != '+'
                && beginsLine
                && text.substring(line).isBlank();
        return drops ? text.substring(0, line) : text;
    }

    private int nextTag(int from) {
        for (int i = template.indexOf('{', from);
                i >= 0 && i + 1 < template.length();
                i = template.indexOf('{', i + 1)) {
            char next = template.charAt(i + 1);
            if (next == '{' || next == '%' || next == '#') {
                return i;
            }
        }
        return -1;
    }

    private void text(String text) {
        if (!text.isEmpty()) {
            tokens.add(new Token(Kind.TEXT, text, line(at)));
        }
    }

    private int comment(int from) {
        int end = template.indexOf("#}", at);
        if (end < 0) {
            throw error(from, "comment {# without end");
        }
        return end + 2;
    }

    /** Whether a raw block stands here; its text is taken then, up to the end of its last tag. */
    private boolean raw() {
        Matcher block = RAW.matcher(template).region(at, template.length());
        if (!block.lookingAt()) {
            return false;
        }
        text(block.group(1));
        at = block.end();
        return true;
    }

    /** The tokens up to the closing delimiter. Answers the place behind it. */
    private int inside(Kind open, String close) {
        int from = at;
        tokens.add(new Token(open, close.equals("}}") ? "{{" : "{%", line(at)));
        int braces = 0;
        while (at < template.length()) {
            char c = template.charAt(at);
            if (Character.isWhitespace(c)) {
                at++;
                continue;
            }
            int modifier = (c == '-' || c == '+') && template.startsWith(close, at + 1) ? 1 : 0;
            if (braces == 0 && template.startsWith(close, at + modifier)) {
                tokens.add(new Token(Kind.SYMBOL, close, line(at)));
                return at + modifier + 2;
            }
            if (c == '\'' || c == '"') {
                string(c);
            } else if (Character.isDigit(c)) {
                run(Kind.NUMBER);
            } else if (Character.isJavaIdentifierStart(c) && c != '$') {
                run(Kind.NAME);
            } else {
                String symbol = symbol();
                braces += symbol.equals("{") ? 1 : symbol.equals("}") ? -1 : 0;
            }
        }
        throw error(from, "tag without " + close);
    }

    private void run(Kind kind) {
        int from = at;
        while (at < template.length() && continues(kind, template.charAt(at))) {
            at++;
        }
        tokens.add(new Token(kind, template.substring(from, at), line(from)));
    }

    private boolean continues(Kind kind, char c) {
        if (kind == Kind.NAME) {
            return Character.isJavaIdentifierPart(c) && c != '$';
        }
        boolean fraction = c == '.' && at + 1 < template.length() && Character.isDigit(template.charAt(at + 1));
        return Character.isLetterOrDigit(c) || c == '_' || fraction;
    }

    private String symbol() {
        for (String symbol : SYMBOLS) {
            if (template.startsWith(symbol, at)) {
                tokens.add(new Token(Kind.SYMBOL, symbol, line(at)));
                at += symbol.length();
                return symbol;
            }
        }
        throw error(at, "character '" + template.charAt(at) + "' is not expected here");
    }

    private void string(char quote) {
        int from = at++;
        StringBuilder text = new StringBuilder();
        while (at < template.length() && template.charAt(at) != quote) {
            char c = template.charAt(at++);
            if (c != '\\' || at == template.length()) {
                text.append(c);
                continue;
            }
            char escape = template.charAt(at++);
            switch (escape) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case '\n' -> {}
                case '\\', '\'', '"' -> text.append(escape);
                case 'x' -> code(2, text);
                case 'u' -> code(4, text);
                case 'U' -> code(8, text);
                default -> text.append('\\').append(escape);
            }
        }
        if (at == template.length()) {
            throw error(from, "string without end");
        }
        at++;
        tokens.add(new Token(Kind.STRING, text.toString(), line(from)));
    }

    private void code(int digits, StringBuilder text) {
        try {
            text.appendCodePoint(Integer.parseInt(template, at, Math.min(template.length(), at + digits), 16));
            at += digits;
        } catch (IllegalArgumentException e) {
            throw error(at, "bad escape sequence in a string");
        }
    }

    private int line(int place) {
        int i = Arrays.binarySearch(lineEnds, place);
        return 1 + (i < 0 ? -1 - i : i);
    }

    private UserError error(int place, String what) {
        return new UserError("chat template: line " + line(place) + ": " + what);
    }
}
