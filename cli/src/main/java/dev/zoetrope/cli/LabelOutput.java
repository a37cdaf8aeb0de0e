package dev.zoetrope.cli;

import dev.zoetrope.tasks.Label;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Prints what pictures were taken for: a small table each, or a line of JSON. */
final class LabelOutput {
    private LabelOutput() {}

    static void print(List<Path> files, List<List<Label>> labels, boolean json, PrintWriter out) {
        for (int i = 0; i < files.size(); i++) {
            if (json) {
                out.println(line(files.get(i), labels.get(i)));
            } else {
                out.println(files.get(i));
                for (Label l : labels.get(i)) {
                    out.printf(Locale.ROOT, "  %6.2f %%  %s%n", 100 * l.probability(), l.name());
                }
            }
        }
    }

    private static String line(Path file, List<Label> labels) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("file", file.toString());
        line.put(
                "labels",
                labels.stream()
                        .map(l -> {
                            Map<String, Object> label = new LinkedHashMap<>();
                            label.put("label", l.name());
                            label.put("probability", l.probability());
                            return label;
                        })
                        .toList());
        return Pictures.json(line);
    }
}
