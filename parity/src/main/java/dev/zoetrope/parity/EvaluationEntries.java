package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.evaluation.CaptionScores;
import dev.zoetrope.training.evaluation.CaptionScores.Judged;
import dev.zoetrope.training.evaluation.Classification;
import dev.zoetrope.training.evaluation.ClipScore;
import dev.zoetrope.training.evaluation.FrechetDistance;
import dev.zoetrope.training.evaluation.ImageQuality;
import dev.zoetrope.training.evaluation.KernelDistance;
import dev.zoetrope.training.evaluation.Retrieval;
import dev.zoetrope.training.evaluation.Segmentation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Measures of what was found, said or made. */
final class EvaluationEntries {
    private EvaluationEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("eval.captions", EvaluationEntries::captions);
        entries.put("eval.classification", EvaluationEntries::classification);
        entries.put("eval.clip_score", EvaluationEntries::clipScore);
        entries.put("eval.frechet", EvaluationEntries::frechet);
        entries.put("eval.image_quality", EvaluationEntries::quality);
        entries.put("eval.retrieval", EvaluationEntries::retrieval);
        entries.put("eval.segmentation", EvaluationEntries::segmentation);
    }

    private static void captions(Case c, Answers answers) {
        List<Judged> captions = judged(c.file("file"));
        answers.put("bleu", CaptionScores.bleu(captions));
        double[] cider = CaptionScores.cider(captions);
        answers.put("cider_each", cider);
        answers.put("cider", Arrays.stream(cider).average().orElseThrow());
        double[] rouge = CaptionScores.rougeL(captions);
        answers.put("rouge_l_each", rouge);
        answers.put("rouge_l", Arrays.stream(rouge).average().orElseThrow());
    }

    private static List<Judged> judged(Path file) {
        try {
            Json all = Json.parse(file.toString(), "{\"captions\": " + Files.readString(file) + "}");
            return all.list("captions").stream()
                    .map(j -> new Judged(j.require("caption"), j.get("references", List.of())))
                    .toList();
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private static void classification(Case c, Answers answers) {
        Classification r = Classification.of(c.input("logits"), c.input("labels"));
        answers.put("top1", Tensor.scalarOf(r.top1()));
        answers.put("top5", Tensor.scalarOf(r.top5()));
        answers.put("confusion", Case.rows(Arrays.asList(r.confusion()), 0));
        answers.put("mean_class_accuracy", Tensor.scalarOf(r.meanClassAccuracy()));
    }

    private static void clipScore(Case c, Answers answers) {
        Tensor scores = ClipScore.each(c.input("image_embeddings"), c.input("text_embeddings"));
        answers.put("scores", scores);
        answers.put("mean", scores.to(DType.FLOAT64).mean());
    }

    private static void frechet(Case c, Answers answers) {
        Tensor a = c.input("a");
        Tensor b = c.input("b");
        FrechetDistance.Normal normal = FrechetDistance.Normal.of(a);
        answers.put("frechet", FrechetDistance.between(normal, FrechetDistance.Normal.of(b)));
        answers.put("kernel", KernelDistance.between(a, b));
        answers.put("mean_a", normal.mean());
        answers.put("covariance_a", normal.covariance());
    }

    private static void quality(Case c, Answers answers) {
        Tensor a = c.input("a");
        Tensor b = c.input("b");
        answers.put("psnr", ImageQuality.psnr(a, b));
        answers.put("ssim", ImageQuality.ssimInside(a, b));
    }

    private static void retrieval(Case c, Answers answers) {
        Retrieval r = Retrieval.of(
                c.input("image_embeddings"),
                c.input("text_embeddings"),
                c.input("text_image"),
                c.params().get("k", new int[] {1, 5, 10}));
        answers.put("image_to_text", r.imageToText());
        answers.put("text_to_image", r.textToImage());
        answers.put("median_rank_text_to_image", r.medianRank());
    }

    private static void segmentation(Case c, Answers answers) {
        Segmentation r = Segmentation.of(
                c.input("prediction"),
                c.input("target"),
                c.params().requireInt("classes"),
                c.params().get("ignore", 255));
        answers.put("intersection", Tensor.of(r.intersection(), r.intersection().length));
        answers.put("union", Tensor.of(r.union(), r.union().length));
        answers.put("miou", Tensor.scalarOf(r.meanIntersectionOverUnion()));
        answers.put("pixel_accuracy", Tensor.scalarOf(r.pixelAccuracy()));
    }
}
