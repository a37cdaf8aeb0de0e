package dev.zoetrope.cli;

import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.util.concurrent.CancellationException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The {@code zoetrope} command. Results go to standard output, progress and errors to standard error. */
@Command(
        name = "zoetrope",
        description = "Multimodal models on the JVM: see, make, train, curate.",
        mixinStandardHelpOptions = true,
        versionProvider = Version.Text.class,
        scope = ScopeType.INHERIT,
        sortOptions = false,
        footer = {"", "Exit codes: 0 done, 1 failed, 2 something to mend in the call or its files, 130 interrupted."},
        subcommands = {
            Generate.class,
            ClassifyPictures.class,
            ZeroShotPictures.class,
            EmbedAll.class,
            SearchPictures.class,
            Talk.class,
            CaptionPictures.class,
            RetrievePictures.class,
            SegmentPictures.class,
            Annotate.class,
            Curate.class,
            UpscalePicture.class,
            ExportPipeline.class,
            Tokenize.class,
            Detokenize.class,
            Train.class,
            ListRecipes.class,
            Plot.class,
            Evaluate.class,
            QuantizeModel.class,
            WorldPreview.class,
            ParityRun.class,
            ManifestCheck.class,
            BenchRun.class,
            Version.class
        })
public final class Zoetrope implements Runnable {
    private static final int FAILED = 1;
    private static final int INTERRUPTED = 130;

    @Spec
    private CommandSpec spec;

    @Option(names = "--debug", description = "Show the stack of an unexpected failure.", scope = ScopeType.INHERIT)
    private boolean debug;

    private Zoetrope() {}

    public static void main(String[] arguments) {
        System.exit(commandLine().execute(arguments));
    }

    /** The command, ready to execute; a test gives it other streams. */
    static CommandLine commandLine() {
        Zoetrope zoetrope = new Zoetrope();
        CommandLine line = new CommandLine(zoetrope);
        Extra.addTo(line);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setParameterExceptionHandler(Zoetrope::misused);
        line.setExecutionStrategy(zoetrope::run);
        return line;
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing");
    }

    private int run(ParseResult call) {
        PrintWriter err = spec.commandLine().getErr();
        try {
            return new CommandLine.RunLast().execute(call);
        } catch (ParameterException e) {
            throw e;
        } catch (CommandLine.ExecutionException e) {
            return failed(e.getCause() == null ? e : e.getCause(), err);
        } catch (LinkageError | OutOfMemoryError e) {
            return failed(e, err);
        }
    }

    private int failed(Throwable failure, PrintWriter err) {
        if (failure instanceof ExceptionInInitializerError e && e.getCause() != null) {
            return failed(e.getCause(), err);
        }
        if (debug) {
            failure.printStackTrace(err);
        }
        if (failure instanceof UserError) {
            err.println("zoetrope: " + failure.getMessage());
            return CommandLine.ExitCode.USAGE;
        }
        if (failure instanceof CancellationException) {
            err.println("zoetrope: interrupted; nothing stands under the name asked for");
            return INTERRUPTED;
        }
        if (failure instanceof UnsatisfiedLinkError) {
            err.println("zoetrope: " + failure.getMessage());
            return FAILED;
        }
        if (failure instanceof OutOfMemoryError) {
            err.println("zoetrope: out of memory (" + failure.getMessage()
                    + "); ZOETROPE_JAVA_OPTS=-Xmx8g gives the JVM more");
            return FAILED;
        }
        err.println("zoetrope: unexpected failure: " + failure + (debug ? "" : " (--debug shows the stack)"));
        return FAILED;
    }

    private static int misused(ParameterException e, String[] arguments) {
        CommandLine line = e.getCommandLine();
        PrintWriter err = line.getErr();
        err.println("zoetrope: " + e.getMessage());
        CommandLine.UnmatchedArgumentException.printSuggestions(e, err);
        err.println("See " + line.getCommandSpec().qualifiedName() + " --help");
        return CommandLine.ExitCode.USAGE;
    }
}
