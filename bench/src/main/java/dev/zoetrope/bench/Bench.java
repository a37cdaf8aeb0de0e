package dev.zoetrope.bench;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Engine;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Times operators, blocks and steps of published sizes with random weights, and prints a line of JSON for each. Peak
 * memory is the process's, so it is a measurement's own only where one is run alone.
 */
public final class Bench {
    private Bench() {}

    /**
     * @param only names of measurements; empty for all
     * @param dtype of weights and inputs
     * @param products type of the products, as Fast chose it
     * @param repeat timed runs
     * @param warmup runs before those
     */
    public record Options(List<String> only, DType dtype, String products, int repeat, int warmup) {
        public Options {
            if (repeat < 1) {
                throw new UserError("repeat must be at least 1, not " + repeat);
            }
            if (warmup < 0) {
                throw new UserError("warmup must be at least 0, not " + warmup);
            }
            only = List.copyOf(only);
        }
    }

    /** Names and what one run of each does. */
    public static List<String> list() {
        return Measurement.ALL.stream()
                .map(m -> String.format(Locale.ROOT, "%-22s %s", m.name(), m.work()))
                .toList();
    }

    /** Runs what is asked for and prints each line as soon as it is there. */
    public static void run(Options o, PrintStream out) {
        for (String name : o.only()) {
            if (Measurement.ALL.stream().noneMatch(m -> m.name().equals(name))) {
                throw new UserError("there is no measurement '" + name + "'; there are: "
                        + String.join(
                                ", ",
                                Measurement.ALL.stream().map(Measurement::name).toList()));
            }
        }
        Measurement.ALL.stream()
                .filter(m -> o.only().isEmpty() || o.only().contains(m.name()))
                .forEach(m -> out.println(measure(m, o)));
    }

    private static String measure(Measurement m, Options o) {
        double[] seconds = new double[o.repeat()];
        try (Scope s = Scope.open();
                Autograd.Mode mode = m.gradients() ? Autograd.on() : Autograd.off();
                Measurement.Work work = m.prepare().of(o.dtype())) {
            for (int i = -o.warmup(); i < seconds.length; i++) {
                long start = System.nanoTime();
                try (Scope run = Scope.open()) {
                    Tensor result = work.run();
                    if (i >= 0) {
                        seconds[i] = (System.nanoTime() - start) / 1e9;
                    }
                    if (!result.isfinite().all()) {
                        throw new IllegalStateException(m.name() + ": the result is not finite");
                    }
                }
            }
        }
        Arrays.sort(seconds);
        return line(m, o, seconds);
    }

    private static String line(Measurement m, Options o, double[] sorted) {
        int half = sorted.length / 2;
        double median = sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
        return String.format(
                Locale.ROOT,
                "{\"name\": \"%s\", \"device\": \"cpu\", \"dtype\": \"%s\", \"products\": \"%s\", \"threads\": %d, \"seconds_median\": %.5f, "
                        + "\"seconds_min\": %.5f, \"peak_rss_mb\": %d, \"work\": \"%s\", \"repeat\": %d, \"compile\": false}",
                m.name(),
                o.dtype().name().toLowerCase(Locale.ROOT),
                o.dtype() == DType.FLOAT32 ? o.products() : o.dtype().name().toLowerCase(Locale.ROOT),
                Engine.threads(),
                median,
                sorted[0],
                peakMegabytes(),
                m.work(),
                o.repeat());
    }

    /** The most memory this process has had; 0 where the system does not tell. */
    private static long peakMegabytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith("VmHWM:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
                    .findFirst()
                    .orElse(0);
        } catch (IOException e) {
            return 0;
        }
    }
}
