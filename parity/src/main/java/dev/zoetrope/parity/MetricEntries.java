package dev.zoetrope.parity;

import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.ClipScore;
import dev.zoetrope.training.evaluation.FrechetDistance;
import dev.zoetrope.training.evaluation.ImageQuality;
import dev.zoetrope.training.evaluation.InceptionScore;
import java.util.Map;

/** Measures of pictures. */
final class MetricEntries {
    private MetricEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("metrics.frechet", MetricEntries::frechet);
        entries.put("metrics.inception_score", MetricEntries::inception);
        entries.put("metrics.clip_score", MetricEntries::clip);
        entries.put("metrics.image_quality", MetricEntries::quality);
        entries.put(
                "metrics.ms_ssim",
                (c, answers) -> answers.put("ms_ssim", ImageQuality.msSsim(c.input("a"), c.input("b"))));
    }

    private static void frechet(Case c, Answers answers) {
        FrechetDistance.Normal a = FrechetDistance.Normal.of(c.input("a"));
        FrechetDistance.Normal b = FrechetDistance.Normal.of(c.input("b"));
        answers.put("distance", Tensor.scalarOf(FrechetDistance.between(a, b)));
        answers.put("mean_a", a.mean());
        answers.put("covariance_a", a.covariance());
    }

    private static void inception(Case c, Answers answers) {
        Tensor probabilities = c.input("probabilities");
        InceptionScore.Spread spread =
                InceptionScore.of(probabilities, c.params().get("splits", 1));
        answers.put("score", Tensor.scalarOf(InceptionScore.of(probabilities)));
        answers.put("splits_mean", Tensor.scalarOf(spread.mean()));
        answers.put("splits_std", Tensor.scalarOf(spread.deviation()));
    }

    private static void clip(Case c, Answers answers) {
        Tensor images = c.input("image_embeddings");
        Tensor texts = c.input("text_embeddings");
        answers.put("scores", ClipScore.each(images, texts));
        answers.put("mean", Tensor.scalarOf(ClipScore.mean(images, texts)));
    }

    private static void quality(Case c, Answers answers) {
        Tensor a = c.input("a");
        Tensor b = c.input("b");
        answers.put("psnr", ImageQuality.psnr(a, b));
        answers.put("psnr_all", Tensor.scalarOf(ImageQuality.psnrOfAll(a, b)));
        answers.put("ssim", ImageQuality.ssim(a, b));
        answers.put("mse", Tensor.scalarOf(ImageQuality.mse(a, b)));
    }
}
