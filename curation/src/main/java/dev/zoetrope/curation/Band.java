package dev.zoetrope.curation;

import dev.zoetrope.tensor.UserError;
import java.io.Serializable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A part of a ranking, from its best on: the ranks r, from 0, with floor(n from / 100) &lt;= r &lt; floor(n to / 100).
 *
 * @param from in percent
 * @param to in percent
 */
public record Band(double from, double to) implements Serializable {
    private static final Pattern TEXT = Pattern.compile("\\s*(\\d+(?:\\.\\d+)?)\\s*-\\s*(\\d+(?:\\.\\d+)?)\\s*");

    /** Everything. */
    public static final Band ALL = new Band(0, 100);

    public Band {
        if (!(from >= 0 && from < to && to <= 100)) {
            throw new UserError("the band " + from + "-" + to
                    + " is none: expected two percentages, 0 to 100, the lower one first, such as 40-60");
        }
    }

    /** {@code 40-60}. */
    public static Band of(String text) {
        Matcher m = TEXT.matcher(text);
        if (!m.matches()) {
            throw new UserError(
                    "\"" + text + "\" is no band: expected two percentages, the lower one first, such as 40-60");
        }
        return new Band(Double.parseDouble(m.group(1)), Double.parseDouble(m.group(2)));
    }

    /** The first rank in it, of {@code n}. */
    public long first(long n) {
        return (long) Math.floor(n * from / 100);
    }

    /** The first rank behind it, of {@code n}. */
    public long end(long n) {
        return (long) Math.floor(n * to / 100);
    }

    public boolean holds(long rank, long n) {
        return rank >= first(n) && rank < end(n);
    }

    @Override
    public String toString() {
        return number(from) + "-" + number(to);
    }

    private static String number(double d) {
        return d == Math.rint(d) ? String.valueOf((long) d) : String.valueOf(d);
    }
}
