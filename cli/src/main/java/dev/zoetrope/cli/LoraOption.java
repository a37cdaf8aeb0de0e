package dev.zoetrope.cli;

import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/** Which LoRAs change a pipeline of pictures. */
final class LoraOption {
    private static final Pattern FORM = Pattern.compile("(.+?)(?::(-?\\d+(?:\\.\\d+)?))?");

    @Option(
            names = "--lora",
            paramLabel = "FILE[:X]",
            description = "A LoRA and its strength (default: 1); may be repeated.")
    private List<String> loras = new ArrayList<>();

    /** Adds a LoRA to a model. */
    interface Adder {
        void add(Path file, double strength);
    }

    void addTo(Adder model) {
        for (String lora : loras) {
            Matcher m = FORM.matcher(lora);
            if (!m.matches()) {
                throw new UserError("--lora '" + lora + "' is not FILE or FILE:STRENGTH");
            }
            model.add(Path.of(m.group(1)), m.group(2) == null ? 1 : Double.parseDouble(m.group(2)));
        }
    }
}
