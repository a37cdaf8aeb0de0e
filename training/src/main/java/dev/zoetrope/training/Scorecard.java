package dev.zoetrope.training;

import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.training.evaluation.Classification;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.sam.SamEvaluation;
import dev.zoetrope.training.seeing.SeeingEvaluation;
import dev.zoetrope.training.sora.SoraEvaluation;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;

/** One number for each of the built-in models, on what training shows and on what it never does. */
public final class Scorecard {
    /** How many models are measured. */
    public static final int MODELS = 4;

    private static final int SORA_OBJECTS = 30;
    private static final int SORA_STEPS = 16;
    private static final double SORA_GUIDANCE = 2.5;

    private final List<Row> rows = new ArrayList<>();
    private final Progress progress;

    /**
     * A model's line.
     *
     * @param measure what the numbers are shares or means of
     * @param samples on each side
     * @param seen where training shows such combinations; 0 to 1
     * @param heldOut where it never does
     */
    public record Row(String model, String measure, int samples, double seen, double heldOut) {}

    private Scorecard(Progress progress) {
        this.progress = progress;
    }

    /**
     * @param clips of the video model on each side
     * @param pictures of the models that look at pictures, on each side
     * @param objects that are clicked on, on each side
     * @param progress told after each model
     */
    public static List<Row> of(int clips, int pictures, int objects, Progress progress) {
        Scorecard card = new Scorecard(progress);
        card.vit(pictures);
        card.clip(pictures);
        card.sam(objects);
        card.sora(clips);
        return card.rows;
    }

    private void add(Row row) {
        rows.add(row);
        if (!progress.step(rows.size(), MODELS)) {
            throw new CancellationException("stopped after " + rows.size() + " models");
        }
    }

    private void vit(int pictures) {
        Map<Split.Side, Classification> r =
                new SeeingEvaluation(pictures, Progress.NONE).named(BuiltIn.folder(BuiltIn.VIT));
        add(new Row(
                BuiltIn.VIT,
                "objects named right",
                pictures,
                Objects.requireNonNull(r.get(Split.Side.SEEN)).top1(),
                Objects.requireNonNull(r.get(Split.Side.HELD_OUT)).top1()));
    }

    private void clip(int pictures) {
        Map<Split.Side, SeeingEvaluation.Paired> r =
                new SeeingEvaluation(pictures, Progress.NONE).paired(BuiltIn.folder(BuiltIn.CLIP));
        add(new Row(
                BuiltIn.CLIP,
                "objects named right, zero-shot",
                pictures,
                Objects.requireNonNull(r.get(Split.Side.SEEN)).names().top1(),
                Objects.requireNonNull(r.get(Split.Side.HELD_OUT)).names().top1()));
    }

    private void sam(int objects) {
        try (Segment segment = Segment.builtIn()) {
            List<SamEvaluation.Result> r = new SamEvaluation(
                            segment,
                            new SamEvaluation.Settings(
                                    objects, 0, segment.processor().side()))
                    .run(Progress.NONE);
            add(new Row(
                    BuiltIn.SAM,
                    "mean IoU after one click",
                    objects,
                    r.get(0).clicks()[0],
                    r.get(r.size() - 1).clicks()[0]));
        }
    }

    private void sora(int clips) {
        try (Sora sora = Sora.load(BuiltIn.folder(BuiltIn.SORA));
                ObjectJudge judge = ObjectJudge.builtIn()) {
            SoraEvaluation e = new SoraEvaluation(
                    sora,
                    judge,
                    WorldObjects.first(SORA_OBJECTS),
                    new SoraEvaluation.Settings(clips, SORA_STEPS, SORA_GUIDANCE));
            add(new Row(
                    BuiltIn.SORA,
                    "object, motion and ground right",
                    clips,
                    (double) e.seen(Progress.NONE).all() / clips,
                    (double) e.heldOut(Progress.NONE).all() / clips));
        }
    }

    /** In Markdown. */
    public static String table(List<Row> rows) {
        StringBuilder b = new StringBuilder(
                "| model | what is counted | n | seen in training | never seen |\n|---|---|---|---|---|\n");
        rows.forEach(r -> b.append(String.format(
                Locale.ROOT, "| %s | %s | %d | %.2f | %.2f |%n", r.model, r.measure, r.samples, r.seen, r.heldOut)));
        return b.toString();
    }
}
