package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.sora.SpaceTimeTransformer;
import dev.zoetrope.models.sora.SpaceTimeUnet;
import dev.zoetrope.models.sora.VideoAutoencoder;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.ClipSheet;
import dev.zoetrope.training.ModelFolder;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The recipe of the built-in text-to-video model, in three stages: the autoencoder on rendered clips, the caption encoder
 * on captions alone, then transformer and caption encoder together. Each stage resumes by itself; the finished model is
 * written to {@code model/} in the run folder.
 */
public final class SoraTraining {
    private static final int SHEET = 16;

    private final Json recipe;
    private final RunFolder folder;
    private final TrainingListener listener;
    private final SoraData data;
    private final long seed;
    private final Weights autoencoderWeights;
    private final Weights textWeights;
    private final Weights transformerWeights;
    private final Map<String, Object> networkConfig;
    private final boolean unet; // in the transformer's place
    private final Sora sora;

    private SoraTraining(Recipe r, RunFolder folder, TrainingListener listener) {
        this.recipe = r.settings();
        this.folder = folder;
        this.listener = listener;
        seed = recipe.get("seed", 0L);
        data = SoraData.of(recipe, seed);
        Path tokenizer = folder.file("tokenizer");
        Vocabulary.write(tokenizer);
        Tokenizer words = Tokenizer.open(tokenizer);
        try (RandomSource random = RandomSource.of(seed)) {
            autoencoderWeights = Weights.draw(random);
            textWeights = Weights.draw(random);
            transformerWeights = Weights.draw(random);
            Json model = recipe.at("model");
            VideoAutoencoder.Config v = VideoAutoencoder.Config.of(model.at("autoencoder"));
            Json text = model.at("text_encoder");
            CaptionEncoder.Config t = new CaptionEncoder.Config(
                    words.size(),
                    text.get("max_length", 48),
                    text.get("width", 128),
                    text.get("layers", 2),
                    text.get("heads", 4),
                    text.get("queries", 4));
            networkConfig = networkConfig(model, v.latentChannels(), t);
            Json network = Json.of("model", networkConfig);
            unet = model.has(Sora.UNET);
            sora = new Sora(
                    new CaptionEncoder(t, textWeights),
                    unet
                            ? new SpaceTimeUnet(network, transformerWeights)
                            : new SpaceTimeTransformer(SpaceTimeTransformer.Config.of(network), transformerWeights),
                    new VideoAutoencoder(v, autoencoderWeights),
                    words,
                    List.of(autoencoderWeights, textWeights, transformerWeights));
        }
    }

    /** config.json of the network: the recipe's, with what follows from the other parts. */
    private Map<String, Object> networkConfig(Json model, int latentChannels, CaptionEncoder.Config text) {
        Map<String, Object> r = new LinkedHashMap<>();
        if (model.has(Sora.UNET)) {
            Json given = model.at(Sora.UNET);
            r.put("_class_name", SpaceTimeUnet.CLASS);
            given.keys().forEach(key -> r.put(key, given.value(key)));
            r.put("in_channels", latentChannels);
            r.put("out_channels", latentChannels);
            r.put("cross_attention_dim", text.width());
            return r;
        }
        Json given = model.at(Sora.TRANSFORMER);
        r.put("latent_channels", latentChannels);
        r.put("patch_size", given.get("patch_size", 2));
        r.put("hidden_size", given.get("hidden_size", 256));
        r.put("layers", given.get("layers", 6));
        r.put("heads", given.get("heads", 4));
        r.put("mlp_ratio", given.get("mlp_ratio", 4));
        r.put("text_width", text.width());
        r.put("text_queries", text.queries());
        r.put("flow_shift", given.get("flow_shift", 4.));
        r.put("given_frames", recipe.at("video").get("given", 0.) > 0);
        return r;
    }

    /** Runs the stages that are left. @return whether all are done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        SoraTraining t = new SoraTraining(recipe, folder, listener);
        try (Sora model = t.sora) {
            return t.autoencoder() && t.text() && t.video() && t.export();
        }
    }

    private boolean autoencoder() {
        Json j = recipe.at("autoencoder");
        AutoencoderStage stage = new AutoencoderStage(sora.autoencoder(), data.withAllObjects(), j);
        stage.initialise(autoencoderWeights, seed);
        boolean done = new Trainer(
                        "autoencoder",
                        Trainer.Settings.of(j),
                        autoencoderWeights.named(),
                        List.of(),
                        stage,
                        folder,
                        listener)
                .run((step, board) -> reconstructions(step, board));
        stage.measure(autoencoderWeights);
        return done;
    }

    private boolean text() {
        Json j = recipe.at("text");
        try (RandomSource random = RandomSource.of(seed + 1);
                Weights heads = Weights.draw(random)) {
            TextStage stage = new TextStage(sora, data, heads, j);
            Map<String, Tensor> parameters = new LinkedHashMap<>(textWeights.named());
            heads.named().forEach((name, t) -> parameters.put("heads." + name, t));
            return new Trainer("text", Trainer.Settings.of(j), parameters, List.of(), stage, folder, listener)
                    .run((step, board) -> {});
        }
    }

    private boolean video() {
        Json j = recipe.at("video");
        try (VideoStage stage = new VideoStage(sora, data, j)) {
            Map<String, Tensor> parameters = new LinkedHashMap<>();
            textWeights.named().forEach((name, t) -> parameters.put("text_encoder." + name, t));
            transformerWeights.named().forEach((name, t) -> parameters.put("transformer." + name, t));
            // The caption encoder knows what captions say already: it only follows.
            Optimizer.Group gently = Optimizer.Group.rate(j.get("text_rate", .2), "^text_encoder\\.");
            return new Trainer("video", Trainer.Settings.of(j), parameters, List.of(gently), stage, folder, listener)
                    .run((step, board) -> {
                        stage.probe().forEach((name, value) -> board.scalar("video/" + name, value, step));
                        listener.report(step, stage.probe());
                        samples(j, step, board);
                    });
        }
    }

    /** A sheet of clips from the current weights, one a row, every other frame of it. */
    private void samples(Json j, long step, TensorBoard board) {
        World world = data.world(data.buckets().get(0));
        Bucket b = data.buckets().get(0);
        List<String> prompts = new ArrayList<>();
        long[] seeds = new long[SHEET];
        for (int i = 0; i < SHEET; i++) {
            Scene scene = world.scene(900_000_000L + i);
            prompts.add(scene.caption());
            seeds[i] = i;
        }
        try (Scope s = Scope.open()) {
            Tensor video = sora.sample(
                    prompts,
                    Sora.none(SHEET),
                    seeds,
                    new Sora.Sampling(
                            b.frames(),
                            b.canvas().width(),
                            b.canvas().height(),
                            j.get("sample_steps", 12),
                            j.get("sample_guidance", 2.5)),
                    (done, of) -> true);
            sheet("samples", video, step, board);
        }
    }

    private void reconstructions(long step, TensorBoard board) {
        World world = data.world(data.buckets().get(0));
        List<Scene> scenes = new ArrayList<>();
        for (int i = 0; i < SHEET / 2; i++) {
            scenes.add(world.scene(900_000_000L + i));
        }
        try (var off = dev.zoetrope.tensor.Autograd.off();
                Scope s = Scope.open()) {
            Tensor video = LatentPool.video(scenes);
            Tensor z = sora.autoencoder().encodeGroups(sora.autoencoder().groups(video));
            Tensor again = sora.autoencoder().decodeGroups(z.unflatten(0, video.size(0), -1));
            Tensor decoded = again.unflatten(2, -1, 3).flatten(1, 2).transpose(1, 2);
            List<Tensor> rows = new ArrayList<>();
            for (int i = 0; i < scenes.size(); i++) {
                rows.add(video.narrow(0, i, 1));
                rows.add(decoded.narrow(0, i, 1).clamp(-1, 1));
            }
            sheet("reconstructions", Tensor.cat(0, rows), step, board);
        }
    }

    private void sheet(String name, Tensor video, long step, TensorBoard board) {
        ClipSheet.write(video, folder, name, "video/" + name, step, board);
    }

    /** Writes the finished model in float16. */
    private boolean export() {
        Path model = folder.file("model");
        ModelFolder.json(model.resolve("model_index.json"), Map.of("_class_name", "ZoetropeSora"));
        VideoAutoencoder.Config v = sora.autoencoder().config();
        ModelFolder.part(
                model.resolve("autoencoder"),
                "model.safetensors",
                autoencoderWeights,
                ModelFolder.ordered(
                        "group_frames", v.groupFrames(),
                        "latent_channels", v.latentChannels(),
                        "width", v.width(),
                        "bottleneck_width", v.bottleneckWidth(),
                        "encoder_blocks", v.encoderBlocks(),
                        "decoder_blocks", v.decoderBlocks()));
        ModelFolder.part(
                model.resolve("text_encoder"),
                "model.safetensors",
                textWeights,
                config(sora.captionEncoder().config()));
        ModelFolder.part(
                model.resolve(unet ? Sora.UNET : Sora.TRANSFORMER),
                "model.safetensors",
                transformerWeights,
                networkConfig);
        Vocabulary.write(model.resolve("tokenizer"));
        listener.message("the model is in " + model);
        return true;
    }

    /** A caption encoder's config.json. */
    public static Map<String, Object> config(CaptionEncoder.Config t) {
        return ModelFolder.ordered(
                "vocab_size", t.vocabSize(),
                "max_length", t.maxLength(),
                "width", t.width(),
                "layers", t.layers(),
                "heads", t.heads(),
                "queries", t.queries());
    }
}
