package dev.zoetrope.cli;

import dev.zoetrope.tensor.Engine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What runs here, for a report of a problem. */
@Command(name = "version", description = "Print the versions of Zoetrope, Java and what computes.")
final class Version implements Runnable {
    @Spec
    private CommandSpec spec;

    /** The first line, for {@code --version}. */
    static final class Text implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"zoetrope " + version()};
        }
    }

    private static String version() {
        String version = Version.class.getPackage().getImplementationVersion();
        return version == null ? "(not packaged)" : version;
    }

    @Override
    public void run() {
        var out = spec.commandLine().getOut();
        out.println("zoetrope " + version());
        out.println("java " + System.getProperty("java.version") + ", " + System.getProperty("os.name") + " "
                + System.getProperty("os.arch"));
        out.println("libtorch on the CPU, " + (Engine.usesMkl() ? "MKL" : "OpenBLAS") + ", " + Engine.threads()
                + " threads");
        out.flush();
    }
}
