package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.ddpm.DdpmPipeline;
import dev.zoetrope.models.ldm.PipelineOrigin;
import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.NoiseTable;
import dev.zoetrope.schedulers.Prediction;
import dev.zoetrope.schedulers.Samplers;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.diffusion.NoiseLoss;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Trains a DDPM on single pictures, with classes where the recipe wants them. The finished pipeline is
 * written to {@code model/} in the run folder, for diffusers too.
 */
public final class DdpmTraining implements Trainer.Objective {
    private static final String STAGE = "ddpm";
    private static final int SHEET = 16;
    private static final int SHEET_STEPS = 20;

    private final PictureData data;
    private final PixelUnet unet;
    private final NoiseLoss loss;
    private final boolean classes;
    private final Json model;
    private final Json scheduler;

    private DdpmTraining(Json recipe, Weights weights, PictureData data) {
        this.data = data;
        Json train = recipe.at("train");
        classes = train.get("classes", false);
        Json m = recipe.at("model")
                .with("_class_name", "UNet2DModel")
                .with("sample_size", List.of(data.shape().height(), data.shape().width()));
        model = classes ? m.with("num_class_embeds", data.classes().size()) : m;
        Json noise = recipe.at("scheduler");
        scheduler = noise.with("_class_name", noise.get("_class_name", "DDPMScheduler"));
        unet = new PixelUnet(PixelUnet.Config.of(model), weights);
        loss = noiseLoss(train, scheduler);
    }

    /** The loss that a recipe asks for, over the noise of its scheduler. */
    static NoiseLoss noiseLoss(Json train, Json scheduler) {
        return new NoiseLoss(
                NoiseTable.of(scheduler),
                scheduler.get("prediction_type", Prediction.EPSILON),
                train.has("snr_gamma") ? train.get("snr_gamma", 5.) : null);
    }

    /** Runs what is left of the training. @return whether it is done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json j = recipe.settings();
        try (RandomSource random = RandomSource.of(j.get("seed", 0L));
                Weights weights = Weights.draw(random);
                PictureData data = PictureData.of(j.at("data"), j.at("train"), j.get("seed", 0L), listener)) {
            DdpmTraining t = new DdpmTraining(j, weights, data);
            boolean done = new Trainer(
                            STAGE, Trainer.Settings.of(j.at("train")), weights.named(), List.of(), t, folder, listener)
                    .run((step, board) -> t.samples(folder, board, step));
            if (done) {
                Path model = Exports.freshModel(folder);
                boolean implicit = t.scheduler.require("_class_name").equals("DDIMScheduler");
                Json index = Json.empty().with("_class_name", implicit ? "DDIMPipeline" : "DDPMPipeline");
                new PipelineOrigin(index, Map.of("unet", t.model, "scheduler", t.scheduler), Map.of())
                        .write(model, Map.of("unet", weights), DType.FLOAT16);
                listener.message("the model is in " + model + Exports.remarks(data));
            }
            return done;
        }
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        PictureData.Batch batch = data.batch(share);
        Tensor clean = batch.values();
        Tensor labels = classes ? batch.labelled() : null;
        Tensor timesteps = random.integers(0, loss.table().size(), clean.size(0));
        Tensor noise = random.normal(clean.shape());
        return loss.of((noisy, t) -> unet.forward(noisy, t, labels), clean, noise, timesteps);
    }

    private void samples(RunFolder folder, TensorBoard board, long step) {
        DdpmPipeline pipeline = new DdpmPipeline(Samplers.of("ddim", scheduler), unet);
        try (Scope s = Scope.open();
                Draws draws = Draws.ofSeed(0)) {
            Tensor labels = labels();
            Tensor pictures = pipeline.generate(SHEET, labels, 0, 0, SHEET_STEPS, 0, draws, Denoising.Observer.NONE);
            Exports.sheet(folder, board, STAGE, "samples", pictures, step);
        }
    }

    private @Nullable Tensor labels() {
        if (!classes) {
            return null;
        }
        long[] r = new long[SHEET];
        for (int i = 0; i < SHEET; i++) {
            r[i] = i % data.classes().size();
        }
        return Tensor.of(r, SHEET);
    }
}
