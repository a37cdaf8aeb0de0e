package dev.zoetrope.models.wan;

import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** Character entities of HTML that occur in captions. */
final class Entities {
    private static final Pattern ENTITY = Pattern.compile("&(#\\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,6});");
    private static final Map<String, String> NAMED = Map.of(
            "amp", "&", "lt", "<", "gt", ">", "quot", "\"", "apos", "'", "nbsp", "\u00a0", "hellip", "\u2026", "ndash",
            "\u2013", "mdash", "\u2014", "copy", "\u00a9");

    private Entities() {}

    static String resolved(String text) {
        return ENTITY.matcher(text).replaceAll(m -> java.util.regex.Matcher.quoteReplacement(character(m)));
    }

    private static String character(MatchResult m) {
        String name = m.group(1);
        if (name.charAt(0) != '#') {
            return NAMED.getOrDefault(name, m.group());
        }
        boolean hex = Character.toLowerCase(name.charAt(1)) == 'x';
        int code = hex ? Integer.parseInt(name.substring(2), 16) : Integer.parseInt(name.substring(1));
        return Character.isValidCodePoint(code) && code != 0 ? Character.toString(code) : "\ufffd";
    }
}
