package dev.zoetrope.cli;

import dev.zoetrope.tensor.UserError;
import java.util.Locale;
import java.util.ServiceLoader;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** The commands that come as an {@link Extension}. Where a module is not there, its command says how to get it. */
enum Extra {
    SERVE("server", "Serve models over HTTP as OpenAI's clients expect it, with a studio for the browser.");

    private final String module;
    private final String description;

    Extra(String module, String description) {
        this.module = module;
        this.description = description;
    }

    static void addTo(CommandLine line) {
        for (Extension e : ServiceLoader.load(Extension.class)) {
            line.addSubcommand(e.command());
        }
        for (Extra e : values()) {
            if (!line.getSubcommands().containsKey(e.command())) {
                line.addSubcommand(e.command(), e.missing());
            }
        }
    }

    private String command() {
        return name().toLowerCase(Locale.ROOT);
    }

    private CommandSpec missing() {
        Runnable explain = () -> {
            throw new UserError(command() + " is in a module of its own, zoetrope-" + module
                    + ", which is not on the class path; ./zoetrope " + command() + " builds and adds it");
        };
        CommandSpec spec = CommandSpec.wrapWithoutInspection(explain).name(command());
        spec.usageMessage().description(description);
        spec.parser().stopAtUnmatched(true).unmatchedArgumentsAllowed(true);
        return spec;
    }
}
