package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Json;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Configuration values that are one for all levels, or a list with one for each. */
final class PerLevel {
    private PerLevel() {}

    static List<Integer> ints(Json j, String key, int absent, int levels) {
        if (!j.isArray(key)) {
            return Collections.nCopies(levels, j.get(key, absent));
        }
        return checked(j, key, levels, list(j, key));
    }

    static List<Integer> list(Json j, String key, int... absent) {
        List<Integer> r = new ArrayList<>();
        for (int v : j.get(key, absent)) {
            r.add(v);
        }
        return r;
    }

    static List<Boolean> flags(Json j, String key, boolean absent, int levels) {
        if (!j.isArray(key)) {
            return Collections.nCopies(levels, j.get(key, absent));
        }
        List<Boolean> r = new ArrayList<>();
        if (j.value(key) instanceof List<?> values) {
            for (Object v : values) {
                if (!(v instanceof Boolean b)) {
                    throw j.unsupported(key, "true, false, or a list of them");
                }
                r.add(b);
            }
        }
        return checked(j, key, levels, r);
    }

    /** Numbers of transformer blocks: one, one a level, or for a level one for each of its residual blocks. */
    static List<List<Integer>> layers(Json j, String key, List<Integer> resnets) {
        List<List<Integer>> r = new ArrayList<>();
        Object value = j.isArray(key) ? j.value(key) : Collections.nCopies(resnets.size(), j.get(key, 1));
        if (value instanceof List<?> levels) {
            for (Object level : levels) {
                if (level instanceof Integer n) {
                    r.add(Collections.nCopies(r.size() < resnets.size() ? resnets.get(r.size()) : 1, n));
                } else if (level instanceof List<?> each && each.stream().allMatch(Integer.class::isInstance)) {
                    r.add(each.stream().map(Integer.class::cast).toList());
                } else {
                    throw j.unsupported(key, "a number, one for each level, or a list for each level");
                }
            }
        }
        return checked(j, key, resnets.size(), r);
    }

    private static <T> List<T> checked(Json j, String key, int levels, List<T> r) {
        if (r.size() != levels) {
            throw j.unsupported(key, "one value for each of the " + levels + " levels");
        }
        return r;
    }
}
