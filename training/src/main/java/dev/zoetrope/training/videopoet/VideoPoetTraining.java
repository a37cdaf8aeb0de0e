package dev.zoetrope.training.videopoet;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.videopoet.SoundTokenizer;
import dev.zoetrope.models.videopoet.TokenTransformer;
import dev.zoetrope.models.videopoet.TokenUpscaler;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.models.videopoet.VisionTokenizer;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.ClipSheet;
import dev.zoetrope.training.ModelFolder;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.training.sora.SoraData;
import dev.zoetrope.training.sora.SoraTraining;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The recipe of VideoPoet in three stages: the vision tokenizer and the sound tokenizer on rendered clips, then the language
 * model on their tokens, with the frozen caption encoder of a text-to-video model. Each stage resumes by itself; the
 * finished model is written to {@code model/} in the run folder.
 */
public final class VideoPoetTraining {
    private static final int SHEET = 16;
    private static final long SHOWN_SCENES = 900_000_000L;

    private final Json recipe;
    private final RunFolder folder;
    private final TrainingListener listener;
    private final SoraData data;
    private final long seed;
    private final Path text;
    private final Weights transformerWeights;
    private final @Nullable Weights upscalerWeights;
    private final VideoPoet poet;

    private VideoPoetTraining(Recipe r, RunFolder folder, TrainingListener listener) {
        this.recipe = r.settings();
        this.folder = folder;
        this.listener = listener;
        seed = recipe.get("seed", 0L);
        data = SoraData.of(recipe, seed);
        String from = recipe.get("text_from", "builtin");
        text = from.equals("builtin") ? BuiltIn.folder(BuiltIn.SORA) : Path.of(from);
        Weights textWeights = Weights.load(Checkpoint.open(text.resolve("text_encoder")));
        CaptionEncoder captions = new CaptionEncoder(
                CaptionEncoder.Config.of(Json.read(text.resolve("text_encoder").resolve("config.json"))), textWeights);
        Json model = recipe.at("model");
        Bucket clips = data.buckets().get(0);
        try (RandomSource random = RandomSource.of(seed)) {
            VisionTokenizer vision =
                    new VisionTokenizer(VisionTokenizer.Config.of(model.at("vision_tokenizer")), Weights.draw(random));
            SoundTokenizer sound =
                    new SoundTokenizer(SoundTokenizer.Config.of(model.at("sound_tokenizer")), Weights.draw(random));
            transformerWeights = Weights.draw(random);
            World world = data.world(clips);
            double stepsPerFrame = sound.config().rate()
                    / world.options().fps()
                    / sound.config().hop();
            Json j = model.at("transformer")
                    .with("text_width", captions.config().width())
                    .with("visual_parts", vision.config().codebooks())
                    .with("visual_codes", vision.config().codes())
                    .with("audio_codebooks", sound.config().codebooks())
                    .with("audio_codes", sound.config().codebookSize())
                    .with("time_factor", vision.config().timeFactor())
                    .with("steps_per_frame", stepsPerFrame);
            TokenUpscaler upscaler = null;
            upscalerWeights = recipe.has("upscale") ? Weights.draw(random) : null;
            if (upscalerWeights != null) {
                Json u = model.at("upscaler")
                        .with("text_width", captions.config().width())
                        .with("text_queries", captions.config().queries())
                        .with("parts", vision.config().codebooks())
                        .with("codes", vision.config().codes());
                upscaler = new TokenUpscaler(TokenUpscaler.Config.of(u), upscalerWeights);
            }
            poet = new VideoPoet(
                    captions,
                    Tokenizer.open(text.resolve("tokenizer")),
                    vision,
                    sound,
                    new TokenTransformer(TokenTransformer.Config.of(j), transformerWeights),
                    upscaler,
                    new VideoPoet.Format(
                            clips.frames(),
                            clips.canvas().width(),
                            clips.canvas().height(),
                            world.options().fps()),
                    upscalerWeights == null
                            ? List.of(textWeights, transformerWeights)
                            : List.of(textWeights, transformerWeights, upscalerWeights));
        }
    }

    /** Runs the stages that are left. @return whether all are done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        VideoPoetTraining t = new VideoPoetTraining(recipe, folder, listener);
        try (VideoPoet model = t.poet) {
            return t.vision() && t.sound() && t.tokens() && t.upscale() && t.export();
        }
    }

    private boolean vision() {
        Json j = recipe.at("vision");
        try (RandomSource random = RandomSource.of(seed + 1);
                Weights critic = Weights.draw(random)) {
            VisionStage stage = new VisionStage(poet.vision(), data, j, critic);
            return new Trainer("vision", Trainer.Settings.of(j), stage.parameters(), List.of(), stage, folder, listener)
                    .run(this::reconstructions);
        }
    }

    private boolean sound() {
        Json j = recipe.at("sound");
        try (SoundStage stage = new SoundStage(poet.sound(), data, j)) {
            return new Trainer(
                            "sound",
                            Trainer.Settings.of(j),
                            poet.sound().weights().named(),
                            List.of(),
                            stage,
                            folder,
                            listener)
                    .run((step, board) -> {});
        }
    }

    private boolean tokens() {
        Json j = recipe.at("tokens");
        try (TokenStage stage = new TokenStage(poet, data, j, seed)) {
            return new Trainer(
                            "tokens",
                            Trainer.Settings.of(j),
                            transformerWeights.named(),
                            List.of(),
                            stage,
                            folder,
                            listener)
                    .run((step, board) -> {
                        Map<String, Double> probe = stage.probe();
                        probe.forEach((name, value) -> board.scalar("tokens/" + name, value, step));
                        listener.report(step, probe);
                        samples(step, board);
                    });
        }
    }

    /** Where the recipe has it. */
    private boolean upscale() {
        TokenUpscaler model = poet.upscaler();
        if (model == null || upscalerWeights == null) {
            return true;
        }
        Json j = recipe.at("upscale");
        try (UpscaleStage stage = new UpscaleStage(poet, model, data, j)) {
            return new Trainer(
                            "upscale",
                            Trainer.Settings.of(j),
                            upscalerWeights.named(),
                            List.of(),
                            stage,
                            folder,
                            listener)
                    .run((step, board) -> {});
        }
    }

    private List<Scene> shown(int n) {
        World world = data.world(data.buckets().get(0));
        List<Scene> scenes = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            scenes.add(world.scene(SHOWN_SCENES + i));
        }
        return scenes;
    }

    private void reconstructions(long step, TensorBoard board) {
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor video = LatentPool.video(shown(SHEET / 2));
            Tensor again = poet.show(poet.vision().encode(video));
            List<Tensor> rows = new ArrayList<>();
            for (int i = 0; i < SHEET / 2; i++) {
                rows.add(video.narrow(0, i, 1));
                rows.add(again.narrow(0, i, 1).narrow(2, 0, video.size(2)));
            }
            ClipSheet.write(Tensor.cat(0, rows), folder, "reconstructions", "vision/reconstructions", step, board);
        }
    }

    private void samples(long step, TensorBoard board) {
        List<String> prompts = shown(SHEET).stream().map(Scene::caption).toList();
        long[] seeds = new long[SHEET];
        java.util.Arrays.setAll(seeds, i -> i);
        try (Scope s = Scope.open()) {
            VideoPoet.Said said = poet.say(VideoPoet.wish(prompts, seeds), (done, of) -> true);
            ClipSheet.write(poet.show(said.video()), folder, "samples", "tokens/samples", step, board);
        }
    }

    /** Writes the finished model in float16. */
    private boolean export() {
        Path model = folder.file("model");
        VideoPoet.Format f = poet.format();
        ModelFolder.json(
                model.resolve("model_index.json"),
                ModelFolder.ordered(
                        "_class_name",
                        VideoPoet.CLASS,
                        "format",
                        ModelFolder.ordered(
                                "frames", f.frames(), "width", f.width(), "height", f.height(), "fps", f.fps())));
        VisionTokenizer.Config v = poet.vision().config();
        ModelFolder.part(
                model.resolve("vision_tokenizer"),
                "model.safetensors",
                poet.vision().weights(),
                ModelFolder.ordered(
                        "model_type", "videopoet_vision",
                        "time_factor", v.timeFactor(),
                        "space_factor", v.spaceFactor(),
                        "width", v.width(),
                        "bottleneck_width", v.bottleneckWidth(),
                        "blocks", v.blocks(),
                        "quantizer", v.quantizer().name().toLowerCase(Locale.ROOT),
                        "codebooks", v.codebooks(),
                        "bits", v.bits(),
                        "levels", v.levels()));
        SoundTokenizer.Config a = poet.sound().config();
        ModelFolder.part(
                model.resolve("sound_tokenizer"),
                "model.safetensors",
                poet.sound().weights(),
                ModelFolder.ordered(
                        "model_type", "videopoet_sound",
                        "sampling_rate", a.rate(),
                        "hop", a.hop(),
                        "bins", a.bins(),
                        "width", a.width(),
                        "blocks", a.blocks(),
                        "n_codebooks", a.codebooks(),
                        "codebook_size", a.codebookSize(),
                        "codebook_dim", a.codebookWidth(),
                        "partials", a.partials()));
        TokenTransformer.Config t = poet.transformer().config();
        ModelFolder.part(
                model.resolve("transformer"),
                "model.safetensors",
                transformerWeights,
                ModelFolder.ordered(
                        "width", t.width(),
                        "layers", t.layers(),
                        "heads", t.heads(),
                        "intermediate", t.intermediate(),
                        "text_width", t.textWidth(),
                        "visual_parts", t.visualParts(),
                        "visual_codes", t.visualCodes(),
                        "audio_codebooks", t.audioCodebooks(),
                        "audio_codes", t.audioCodes(),
                        "time_factor", t.timeFactor(),
                        "steps_per_frame", t.stepsPerFrame(),
                        "max_planes", t.maxPlanes(),
                        "max_side", t.maxSide(),
                        "max_steps", t.maxSteps()));
        TokenUpscaler upscaler = poet.upscaler();
        if (upscaler != null && upscalerWeights != null) {
            TokenUpscaler.Config u = upscaler.config();
            ModelFolder.part(
                    model.resolve("upscaler"),
                    "model.safetensors",
                    upscalerWeights,
                    ModelFolder.ordered(
                            "width", u.width(),
                            "blocks", u.blocks(),
                            "heads", u.heads(),
                            "window", u.window(),
                            "text_width", u.textWidth(),
                            "text_queries", u.textQueries(),
                            "parts", u.parts(),
                            "codes", u.codes(),
                            "max_planes", u.maxPlanes(),
                            "max_side", u.maxSide()));
        }
        try (Weights same = Weights.load(Checkpoint.open(text.resolve("text_encoder")))) {
            CaptionEncoder captions = new CaptionEncoder(poet.captionEncoder().config(), same);
            ModelFolder.part(
                    model.resolve("text_encoder"), "model.safetensors", same, SoraTraining.config(captions.config()));
        }
        copy(
                text.resolve("tokenizer").resolve("tokenizer.json"),
                model.resolve("tokenizer").resolve("tokenizer.json"));
        listener.message("the model is in " + model);
        return true;
    }

    private static void copy(Path from, Path to) {
        try {
            byte[] bytes = Files.readAllBytes(from);
            AtomicFile.write(to, out -> out.write(bytes));
        } catch (IOException e) {
            throw new UserError(from + ": cannot be read: " + e.getMessage(), e);
        }
    }
}
