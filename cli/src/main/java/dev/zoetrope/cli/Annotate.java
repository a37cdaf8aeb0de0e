package dev.zoetrope.cli;

import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.Segment.Answer;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tasks.annotation.AnnotationSession.Annotation;
import dev.zoetrope.tasks.annotation.AnnotationSession.Item;
import dev.zoetrope.tasks.annotation.AnnotationSession.Source;
import dev.zoetrope.tasks.annotation.DataEngine;
import dev.zoetrope.tasks.annotation.Desk;
import dev.zoetrope.tasks.annotation.Sa1b;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The data engine: masks by clicks, by clicks after the model, by the model alone. */
@Command(
        name = "annotate",
        sortOptions = false,
        description = {
            "Annotate pictures with masks, in three stages, and train on them.",
            "  zoetrope annotate start session.json photos/",
            "  zoetrope annotate manual session.json       1: you click, the model answers",
            "  zoetrope annotate prefill session.json      2: the model fills in what it is sure of; then manual",
            "  zoetrope annotate auto session.json         3: the model alone; or a folder: auto photos/ -o masks/",
            "  zoetrope train recipes/sam-world.yaml --set data.session=session.json --set start=DIR --run runs/own"
        })
final class Annotate implements Runnable {
    @Spec
    private CommandSpec spec;

    @Option(
            names = "--model",
            scope = ScopeType.INHERIT,
            paramLabel = "DIR|FILE|ORG/NAME",
            description = "Folder, .pth file or name on the hub of a SAM model (default: the built-in one).")
    private @Nullable String model;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a stage is missing");
    }

    private Segment segment(EngineOptions engine) {
        engine.start(spec.commandLine().getErr());
        return model == null ? Segment.builtIn() : Segment.of(model);
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }

    @Command(name = "start", description = "Make a session of pictures.")
    int start(
            @Parameters(paramLabel = "SESSION", description = "The file to make.") Path session,
            @Parameters(paramLabel = "FILE", arity = "1..*", description = "Pictures, folders of them, or patterns.")
                    List<String> files) {
        AnnotationSession s = AnnotationSession.create(session, PictureFiles.of(files));
        out().println(session + "  " + s.items().size() + " pictures");
        return 0;
    }

    @Command(name = "status", description = "Say what a session holds.")
    int status(@Parameters(paramLabel = "SESSION", description = "A session's file.") Path session) {
        List<Item> items = AnnotationSession.open(session).items();
        for (int i = 0; i < items.size(); i++) {
            Item item = items.get(i);
            out().println(String.format(
                    Locale.ROOT,
                    "%d  %s  %d manual, %d confident, %d automatic%s",
                    i,
                    item.file(),
                    count(item, Source.MANUAL),
                    count(item, Source.CONFIDENT),
                    count(item, Source.AUTOMATIC),
                    item.done() ? ", done" : ""));
        }
        return 0;
    }

    private static long count(Item item, Source source) {
        return item.annotations().stream().filter(a -> a.source() == source).count();
    }

    @Command(
            name = "manual",
            description = {
                "Stage 1: annotate by clicks. Reads commands, a line each:",
                "  open N          the picture of this number (the first that is not done is open already)",
                "  + X Y, - X Y    a click on what is wanted, or on what is not",
                "  box X0 Y0 X1 Y1 a box around it",
                "  pick K          another of the candidates, from 0",
                "  undo, clear     forget the last click, or all",
                "  show FILE.png   write an overlay",
                "  accept          keep the mask; remove ID takes one away again",
                "  done            this picture is complete: go to the next",
                "  quit"
            })
    int manual(
            @Parameters(paramLabel = "SESSION", description = "A session's file.") Path session,
            @Mixin EngineOptions engine) {
        AnnotationSession s = AnnotationSession.open(session);
        try (Segment segment = segment(engine);
                Conversation c = new Conversation(new DataEngine(segment, s), out())) {
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            c.next();
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                try {
                    if (!c.obey(line.strip())) {
                        break;
                    }
                } catch (UserError e) {
                    out().println("? " + e.getMessage());
                }
                out().flush();
            }
            return 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What a person at a terminal says, and what comes of it. */
    private static final class Conversation implements AutoCloseable {
        private final DataEngine engine;
        private final PrintWriter out;
        private @Nullable Desk desk;

        Conversation(DataEngine engine, PrintWriter out) {
            this.engine = engine;
            this.out = out;
        }

        /** Opens the first picture that is not done. */
        void next() {
            List<Item> items = engine.session().items();
            for (int i = 0; i < items.size(); i++) {
                if (!items.get(i).done()) {
                    open(i);
                    return;
                }
            }
            close();
            out.println("all " + items.size() + " pictures are done");
        }

        private void open(int picture) {
            Item item = engine.session().item(picture);
            close();
            Desk d = engine.open(picture);
            desk = d;
            out.println(picture + "  " + item.file() + "  " + d.image().width() + "x"
                    + d.image().height() + ", " + item.annotations().size() + " masks");
        }

        /** @return whether to go on */
        boolean obey(String line) {
            String[] words = line.split("\\s+");
            switch (words[0]) {
                case "" -> {}
                case "quit", "exit" -> {
                    return false;
                }
                case "open" -> open((int) numbers(words, 1)[0]);
                case "+", "-" -> {
                    double[] v = numbers(words, 2);
                    tell(desk().click(v[0], v[1], words[0].equals("+")));
                }
                case "box" -> {
                    double[] v = numbers(words, 4);
                    tell(desk().box(new Box(v[0], v[1], v[2], v[3])));
                }
                case "pick" -> tell(desk().choose((int) numbers(words, 1)[0]));
                case "undo" -> desk().undo();
                case "clear" -> desk().clear();
                case "show" -> show(words);
                case "accept" -> {
                    Annotation a = desk().accept();
                    out.println("mask " + a.id() + " kept, " + a.mask().area() + " pixels");
                }
                case "remove" -> engine.session().remove(desk().number(), (long) numbers(words, 1)[0]);
                case "done" -> {
                    engine.session().setDone(desk().number(), true);
                    next();
                }
                default ->
                    throw new UserError("'" + words[0] + "' is no command; commands are open, +, -, box, pick, undo, "
                            + "clear, show, accept, remove, done, quit");
            }
            return true;
        }

        private Desk desk() {
            Desk d = desk;
            if (d == null) {
                throw new UserError("no picture is open");
            }
            return d;
        }

        private void tell(Answer answer) {
            List<Candidate> all = answer.candidates();
            for (int i = 0; i < all.size(); i++) {
                out.println(String.format(
                        Locale.ROOT,
                        "%s%d  %d pixels, predicted IoU %.3f",
                        all.get(i) == desk().candidate() ? "* " : "  ",
                        i,
                        all.get(i).mask().area(),
                        all.get(i).predictedIou()));
            }
            out.println(String.format(Locale.ROOT, "  %.0f ms", desk().millis()));
        }

        private void tell(Candidate c) {
            out.println(String.format(
                    Locale.ROOT, "%d pixels, predicted IoU %.3f", c.mask().area(), c.predictedIou()));
        }

        private void show(String... words) {
            if (words.length != 2) {
                throw new UserError("show takes the name of a picture to write");
            }
            Candidate c = desk().candidate();
            List<Mask> masks = c != null
                    ? List.of(c.mask())
                    : engine.session().item(desk().number()).annotations().stream()
                            .map(a -> a.mask().mask())
                            .toList();
            Images.write(Mask.overlay(desk().image(), masks), Path.of(words[1]));
        }

        private static double[] numbers(String[] words, int expected) {
            try {
                double[] v = Arrays.stream(words)
                        .skip(1)
                        .mapToDouble(Double::parseDouble)
                        .toArray();
                if (v.length == expected) {
                    return v;
                }
            } catch (NumberFormatException e) {
                throw new UserError("'" + words[0] + "' takes " + expected + " numbers", e);
            }
            throw new UserError("'" + words[0] + "' takes " + expected + " numbers");
        }

        @Override
        public void close() {
            Desk d = desk;
            if (d != null) {
                d.close();
                desk = null;
            }
        }
    }

    @Command(
            name = "prefill",
            description = "Stage 2: fill in masks that the model is sure of, in pictures that are not done.")
    int prefill(
            @Parameters(paramLabel = "SESSION", description = "A session's file.") Path session,
            @Mixin AutomaticOptions automatic,
            @Mixin EngineOptions engine) {
        AutomaticMasks.Settings settings = automatic.settings();
        return each(session, engine, "prefill", (e, picture) -> e.prefill(picture, settings, (done, of) -> true)
                .size());
    }

    @Command(
            name = "auto",
            description = {
                "Stage 3: the model alone. Of a session: the pictures that are not done. Of pictures, folders and",
                "patterns: a file of SA-1B's form for each, in a folder; what is there already is left as it is."
            })
    int auto(
            @Parameters(paramLabel = "SESSION|FILE", arity = "1..*", description = "A session's file, or pictures.")
                    List<String> what,
            @Option(
                            names = {"-o", "--output"},
                            paramLabel = "DIR",
                            description = "Folder of the masks of pictures.")
                    @Nullable
                    Path output,
            @Mixin AutomaticOptions automatic,
            @Mixin EngineOptions engine) {
        AutomaticMasks.Settings settings = automatic.settings();
        if (what.size() == 1 && what.get(0).endsWith(".json")) {
            return each(Path.of(what.get(0)), engine, "auto", (e, picture) -> e.automatic(
                            picture, settings, (done, of) -> true)
                    .size());
        }
        if (output == null) {
            throw new UserError("auto of pictures needs -o DIR, the folder of their masks");
        }
        List<Path> pictures = PictureFiles.of(what);
        PrintWriter err = spec.commandLine().getErr();
        try (Segment segment = segment(engine);
                Stop stop = new Stop("stopping after this picture; the same command goes on ...", err);
                Bar bar = new Bar("auto", 0, pictures.size(), err)) {
            DataEngine.Outcome o = DataEngine.folder(segment, pictures, output, settings, (done, of) -> {
                bar.step(done);
                return !stop.requested();
            });
            o.failures().forEach(f -> err.println("zoetrope: " + f));
            out().println(output + "  " + o.pictures() + " pictures, " + o.masks() + " masks, " + o.skipped()
                    + " were there already");
            return o.failures().isEmpty() ? 0 : 2;
        }
    }

    @FunctionalInterface
    private interface Stage {
        int masks(DataEngine engine, int picture);
    }

    private int each(Path session, EngineOptions options, String name, Stage stage) {
        AnnotationSession s = AnnotationSession.open(session);
        PrintWriter err = spec.commandLine().getErr();
        int masks = 0;
        int pictures = 0;
        try (Segment segment = segment(options);
                Stop stop = new Stop("stopping after this picture; the same command goes on ...", err);
                Bar bar = new Bar(name, 0, s.items().size(), err)) {
            DataEngine engine = new DataEngine(segment, s);
            for (int i = 0; i < s.items().size() && !stop.requested(); i++) {
                if (!s.item(i).done()) {
                    masks += stage.masks(engine, i);
                    pictures++;
                }
                bar.step(i + 1L);
            }
        }
        out().println(session + "  " + masks + " masks added in " + pictures + " pictures");
        return 0;
    }

    @Command(
            name = "export",
            description = "Write a session as a folder: for each picture SA-1B's JSON and a coloured overlay.")
    int export(
            @Parameters(paramLabel = "SESSION", description = "A session's file.") Path session,
            @Option(
                            names = {"-o", "--output"},
                            paramLabel = "DIR",
                            required = true,
                            description = "The folder.")
                    Path output) {
        List<Item> items = AnnotationSession.open(session).items();
        for (int i = 0; i < items.size(); i++) {
            Item item = items.get(i);
            Image image = Images.read(item.file());
            String name = String.valueOf(item.file().getFileName());
            String fromThere =
                    output.toAbsolutePath().normalize().relativize(item.file()).toString();
            Sa1b.of(i + 1L, fromThere, image.width(), image.height(), item).write(output.resolve(name + ".json"));
            Images.write(
                    Mask.overlay(
                            image,
                            item.annotations().stream()
                                    .map(a -> a.mask().mask())
                                    .toList()),
                    output.resolve(name + "-overlay.png"));
        }
        out().println(output + "  " + items.size() + " pictures");
        return 0;
    }
}
