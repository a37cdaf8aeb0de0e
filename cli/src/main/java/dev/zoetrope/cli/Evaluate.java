package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Scorecard;
import dev.zoetrope.training.blip2.Blip2Evaluation;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.pictures.PictureEvaluation;
import dev.zoetrope.training.sam.SamEvaluation;
import dev.zoetrope.training.seeing.SeeingEvaluation;
import dev.zoetrope.training.sora.SoraEvaluation;
import dev.zoetrope.training.talking.OwlEval;
import dev.zoetrope.training.talking.TalkEvaluation;
import dev.zoetrope.training.videopoet.VideoPoetEvaluation;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.WorldObjects;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Measures a model on the built-in world. */
@Command(
        name = "evaluate",
        aliases = "eval",
        sortOptions = false,
        description = {
            "Measure a model on captions and clips that training never used, and print the table of its model card.",
            "  zoetrope evaluate sora --clips 100",
            "  zoetrope evaluate clip --pictures 1024 --model runs/clip/model",
            "  zoetrope evaluate --all",
            "  zoetrope eval owleval --model llava-hf/llava-1.5-7b-hf --data OwlEval -o owleval",
            "  zoetrope evaluate video --seconds 60 --clips 8"
        },
        subcommands = {EvaluateVideo.class, EvaluateRecaption.class})
final class Evaluate implements Callable<Integer> {
    /** Scenes for a model of any size are drawn at most this large, in pixels. */
    private static final int MOST_SIDE = 128;

    /** Of the objects that are clicked on, the scenes in which everything is segmented. */
    private static final int SCENES_SHARE = 10;

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    // Not required by annotation: a subcommand is called without it.
    @Parameters(
            arity = "0..1",
            paramLabel = "SYSTEM",
            description = "sora, videopoet, vit, clip, siglip, sam, blip2, chat, ddpm, ldm, dit or owleval.")
    private String system = "";

    @Option(names = "--all", description = "One table for the built-in models that see, segment and make clips.")
    private boolean all;

    @Option(
            names = "--clips",
            paramLabel = "N",
            description = "Clips, or objects, a row of the table (default: ${DEFAULT-VALUE}).")
    private int clips = 100;

    @Option(
            names = "--pictures",
            paramLabel = "N",
            description = "Pictures a row of the table, for all but sora and sam (default: ${DEFAULT-VALUE}).")
    private int pictures = 1024;

    @Option(names = "--objects", paramLabel = "N", description = "First objects of the world (default: 30).")
    private int objects = 30;

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the solver (default: the model's).")
    private @Nullable Integer steps;

    @Option(names = "--guidance", paramLabel = "X", description = "Guidance (default: the model's).")
    private @Nullable Double guidance;

    @Option(names = "--model", paramLabel = "DIR", description = "Folder of a model (default: the built-in one).")
    private @Nullable Path model;

    @Option(names = "--data", paramLabel = "DIR", description = "For owleval: the folder of its questions and images.")
    private @Nullable Path data;

    @Option(names = "--judge", paramLabel = "DIR", description = "Folder of the judge (default: the built-in one).")
    private @Nullable Path judge;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "Also write the table to this file; for owleval the folder of the page.")
    private @Nullable Path output;

    @Override
    public Integer call() {
        if (system.isEmpty() && !all) {
            throw new ParameterException(spec.commandLine(), "Missing required parameter: 'SYSTEM'");
        }
        if (clips < 1 || pictures < 1) {
            throw new UserError((clips < 1 ? "--clips " + clips : "--pictures " + pictures) + ": at least 1 is needed");
        }
        if (system.equals("owleval")) {
            return owleval();
        }
        String table = all ? all() : of(system);
        spec.commandLine().getOut().print(table);
        spec.commandLine().getOut().flush();
        if (output != null) {
            AtomicFile.write(output, out -> out.write(table.getBytes(StandardCharsets.UTF_8)));
        }
        return 0;
    }

    private String all() {
        PrintWriter err = spec.commandLine().getErr();
        if (!system.isEmpty() || model != null) {
            throw new UserError("evaluate --all: measures the built-in models, without a SYSTEM or --model");
        }
        engine.start(err);
        try (Stop stop = new Stop("stopping after this model ...", err);
                Bar bar = new Bar("models", 0, Scorecard.MODELS, err)) {
            return Scorecard.table(Scorecard.of(clips, pictures, clips, (done, of) -> {
                bar.step(done);
                return !stop.requested();
            }));
        }
    }

    private String of(String name) {
        return switch (name) {
            case "sora" -> sora();
            case "videopoet" -> videopoet();
            case "vit", "clip", "siglip" -> seeing();
            case "sam" -> sam();
            case "blip2" -> blip2();
            case "chat", "llava", "tinyllava", "mobilevlm", "bunny", "owl", "cogvlm", "deepseekvl" -> talk();
            case "ddpm" -> made(BuiltIn.DDPM, PictureEvaluation.Condition.NONE);
            case "ldm" -> made(BuiltIn.LDM, PictureEvaluation.Condition.CAPTION);
            case "dit" -> made(BuiltIn.DIT, PictureEvaluation.Condition.CLASS);
            default ->
                throw new UserError("evaluate " + name
                        + ": there is no evaluation of this system yet; there are: sora, videopoet, vit, clip, siglip,"
                        + " sam, blip2, chat, ddpm, ldm, dit, owleval, video, recaption");
        };
    }

    private String seeing() {
        if (model == null && system.equals("siglip")) {
            throw new UserError("evaluate siglip: no SigLIP is built in; name one with --model DIR");
        }
        PrintWriter err = spec.commandLine().getErr();
        boolean vit = system.equals("vit");
        Path folder = model != null ? model : BuiltIn.folder(vit ? BuiltIn.VIT : BuiltIn.CLIP);
        engine.start(err);
        Bar[] bar = new Bar[1];
        try (Stop stop = new Stop("stopping ...", err)) {
            SeeingEvaluation evaluation = new SeeingEvaluation(pictures, (done, of) -> {
                if (bar[0] == null) {
                    bar[0] = new Bar("batches", 0, of, err);
                }
                bar[0].step(done);
                return !stop.requested();
            });
            return vit ? evaluation.vit(folder) : evaluation.pairs(folder);
        } finally {
            if (bar[0] != null) {
                bar[0].close();
            }
        }
    }

    private String sora() {
        engine.start(spec.commandLine().getErr());
        try (Stop stop = new Stop("stopping ...", spec.commandLine().getErr());
                Sora sora = model == null ? Sora.load(BuiltIn.folder(BuiltIn.SORA)) : Sora.load(model);
                ObjectJudge classifier = judge == null ? ObjectJudge.builtIn() : ObjectJudge.load(judge);
                Bar bar = new Bar("clips", 0, 5L * clips, spec.commandLine().getErr())) {
            SoraEvaluation evaluation = new SoraEvaluation(
                    sora,
                    classifier,
                    WorldObjects.first(objects),
                    new SoraEvaluation.Settings(clips, steps == null ? 16 : steps, guidance == null ? 2.5 : guidance));
            List<SoraEvaluation.Result> results = evaluation.run((done, of) -> {
                bar.step(done);
                if (stop.requested()) {
                    throw new CancellationException("stopped after " + done + " clips");
                }
                return true;
            });
            return SoraEvaluation.table(results) + byMotion(results);
        }
    }

    private String videopoet() {
        if (model == null) {
            throw new UserError("evaluate videopoet: none is built in; name the folder of a run with --model DIR");
        }
        engine.start(spec.commandLine().getErr());
        try (Stop stop = new Stop("stopping ...", spec.commandLine().getErr());
                VideoPoet poet = VideoPoet.load(model);
                ObjectJudge classifier = judge == null ? ObjectJudge.builtIn() : ObjectJudge.load(judge)) {
            VideoPoetEvaluation evaluation =
                    new VideoPoetEvaluation(poet, classifier, WorldObjects.first(objects), clips, guidance);
            double[] psnr = evaluation.psnr(clips);
            try (Bar bar = new Bar(
                    "clips",
                    0,
                    (long) evaluation.rows() * clips,
                    spec.commandLine().getErr())) {
                return VideoPoetEvaluation.table(evaluation.run((done, of) -> {
                            bar.step(done);
                            if (stop.requested()) {
                                throw new CancellationException("stopped after " + done + " clips");
                            }
                            return true;
                        }))
                        + String.format(
                                Locale.ROOT,
                                "%nVision tokens, PSNR: %.2f dB; of objects never trained on: %.2f dB%n",
                                psnr[0],
                                psnr[1]);
            }
        }
    }

    private String sam() {
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Segment segment = model == null ? Segment.builtIn() : Segment.load(model);
                Bar bar = new Bar("objects", 0, 3L * clips, err)) {
            int side = Math.min(MOST_SIDE, segment.processor().side());
            SamEvaluation evaluation =
                    new SamEvaluation(segment, new SamEvaluation.Settings(clips, clips / SCENES_SHARE, side));
            return SamEvaluation.table(evaluation.run((done, of) -> {
                bar.step(done);
                if (stop.requested()) {
                    throw new CancellationException("stopped after " + done + " objects");
                }
                return true;
            }));
        }
    }

    private String blip2() {
        if (model == null) {
            throw new UserError("evaluate blip2: none is built in; name the folder of a run with --model DIR");
        }
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        Bar[] bar = new Bar[1];
        try (Stop stop = new Stop("stopping ...", err)) {
            return Blip2Evaluation.table(Blip2Evaluation.run(model, pictures, (done, of) -> {
                if (bar[0] == null) {
                    bar[0] = new Bar("pictures", 0, of, err);
                }
                bar[0].step(done);
                return !stop.requested();
            }));
        } finally {
            if (bar[0] != null) {
                bar[0].close();
            }
        }
    }

    /** Answers of a model, on a page where a person grades them. */
    private int owleval() {
        if (data == null) {
            throw new UserError("evaluate owleval: name the folder with questions.jsonl and images/ with --data DIR");
        }
        PrintWriter err = spec.commandLine().getErr();
        Path folder = model == null ? BuiltIn.folder(BuiltIn.CHAT) : ModelOption.fetched(model.toString(), err);
        String name = model == null ? BuiltIn.CHAT : String.valueOf(model.getFileName());
        Path out = output == null ? Path.of("owleval") : output;
        int count = OwlEval.questions(data).size();
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Chat chat = Chat.load(folder);
                Bar bar = new Bar("questions", 0, count, err)) {
            Chat.Options o = Chat.Options.DEFAULT.with(Chat.sampling(folder));
            Path page = OwlEval.run(chat, name, data, out, o, (done, of) -> {
                bar.step(done);
                return !stop.requested();
            });
            spec.commandLine().getOut().println(page);
        }
        return 0;
    }

    private String talk() {
        PrintWriter err = spec.commandLine().getErr();
        Path folder = model == null ? BuiltIn.folder(BuiltIn.CHAT) : model;
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Bar bar = new Bar("pictures", 0, 2L * pictures, err)) {
            return TalkEvaluation.table(folder, pictures, (done, of) -> {
                bar.step(done);
                return !stop.requested();
            });
        }
    }

    private String made(String builtIn, PictureEvaluation.Condition condition) {
        PrintWriter err = spec.commandLine().getErr();
        Path folder = model != null ? model : BuiltIn.folder(builtIn);
        engine.start(err);
        PictureEvaluation.Ask ask =
                new PictureEvaluation.Ask(pictures, steps == null ? 0 : steps, guidance == null ? -1 : guidance);
        try (Stop stop = new Stop("stopping ...", err);
                ObjectJudge classifier = judge == null ? ObjectJudge.builtIn() : ObjectJudge.load(judge);
                Bar bar = new Bar("pictures", 0, pictures, err)) {
            return PictureEvaluation.table(folder, condition, objects, classifier, ask, (done, of) -> {
                bar.step(done);
                return !stop.requested();
            });
        }
    }

    private static String byMotion(List<SoraEvaluation.Result> results) {
        StringBuilder b = new StringBuilder();
        for (SoraEvaluation.Result r : results) {
            b.append(String.format(Locale.ROOT, "%n%s, motion right:", r.name()));
            for (Map.Entry<Motion, int[]> e : r.byMotion().entrySet()) {
                b.append(String.format(Locale.ROOT, " %s %d/%d", e.getKey().id(), e.getValue()[0], e.getValue()[1]));
            }
        }
        return b.append(System.lineSeparator()).toString();
    }
}
