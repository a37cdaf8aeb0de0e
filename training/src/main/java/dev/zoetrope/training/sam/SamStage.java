package dev.zoetrope.training.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Mask;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamMaskDecoder;
import dev.zoetrope.models.sam.SamProcessor;
import dev.zoetrope.models.sam.SamPrompts;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Interactive training: a first point or box, then points where the answer was wrong, each with the answer before it as a
 * prompt (appendix A of arXiv:2304.02643).
 *
 * <p>Axes: B pictures, P masks to find in each, K points so far, S the side of the square.
 */
final class SamStage implements Trainer.Objective {
    private static final double BOX_NOISE = 0.1;
    private static final double MOST_BOX_NOISE = 20;

    /**
     * @param pictures B, a worker and step
     * @param prompts P
     * @param clicks points after the first prompt; two more answers are made without a new one
     * @param boxes share of the steps that begin with a box
     */
    record Settings(int pictures, int prompts, int clicks, double boxes) {
        Settings {
            Check.positive(pictures, "pictures");
            Check.positive(prompts, "prompts");
            Check.between(0, 64, clicks, "clicks");
            Check.between(0, 1, boxes, "boxes");
        }

        static Settings of(Json j) {
            return new Settings(j.get("pictures", 8), j.get("prompts", 2), j.get("clicks", 8), j.get("boxes", 0.5));
        }
    }

    private final Sam sam;
    private final SamProcessor processor;
    private final SamSamples samples;
    private final SamLoss objective;
    private final Settings settings;
    private final boolean encoderTrains;

    SamStage(
            Sam sam,
            SamProcessor processor,
            SamSamples samples,
            SamLoss objective,
            Settings settings,
            boolean encoderTrains) {
        this.sam = sam;
        this.processor = processor;
        this.samples = samples;
        this.objective = objective;
        this.settings = settings;
        this.encoderTrains = encoderTrains;
    }

    /** What of a picture is to be found, and where the person clicked so far; pixels of the square. */
    private static final class Target {
        final Mask truth;
        final List<float[]> points = new ArrayList<>();

        Target(Mask truth) {
            this.truth = truth;
        }

        void click(Mask region, boolean foreground, Random random) {
            int left = random.nextInt((int) region.area());
            for (int i = 0; ; i++) {
                left -= region.bits()[i];
                if (left < 0) {
                    points.add(new float[] {i % region.width(), (float) (i / region.width()), foreground ? 1 : 0});
                    return;
                }
            }
        }

        /** Where the answer is wrong, uniformly; where it is right all over, once more on the target. */
        void correct(Mask answer, Random random) {
            Mask missing = truth.without(answer);
            Mask excess = answer.without(truth);
            long misses = missing.area();
            long wrong = misses + excess.area();
            if (wrong == 0) {
                click(truth, true, random);
            } else if (random.nextLong(wrong) < misses) {
                click(missing, true, random);
            } else {
                click(excess, false, random);
            }
        }
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource draws, Metrics metrics) {
        Random random = new Random(Double.doubleToLongBits(draws.nextDouble()));
        List<Tensor> pixels = new ArrayList<>();
        List<Target> targets = new ArrayList<>();
        for (int i = 0; i < settings.pictures; i++) {
            SamSamples.Sample sample = samples.sample(share.number() * settings.pictures + i);
            SamProcessor.Input input = processor.process(sample.picture());
            pixels.add(input.pixels());
            List<Mask> masks = new ArrayList<>(sample.masks());
            for (int k = 0; k < settings.prompts; k++) {
                Mask one = masks.size() > 1
                        ? masks.remove(random.nextInt(masks.size()))
                        : masks.get(0); // the last is asked for again
                targets.add(new Target(inSquare(one, input.frame())));
            }
        }
        Tensor truth = truth(targets);
        Tensor embeddings = encode(Tensor.cat(0, pixels));
        boolean box = random.nextDouble() < settings.boxes;
        Tensor boxes = box ? boxes(targets, random) : null;
        if (!box) {
            targets.forEach(t -> t.click(t.truth, true, random));
        }
        int pauseAfter = settings.clicks == 0 ? -1 : random.nextInt(settings.clicks);
        Round first = round(embeddings, boxes, null, targets, truth, !box, metrics);
        metrics.add(box ? "iou_box" : "iou_click_1", first.iou);
        Tensor total = first.loss;
        int rounds = 1;
        Round last = first;
        for (int click = 0; click < settings.clicks; click++) {
            for (int i = 0; i < targets.size(); i++) {
                targets.get(i).correct(last.answers.get(i), random);
            }
            last = round(embeddings, boxes, last.logits, targets, truth, false, metrics);
            total = total.add(last.loss);
            rounds++;
            if (click == pauseAfter || click == settings.clicks - 1) {
                last = round(embeddings, boxes, last.logits, targets, truth, false, metrics);
                total = total.add(last.loss);
                rounds++;
            }
        }
        metrics.add("iou_last", last.iou);
        return total.div((double) rounds);
    }

    private Tensor encode(Tensor pixels) {
        if (encoderTrains) {
            return sam.encode(pixels);
        }
        try (Autograd.Mode off = Autograd.off()) {
            return sam.encode(pixels);
        }
    }

    /**
     * One answer and what it costs.
     *
     * @param logits of the mask that the model thinks best, {@code [B, P, 4 H, 4 W]}, to be refined
     * @param answers the masks of these, B P of them
     * @param iou mean of these with the truth
     */
    private record Round(Tensor loss, Tensor logits, List<Mask> answers, double iou) {}

    private Round round(
            Tensor embeddings,
            @Nullable Tensor boxes,
            @Nullable Tensor earlier,
            List<Target> targets,
            Tensor truth,
            boolean ambiguous,
            Metrics metrics) {
        SamPrompts prompts = prompts(targets, boxes, earlier);
        SamMaskDecoder.Output o = sam.decode(embeddings, prompts, ambiguous);
        int side = processor.side();
        // At the size of the picture, because that is where masks are judged.
        Tensor large = Functional.interpolate(o.masks().flatten(0, 1), side, side, Interpolation.BILINEAR, false, false)
                .unflatten(0, o.masks().size(0), -1); // [B, P, M, S, S]
        SamLoss.Parts parts = objective.of(large, o.iou(), truth);
        metrics.add("focal", parts.focal().item());
        metrics.add("dice", parts.dice().item());
        metrics.add("iou_mse", parts.iou().item());
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor best =
                    o.iou().detach().argmax(-1).reshape(o.iou().size(0), o.iou().size(1), 1, 1, 1);
            Tensor logits = pick(o.masks().detach(), best);
            Tensor answer = pick(large.detach(), best);
            double iou =
                    SamLoss.iou(answer.unsqueeze(2), truth.unsqueeze(2)).mean().item();
            List<Mask> answers = masks(answer);
            return new Round(parts.total(), s.keep(logits), answers, iou);
        }
    }

    /** {@code [B, P, M, h, w]} by {@code [B, P, 1, 1, 1]} to {@code [B, P, h, w]}. */
    private static Tensor pick(Tensor masks, Tensor which) {
        return masks.gather(2, which.expand(-1, -1, 1, masks.size(3), masks.size(4)))
                .squeeze(2);
    }

    private SamPrompts prompts(List<Target> targets, @Nullable Tensor boxes, @Nullable Tensor earlier) {
        int k = targets.get(0).points.size();
        if (k == 0) {
            return new SamPrompts(null, null, boxes, earlier);
        }
        float[] xy = new float[2 * k * targets.size()];
        long[] labels = new long[k * targets.size()];
        for (int i = 0; i < labels.length; i++) {
            float[] point = targets.get(i / k).points.get(i % k);
            xy[2 * i] = point[0];
            xy[2 * i + 1] = point[1];
            labels[i] = (long) point[2];
        }
        long b = settings.pictures;
        long p = settings.prompts;
        return new SamPrompts(Tensor.of(xy, b, p, k, 2), Tensor.of(labels, b, p, k), boxes, earlier);
    }

    /** Around each target, every edge moved by a random tenth of the side. {@code [B, P, 4]} */
    private Tensor boxes(List<Target> targets, Random random) {
        float[] corners = new float[4 * targets.size()];
        for (int i = 0; i < targets.size(); i++) {
            Box b = targets.get(i).truth.box();
            double[] edges = {b.x0(), b.y0(), b.x1(), b.y1()};
            for (int e = 0; e < 4; e++) {
                double length = e % 2 == 0 ? b.width() : b.height();
                double noise = Math.min(MOST_BOX_NOISE, BOX_NOISE * length) * random.nextGaussian();
                double moved = edges[e] + Math.max(-MOST_BOX_NOISE, Math.min(MOST_BOX_NOISE, noise));
                corners[4 * i + e] = (float) Math.max(0, Math.min(processor.side() - 1, moved));
            }
        }
        return Tensor.of(corners, settings.pictures, settings.prompts, 4);
    }

    private Tensor truth(List<Target> targets) {
        int size = processor.side() * processor.side();
        byte[] all = new byte[targets.size() * size];
        for (int i = 0; i < targets.size(); i++) {
            System.arraycopy(targets.get(i).truth.bits(), 0, all, i * size, size);
        }
        return Tensor.of(all, settings.pictures, settings.prompts, processor.side(), processor.side())
                .to(DType.FLOAT32);
    }

    private List<Mask> masks(Tensor logits) { // [B, P, S, S]
        byte[] bits = logits.gt(0).to(DType.UINT8).toBytes();
        int side = processor.side();
        List<Mask> r = new ArrayList<>();
        for (int from = 0; from < bits.length; from += side * side) {
            byte[] own = new byte[side * side];
            System.arraycopy(bits, from, own, 0, own.length);
            r.add(new Mask(side, side, own));
        }
        return r;
    }

    /** A mask of a picture as the square shows it; one that is lost on the way keeps its innermost pixel. */
    private static Mask inSquare(Mask mask, SamProcessor.Frame frame) {
        int side = frame.side();
        if (mask.width() == side && mask.height() == side) {
            return mask;
        }
        byte[] bits = new byte[side * side];
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            byte[] resized = Functional.interpolate(
                            Tensor.of(mask.bits(), 1, 1, mask.height(), mask.width())
                                    .to(DType.FLOAT32),
                            frame.resizedHeight(),
                            frame.resizedWidth(),
                            Interpolation.BILINEAR,
                            false,
                            true)
                    .gt(0.5)
                    .to(DType.UINT8)
                    .toBytes();
            for (int y = 0; y < frame.resizedHeight(); y++) {
                System.arraycopy(resized, y * frame.resizedWidth(), bits, y * side, frame.resizedWidth());
            }
        }
        Mask r = new Mask(side, side, bits);
        if (r.area() == 0) {
            int at = mask.innermost();
            int x = (int) Math.min(frame.resizedWidth() - 1, frame.x(at % mask.width()));
            int y = (int) Math.min(frame.resizedHeight() - 1, frame.y((double) (at / mask.width())));
            bits[y * side + x] = 1;
        }
        return r;
    }
}
