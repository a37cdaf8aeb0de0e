package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.vae.Posterior;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.ModelFolder;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.autoencoder.AdversarialLoss;
import dev.zoetrope.training.autoencoder.CodebookLoss;
import dev.zoetrope.training.autoencoder.LikelihoodLoss;
import dev.zoetrope.training.autoencoder.Lpips;
import dev.zoetrope.training.autoencoder.PatchDiscriminator;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Trains an autoencoder of pictures, with Gaussian latents or a codebook, by likelihood and, where the recipe wants them,
 * a perceptual distance and a discriminator that starts late. The finished model is written to {@code model/} in the run
 * folder, for diffusers too; its scaling factor makes the latents' deviation one.
 */
public final class AutoencoderTraining implements Trainer.Objective {
    private static final String STAGE = "autoencoder";
    private static final int SHEET = 8;
    private static final int UNSEEN = 64;

    /** Either kind, as the losses see it. */
    private interface Model {
        /** What comes back for pictures, and what the latents cost; {@code random} for the posterior. */
        Outcome run(Tensor pictures, RandomSource random, Metrics metrics);

        /** Latents without chance, {@code [B, C, h, w]}. */
        Tensor latents(Tensor pictures);

        Tensor reconstructed(Tensor pictures);
    }

    private record Outcome(Tensor made, Tensor likelihood, Tensor cost) {}

    private final PictureData data;
    private final Model model;
    private final Weights weights;
    private final Json config;
    private final @Nullable Lpips lpips;
    private final @Nullable PatchDiscriminator critic;
    private final double perceptualWeight;
    private final double criticWeight;
    private final long criticStart;

    private AutoencoderTraining(Json recipe, PictureData data, Weights weights, Weights criticWeights) {
        this.weights = weights;
        this.data = data;
        Json train = recipe.at("train");
        String kind = train.get("kind", "kl");
        Check.oneOf(kind, "kind", "kl", "vq");
        Json sized = recipe.at("model").with("sample_size", data.shape().height());
        config = sized.with("_class_name", kind.equals("kl") ? "AutoencoderKL" : "VQModel");
        model = kind.equals("kl") ? gaussian(train) : codebook(train);
        perceptualWeight = train.get("perceptual_weight", 1.);
        lpips = train.has("perceptual") ? Lpips.load(Path.of(train.require("perceptual"))) : null;
        criticWeight = train.get("disc_weight", 0.);
        criticStart = train.get("disc_start", 0L);
        critic = criticWeight == 0
                ? null
                : new PatchDiscriminator(PatchDiscriminator.Config.of(train.at("discriminator")), criticWeights);
    }

    private Model gaussian(Json train) {
        AutoencoderKl vae = new AutoencoderKl(AutoencoderKl.Config.of(config), weights);
        LikelihoodLoss loss = new LikelihoodLoss(train.get("kl_weight", 1e-6));
        Tensor width = Scope.detach(Tensor.scalarOf(train.get("logvar", 0.)));
        return new Model() {
            @Override
            public Outcome run(Tensor pictures, RandomSource random, Metrics metrics) {
                Posterior posterior = vae.encode(pictures);
                Tensor z = posterior.sample(random.normal(posterior.mean().shape()));
                Tensor made = vae.decode(z);
                LikelihoodLoss.Parts p = loss.of(pictures, made, posterior, width);
                // The published loss sums over pixels; a mean keeps the learning rate's meaning at any size.
                double pixels = (double) pictures.numel() / pictures.size(0);
                metrics.add("error", p.error().item());
                metrics.add("divergence", p.divergence().item());
                Tensor likelihood = p.likelihood().div(pixels);
                return new Outcome(made, likelihood, p.loss().div(pixels).sub(likelihood));
            }

            @Override
            public Tensor latents(Tensor pictures) {
                return vae.encode(pictures).mean();
            }

            @Override
            public Tensor reconstructed(Tensor pictures) {
                return vae.decode(latents(pictures));
            }
        };
    }

    private Model codebook(Json train) {
        VqModel vae = new VqModel(VqModel.Config.of(config), weights);
        CodebookLoss loss = new CodebookLoss(train.get("beta", 0.25));
        double weight = train.get("codebook_weight", 1.);
        return new Model() {
            @Override
            public Outcome run(Tensor pictures, RandomSource random, Metrics metrics) {
                Tensor z = vae.encode(pictures);
                Tensor codes = vae.quantize(z).latents();
                Tensor made = vae.decodeQuantized(CodebookLoss.straightThrough(z, codes));
                Tensor error = made.sub(pictures).abs().mean();
                Tensor tie = loss.of(z, codes);
                metrics.add("error", error.item());
                metrics.add("codebook", tie.item());
                return new Outcome(made, error, tie.mul(weight));
            }

            @Override
            public Tensor latents(Tensor pictures) {
                return vae.encode(pictures);
            }

            @Override
            public Tensor reconstructed(Tensor pictures) {
                return vae.decode(latents(pictures));
            }
        };
    }

    /** Runs what is left of the training. @return whether it is done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json j = recipe.settings();
        try (RandomSource random = RandomSource.of(j.get("seed", 0L));
                Weights weights = Weights.draw(random);
                Weights criticWeights = Weights.draw(random);
                PictureData data = PictureData.of(j.at("data"), j.at("train"), j.get("seed", 0L), listener)) {
            AutoencoderTraining t = new AutoencoderTraining(j, data, weights, criticWeights);
            Map<String, Tensor> parameters = new LinkedHashMap<>(weights.named());
            criticWeights.named().forEach((name, w) -> parameters.put("discriminator." + name, w));
            boolean done = new Trainer(
                            STAGE, Trainer.Settings.of(j.at("train")), parameters, List.of(), t, folder, listener)
                    .run((step, board) -> t.samples(folder, board, listener, step));
            if (done) {
                listener.message("the model is in " + t.export(folder) + Exports.remarks(data));
            }
            return done;
        }
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        Tensor pictures = data.batch(share).values();
        Outcome o = model.run(pictures, random, metrics);
        Tensor likelihood = o.likelihood();
        if (lpips != null) {
            Tensor distance = lpips.distance(o.made(), pictures).mean();
            metrics.add("perceptual", distance.item());
            likelihood = likelihood.add(distance.mul(perceptualWeight));
        }
        Tensor loss = likelihood.add(o.cost());
        return critic == null || share.step() < criticStart
                ? loss
                : loss.add(AdversarialLoss.both(
                        critic,
                        pictures,
                        o.made(),
                        likelihood,
                        weights.named().get("decoder.conv_out.weight"),
                        criticWeight,
                        metrics));
    }

    private void samples(RunFolder folder, TensorBoard board, TrainingListener listener, long step) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor pictures = data.shown(UNSEEN).values();
            Tensor made = model.reconstructed(pictures);
            double noise = made.clamp(-1, 1).sub(pictures).square().mean().item();
            double psnr = 10 * Math.log10(4 / noise); // of values from -1 to 1
            board.scalar(STAGE + "/psnr", psnr, step);
            listener.report(step, Map.of("psnr", psnr));
            long shown = Math.min(SHEET, pictures.size(0));
            Tensor both = Tensor.cat(0, pictures.narrow(0, 0, shown), made.narrow(0, 0, shown));
            Exports.sheet(folder, board, STAGE, "reconstructions", Pixels.unit(both), step);
        }
    }

    private Path export(RunFolder folder) {
        Path target = Exports.freshModel(folder);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor z = model.latents(data.shown(UNSEEN).values());
            double deviation = z.std(false, false, 0, 1, 2, 3).item();
            Json scaled = config.with("scaling_factor", 1 / deviation);
            Map<String, Object> values = new LinkedHashMap<>();
            scaled.keys().forEach(key -> values.put(key, scaled.value(key)));
            ModelFolder.part(target, "diffusion_pytorch_model.safetensors", weights, values);
        }
        return target;
    }
}
