package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.vae.Posterior;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.nn.TrainingScope;
import dev.zoetrope.schedulers.NoiseTable;
import dev.zoetrope.schedulers.Prediction;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.autoencoder.AdversarialLoss;
import dev.zoetrope.training.autoencoder.CodebookLoss;
import dev.zoetrope.training.autoencoder.LikelihoodLoss;
import dev.zoetrope.training.autoencoder.Lpips;
import dev.zoetrope.training.autoencoder.MovingCodebook;
import dev.zoetrope.training.autoencoder.PatchDiscriminator;
import dev.zoetrope.training.diffusion.NoiseLoss;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Training of U-Nets and of autoencoders of pictures. */
final class PictureTrainingEntries {
    private PictureTrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("ddpm.train", PictureTrainingEntries::ddpm);
        entries.put("ldm.train", PictureTrainingEntries::latentDiffusion);
        entries.put("vae.train", PictureTrainingEntries::autoencoder);
        entries.put("vae.gan", PictureTrainingEntries::adversary);
        entries.put("loss.lpips", PictureTrainingEntries::lpips);
        entries.put("vqvae.train", PictureTrainingEntries::codebook);
        entries.put("vqvae.codebook_ema", PictureTrainingEntries::movingCodebook);
    }

    private static void ddpm(Case c, Answers answers) {
        NoiseLoss loss = new NoiseLoss(
                NoiseTable.of(Json.empty()),
                c.params().get("prediction", Prediction.EPSILON),
                c.params().has("snr_gamma") ? c.params().get("snr_gamma", 5.) : null);
        try (PixelUnet unet = PixelUnet.load(c.model())) {
            TrainingSteps.run(
                    c,
                    answers,
                    unet.weights(),
                    (batch, parts) -> loss.of(
                            (noisy, t) -> unet.forward(noisy, t, null),
                            batch.get("clean"),
                            batch.get("noise"),
                            batch.get("timesteps")));
        }
    }

    private static void latentDiffusion(Case c, Answers answers) {
        NoiseTable table = NoiseTable.of(Json.read(c.model().resolve("scheduler/scheduler_config.json")));
        NoiseLoss loss = new NoiseLoss(table, Prediction.EPSILON, null);
        double offset = c.params().get("noise_offset", 0.);
        List<Tensor> latents = new ArrayList<>();
        List<Tensor> texts = new ArrayList<>();
        try (AutoencoderKl vae = AutoencoderKl.load(c.model().resolve("vae"));
                ClipText text = ClipText.load(c.model().resolve("text_encoder"));
                ConditionalUnet unet = ConditionalUnet.load(c.model().resolve("unet"))) {
            TrainingSteps.run(c, answers, unet.weights(), (batch, parts) -> {
                Tensor z;
                Tensor read;
                try (Autograd.Mode off = Autograd.off()) {
                    z = vae.encode(batch.get("pixel_values"))
                            .sample(batch.get("posterior_noise"))
                            .mul(c.params().get("scaling_factor", 0.18215));
                    Tensor ids = Tensor.where(
                            batch.get("drop").ne(0L).unsqueeze(1), batch.get("empty_ids"), batch.get("input_ids"));
                    read = text.forward(ids.to(DType.INT64), null);
                    latents.add(Scope.detach(z.copy()));
                    texts.add(Scope.detach(read.copy()));
                }
                Tensor more = batch.get("offset_noise").unsqueeze(-1).unsqueeze(-1);
                Tensor noise = batch.get("noise").add(more.mul(offset));
                Condition condition = Condition.ofText(read);
                return loss.of((noisy, t) -> unet.forward(noisy, t, condition), z, noise, batch.get("timesteps"));
            });
        }
        answers.put("latents", latents.get(0).alias());
        answers.put("text_hidden", texts.get(Math.min(1, texts.size() - 1)).alias());
        latents.forEach(Tensor::close);
        texts.forEach(Tensor::close);
    }

    private static void autoencoder(Case c, Answers answers) {
        LikelihoodLoss loss = new LikelihoodLoss(c.params().get("kl_weight", 1e-6));
        try (AutoencoderKl vae = AutoencoderKl.load(c.model().resolve("vae"));
                Checkpoint file = Checkpoint.open(c.model().resolve("loss"));
                Weights more = Weights.load(file)) {
            Map<String, Tensor> all = new LinkedHashMap<>(vae.weights().all());
            Tensor logVariance = more.tensor("logvar", file.shape("logvar"));
            all.put("logvar", logVariance);
            TrainingSteps.run(
                    c,
                    answers,
                    all,
                    (batch, parts) -> {
                        Tensor pictures = batch.get("pixel_values");
                        Posterior posterior = vae.encode(pictures);
                        Tensor made = vae.decode(posterior.sample(batch.get("posterior_noise")));
                        LikelihoodLoss.Parts p = loss.of(pictures, made, posterior, logVariance);
                        parts.put("rec", p.error());
                        parts.put("nll", p.likelihood());
                        parts.put("kl", p.divergence());
                        return p.loss();
                    },
                    () -> {});
        }
    }

    private static void adversary(Case c, Answers answers) {
        Tensor pictures = c.input("pixel_values");
        LikelihoodLoss likelihood = new LikelihoodLoss(c.params().get("kl_weight", 1e-6));
        Tensor logVariance = Tensor.scalarOf(c.params().get("logvar", 0.));
        try (AutoencoderKl vae = AutoencoderKl.load(c.model().resolve("vae"));
                PatchDiscriminator critic = PatchDiscriminator.load(c.model().resolve("discriminator"));
                RandomSource random = RandomSource.of(0);
                Autograd.Mode on = Autograd.on();
                TrainingScope training = TrainingScope.open(random)) {
            vae.weights().requireGrad(true);
            critic.weights().requireGrad(true);
            Posterior posterior = vae.encode(pictures);
            Tensor made = vae.decode(posterior.sample(c.input("posterior_noise")));
            LikelihoodLoss.Parts parts = likelihood.of(pictures, made, posterior, logVariance);
            Tensor ofMade = critic.forward(made);
            Tensor generator = AdversarialLoss.ofGenerator(ofMade);
            Tensor weight = AdversarialLoss.adaptiveWeight(
                    parts.likelihood(), generator, vae.weights().named().get("decoder.conv_out.weight"));
            Tensor loss = parts.loss().add(generator.mul(weight).mul(c.params().get("disc_weight", 1.)));
            loss.backward();
            gradients("grad.", vae.weights(), answers);
            critic.weights().named().values().forEach(Tensor::zeroGrad);

            Tensor ofReal = critic.forward(pictures);
            Tensor ofDetached = critic.forward(made.detach());
            Tensor hinge = AdversarialLoss.hinge(ofReal, ofDetached);
            hinge.backward();
            gradients("disc_grad.", critic.weights(), answers);
            answers.put("nll", parts.likelihood().detach());
            answers.put("kl", parts.divergence().detach());
            answers.put("g_loss", generator.detach());
            answers.put("adaptive_weight", weight);
            answers.put("generator_loss", loss.detach());
            answers.put("d_loss_hinge", hinge.detach());
            answers.put(
                    "d_loss_vanilla",
                    AdversarialLoss.vanilla(ofReal, ofDetached).detach());
            answers.put("logits_reconstruction", ofMade.detach());
            answers.put("logits_real", ofReal.detach());
        }
    }

    private static void gradients(String prefix, Weights weights, Answers answers) {
        weights.named().forEach((name, t) -> {
            Tensor gradient = t.grad();
            if (gradient != null) {
                answers.put(prefix + name, gradient.copy());
            }
        });
    }

    private static void lpips(Case c, Answers answers) {
        try (Lpips lpips = Lpips.load(c.model())) {
            answers.put("layers", lpips.layers(c.input("a"), c.input("b")));
            answers.put("distance", lpips.distance(c.input("a"), c.input("b")));
        }
    }

    private static void codebook(Case c, Answers answers) {
        CodebookLoss loss = new CodebookLoss(c.params().get("beta", 0.25));
        double weight = c.params().get("codebook_weight", 1.);
        try (VqModel vae = VqModel.load(c.model())) {
            VqModel.Quantized first =
                    vae.quantize(vae.encode(c.input("pixel_values").select(0, 0)));
            answers.put("indices", first.indices());
            answers.put("quantized", first.latents());
            TrainingSteps.run(c, answers, vae.weights(), (batch, parts) -> {
                Tensor pictures = batch.get("pixel_values");
                Tensor z = vae.encode(pictures);
                Tensor codes = vae.quantize(z).latents();
                Tensor made = vae.decodeQuantized(CodebookLoss.straightThrough(z, codes));
                Tensor error = made.sub(pictures).abs().mean();
                Tensor tie = loss.of(z, codes);
                parts.put("rec", error);
                parts.put("codebook", tie);
                return error.add(tie.mul(weight));
            });
        }
    }

    private static void movingCodebook(Case c, Answers answers) {
        Map<String, List<Tensor>> steps = new LinkedHashMap<>();
        Tensor latents = c.input("z");
        try (MovingCodebook codebook = new MovingCodebook(
                c.input("codebook"), c.params().get("decay", 0.99), c.params().get("eps", 1e-5))) {
            for (int i = 0; i < latents.size(0); i++) {
                MovingCodebook.Step step = codebook.update(latents.select(0, i));
                add(steps, "indices", step.indices());
                add(steps, "commit", step.commitment().mul(c.params().get("beta", 1.)));
                add(steps, "cluster_size", codebook.sizes().copy());
                add(steps, "embed_avg", codebook.sums().copy());
                add(steps, "codebook", codebook.codes().copy());
            }
        }
        steps.forEach((name, each) -> answers.put(name, Tensor.stack(0, each)));
    }

    private static void add(Map<String, List<Tensor>> steps, String name, Tensor value) {
        steps.computeIfAbsent(name, k -> new ArrayList<>()).add(value);
    }
}
