package dev.zoetrope.parity;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Runs reference cases: an operation of a model each, with a small checkpoint, inputs and the answers of the reference
 * implementation. The checkpoint is loaded as a user loads one, the operation is done, and each output is held against
 * the expected one: for floats {@code max|a - b| / max|b|} (absolute where max|b| is below 1e-3) is at most the case's
 * tolerance, whole numbers and booleans are equal, and what is not finite fails.
 */
public final class Parity {
    private static final Map<String, Entry> ENTRIES = entries();

    private Parity() {}

    private static Map<String, Entry> entries() {
        Map<String, Entry> r = new TreeMap<>();
        Blip2Entries.register(r);
        CurationEntries.register(r);
        DiffusionEntries.register(r);
        AnyToAnyEntries.register(r);
        DiffusionTrainingEntries.register(r);
        DitEntries.register(r);
        ImageBindEntries.register(r);
        EvaluationEntries.register(r);
        ExpertEntries.register(r);
        ImageEntries.register(r);
        LanguageEntries.register(r);
        LanguageTrainingEntries.register(r);
        LlavaEntries.register(r);
        MetricEntries.register(r);
        OwlEntries.register(r);
        PictureEntries.register(r);
        PictureTrainingEntries.register(r);
        SamEntries.register(r);
        SchedulerEntries.register(r);
        SeeingEntries.register(r);
        SeeingTrainingEntries.register(r);
        NextGptEntries.register(r);
        PackingEntries.register(r);
        TokenEntries.register(r);
        TrainingEntries.register(r);
        OpenSoraEntries.register(r);
        VideoEntries.register(r);
        return r;
    }

    /** Cases, or manifests, that passed and failed. */
    public record Summary(int passed, int failed) {
        public boolean ok() {
            return failed == 0 && passed > 0;
        }

        @Override
        public String toString() {
            return passed + " passed, " + failed + " failed";
        }
    }

    /**
     * Runs every case.json below the folders and prints a line an output, {@code PASS system/case output error tolerance}
     * or {@code FAIL system/case output reason}, and the totals at the end. An entry that is not known fails.
     */
    public static Summary run(List<Path> folders, PrintStream out) {
        return print(find(folders), Parity::run, out);
    }

    /**
     * Holds models against manifests of published checkpoints, files or folders of them, and prints lines of the same
     * kind: one for each that fits, {@code PASS system/file tensors count}, or one for each tensor that does not.
     */
    public static Summary manifests(List<Path> files, PrintStream out) {
        return print(below(files, ".json"), file -> Manifest.read(file).check(), out);
    }

    private static Summary print(List<Path> files, Function<Path, List<Line>> check, PrintStream out) {
        int passed = 0;
        int failed = 0;
        for (Path file : files) {
            List<Line> lines = check.apply(file);
            lines.forEach(out::println);
            if (lines.stream().allMatch(Line::passed)) {
                passed++;
            } else {
                failed++;
            }
        }
        Summary summary = new Summary(passed, failed);
        out.println(summary);
        return summary;
    }

    /** Every case.json below the folders, in the order of their paths. */
    static List<Path> find(List<Path> folders) {
        return below(folders, "case.json");
    }

    static List<Path> below(List<Path> folders, String ending) {
        List<Path> r = new ArrayList<>();
        for (Path folder : folders) {
            if (!Files.exists(folder)) {
                throw new UserError(folder + ": there is no such file or folder");
            }
            try (Stream<Path> all = Files.walk(folder, FileVisitOption.FOLLOW_LINKS)) {
                all.filter(f -> Files.isRegularFile(f) && f.toString().endsWith(ending))
                        .sorted()
                        .forEach(r::add);
            } catch (IOException | UncheckedIOException e) {
                throw new UserError(folder + ": cannot read: " + e, e);
            }
        }
        if (r.isEmpty()) {
            throw new UserError("no " + ending + " below " + folders);
        }
        return r;
    }

    /** Runs one case; never throws for what a case can cause. */
    static List<Line> run(Path file) {
        String name = String.valueOf(file.toAbsolutePath().getParent().getFileName());
        List<Case.Output> outputs = List.of();
        List<Line> lines = new ArrayList<>();
        String reason = "not answered";
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                Answers answers = new Answers()) {
            Case c = Case.read(file);
            name = c.name();
            outputs = c.outputs();
            if (outputs.isEmpty()) {
                return List.of(Line.fail(name, "-", "case.json names no outputs"));
            }
            Entry entry = ENTRIES.get(c.entry());
            if (entry == null) {
                reason = "unknown entry " + c.entry();
            } else {
                try {
                    entry.answer(c, answers);
                } catch (RuntimeException e) {
                    reason = e instanceof UserError ? String.valueOf(e.getMessage()) : e.toString();
                }
            }
            Map<String, Tensor> expected = c.expected();
            for (Case.Output o : outputs) {
                Tensor answer = answers.get(o.name());
                lines.add(
                        answer == null
                                ? Line.fail(name, o.name(), reason)
                                : Comparison.of(name, o, expected.get(o.name()), answer));
            }
            for (Map.Entry<String, String> d : answers.differences().entrySet()) {
                lines.add(Line.fail(name, d.getKey(), d.getValue()));
            }
            return lines;
        } catch (UserError e) {
            return List.of(Line.fail(name, "-", String.valueOf(e.getMessage())));
        }
    }
}
