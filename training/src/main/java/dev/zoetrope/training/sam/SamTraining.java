package dev.zoetrope.training.sam;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamConfig;
import dev.zoetrope.models.sam.SamProcessor;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainable;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trains Segment Anything, from nothing or from a checkpoint, on Carousel or on what was annotated. The finished model is
 * written to {@code model/} in the run folder, in the layout that {@link Sam#load} reads.
 */
public final class SamTraining {
    private static final int PROBED = 60;

    private final Json recipe;
    private final RunFolder folder;
    private final TrainingListener listener;
    private final Sam sam;
    private final SamProcessor processor;

    private SamTraining(Json recipe, RunFolder folder, TrainingListener listener, Sam sam, SamProcessor processor) {
        this.recipe = recipe;
        this.folder = folder;
        this.listener = listener;
        this.sam = sam;
        this.processor = processor;
    }

    /** Takes the steps that are left. @return whether all are done */
    public static boolean run(Recipe r, RunFolder folder, TrainingListener listener) {
        Json recipe = r.settings();
        try (Sam sam = model(recipe)) {
            Path start = Path.of(recipe.get("start", ""));
            SamTraining t = new SamTraining(recipe, folder, listener, sam, SamProcessor.of(start, sam.config()));
            return t.train() && t.export();
        }
    }

    private static Sam model(Json recipe) {
        if (recipe.has("start")) {
            return Sam.load(Path.of(recipe.require("start")));
        }
        try (RandomSource random = RandomSource.of(recipe.get("seed", 0L))) {
            return Sam.draw(SamConfig.of(recipe.requireAt("model")), random);
        }
    }

    private boolean train() {
        Json j = recipe.requireAt("train");
        // The random directions of positions are a constant of the model.
        List<String> freeze = j.get("freeze", List.of("^shared_image_embedding\\."));
        Map<String, Tensor> trained =
                Trainable.of(j.get("only", List.of("")), freeze).apply(sam.weights());
        boolean encoder = trained.keySet().stream().anyMatch(name -> name.startsWith("vision_encoder."));
        Trainer.Settings settings = Trainer.Settings.of(j);
        SamLoss objective = new SamLoss(
                j.get("focal_weight", SamLoss.PUBLISHED.focalWeight()),
                j.get("dice_weight", SamLoss.PUBLISHED.diceWeight()),
                j.get("iou_weight", SamLoss.PUBLISHED.iouWeight()));
        SamStage stage = new SamStage(sam, processor, samples(), objective, SamStage.Settings.of(j), encoder);
        return new Trainer("sam", settings, trained, List.of(), stage, folder, listener).run(this::probe);
    }

    private SamSamples samples() {
        Json data = recipe.at("data");
        if (data.has("session")) {
            return SamSamples.of(Path.of(data.require("session")));
        }
        return SamSamples.of(SamWorld.training(data.at("world"), recipe.get("seed", 0L), processor.side()));
    }

    private void probe(long step, TensorBoard board) {
        Segment segment = new Segment(sam, processor);
        SamEvaluation.Result r =
                new SamEvaluation(segment, new SamEvaluation.Settings(PROBED, 0, processor.side())).seen();
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("test_iou_click_1", r.clicks()[0]);
        values.put("test_iou_click_3", r.clicks()[2]);
        values.put("test_iou_box", r.box());
        values.forEach((name, value) -> board.scalar("sam/" + name, value, step));
        listener.report(step, values);
    }

    /** Writes the finished model in float16. */
    private boolean export() {
        Path model = folder.file("model");
        write(model.resolve("config.json"), sam.config().json());
        write(model.resolve("preprocessor_config.json"), processor.json());
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Map<String, Tensor> halves = new LinkedHashMap<>();
            sam.weights().all().forEach((name, t) -> halves.put(name, t.detach().to(DType.FLOAT16)));
            Safetensors.write(model.resolve("model.safetensors"), halves, Map.of("format", "pt"));
        }
        listener.message("the model is in " + model);
        return true;
    }

    private static void write(Path file, Map<String, Object> json) {
        try {
            byte[] text = (new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n")
                    .getBytes(StandardCharsets.UTF_8);
            AtomicFile.write(file, out -> out.write(text));
        } catch (JsonProcessingException e) {
            throw new UserError(file + ": " + e.getOriginalMessage(), e);
        }
    }
}
