package dev.zoetrope.training;

import java.util.LinkedHashMap;
import java.util.Map;

/** Collects means of named numbers; safe for several threads. */
public final class Metrics {
    private final Map<String, double[]> sums = new LinkedHashMap<>();

    public synchronized void add(String name, double value) {
        double[] s = sums.computeIfAbsent(name, k -> new double[2]);
        s[0] += value;
        s[1]++;
    }

    /** The means so far; starts anew. */
    public synchronized Map<String, Double> drain() {
        Map<String, Double> r = new LinkedHashMap<>();
        sums.forEach((k, s) -> r.put(k, s[0] / s[1]));
        sums.clear();
        return r;
    }
}
