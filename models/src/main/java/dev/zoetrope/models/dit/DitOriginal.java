package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.schedulers.Ddpm;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The original release of {@link Dit}, facebookresearch/DiT: other names, {@code .pt} files without a configuration,
 * guidance of the first three channels only, and ancestral sampling with the learned variance on respaced timesteps.
 */
public final class DitOriginal {
    private static final int GUIDED_CHANNELS = 3;
    private static final Ddpm DIFFUSION = Ddpm.of(Json.parse(
            "DiT's diffusion",
            "{\"beta_schedule\":\"linear\",\"clip_sample\":false,\"variance_type\":\"learned_range\"}"));

    /** A file does not tell the heads; these are the sizes of the paper's table 1. */
    private static final Map<Integer, Integer> HEADS_OF_HIDDEN = Map.of(384, 6, 768, 12, 1024, 16, 1152, 16);

    /** Time and class are stored once here and in every block there; queries, keys and values as one matrix. */
    static final Renames NAMES = Renames.of(
            "^pos_embed\\.proj\\.", "x_embedder.proj.",
            "^transformer_blocks\\.\\d+\\.norm1\\.emb\\.timestep_embedder\\.linear_1\\.", "t_embedder.mlp.0.",
            "^transformer_blocks\\.\\d+\\.norm1\\.emb\\.timestep_embedder\\.linear_2\\.", "t_embedder.mlp.2.",
            "^transformer_blocks\\.\\d+\\.norm1\\.emb\\.class_embedder\\.", "y_embedder.",
            "^transformer_blocks\\.", "blocks.",
            "\\.norm1\\.linear\\.", ".adaLN_modulation.1.",
            "\\.attn1\\.to_q\\.(\\w+)$", ".attn.qkv.$1#0/3",
            "\\.attn1\\.to_k\\.(\\w+)$", ".attn.qkv.$1#1/3",
            "\\.attn1\\.to_v\\.(\\w+)$", ".attn.qkv.$1#2/3",
            "\\.attn1\\.to_out\\.0\\.", ".attn.proj.",
            "\\.ff\\.net\\.0\\.proj\\.", ".mlp.fc1.",
            "\\.ff\\.net\\.2\\.", ".mlp.fc2.",
            "^proj_out_1\\.", "final_layer.adaLN_modulation.1.",
            "^proj_out_2\\.", "final_layer.linear.");

    private DitOriginal() {}

    /** The arguments of the release's constructor, with its defaults. */
    public static Dit.Config config(Json j) {
        int hidden = j.get("hidden_size", 1152);
        int heads = j.get("num_heads", 16);
        int channels = j.get("in_channels", 4);
        Check.divides(heads, hidden, "num_heads", "hidden_size");
        return new Dit.Config(
                j.get("input_size", 32),
                j.get("patch_size", 2),
                channels,
                j.get("learn_sigma", true) ? 2 * channels : channels,
                j.get("depth", 28),
                heads,
                hidden / heads,
                j.get("num_classes", 1000),
                true,
                j.get("mlp_ratio", 4.0),
                Modulation.EPS,
                0);
    }

    /** As a model is built from weights under the release's names. */
    public static Dit of(Dit.Config c, Weights original) {
        original.ignorable("pos_embed");
        return new Dit(c, original.renamed(NAMES));
    }

    /**
     * A {@code .pt} file such as DiT-XL-2-256x256.pt, whose sizes are read off its tensors, or a folder that holds one
     * and perhaps a config.json with the constructor's arguments.
     */
    public static Dit load(Path fileOrFolder) {
        Path config = fileOrFolder.resolve("config.json");
        try (Checkpoint file = Checkpoint.open(fileOrFolder)) {
            Weights w = Weights.load(file);
            try {
                Dit.Config c = Files.isRegularFile(config) ? config(Json.read(config)) : config(file);
                Dit r = of(c, w);
                if (!w.unused().isEmpty()) {
                    throw new UserError(file.name() + ": is not a DiT of the original release: it also holds "
                            + w.unused().get(0));
                }
                return r;
            } catch (RuntimeException e) {
                w.close();
                throw e;
            }
        }
    }

    private static Dit.Config config(Checkpoint file) {
        long[] patches = shape(file, "x_embedder.proj.weight", 4); // [D, C, p, p]
        int hidden = (int) patches[0];
        int channels = (int) patches[1];
        int patch = (int) patches[2];
        Integer heads = HEADS_OF_HIDDEN.get(hidden);
        if (heads == null) {
            throw new UserError(file.name() + ": the hidden size " + hidden + " is none of the published "
                    + HEADS_OF_HIDDEN.keySet() + ", so the number of heads is unknown; say it with num_heads in a "
                    + "config.json beside the file, and load the folder");
        }
        long places = shape(file, "pos_embed", 3)[1];
        int depth = 0;
        while (file.has("blocks." + depth + ".attn.qkv.weight")) {
            depth++;
        }
        return new Dit.Config(
                (int) Math.round(Math.sqrt((double) places)) * patch,
                patch,
                channels,
                (int) shape(file, "final_layer.linear.weight", 2)[0] / (patch * patch),
                depth,
                heads,
                hidden / heads,
                (int) shape(file, "y_embedder.embedding_table.weight", 2)[0] - 1,
                true,
                (double) shape(file, "blocks.0.mlp.fc1.weight", 2)[0] / hidden,
                Modulation.EPS,
                0);
    }

    private static long[] shape(Checkpoint file, String name, int axes) {
        if (!file.has(name) || file.shape(name).length != axes) {
            throw new UserError(file.name() + ": is not a DiT of the original release: "
                    + (file.has(name) ? name + " has shape " + Arrays.toString(file.shape(name)) : "no " + name));
        }
        return file.shape(name);
    }

    /**
     * Noise guided away from "no class". Only the first three channels are guided; the others and the variance stay
     * those of each half.
     *
     * @param latents {@code [2 B, C, H, W]}, of which the first half counts
     * @param timesteps {@code [2 B]}
     * @param labels {@code [2 B]}: classes, then as often "no class"
     * @return {@code [2 B, O, H, W]}
     */
    public static Tensor guided(Dit dit, Tensor latents, Tensor timesteps, Tensor labels, double scale) {
        try (Scope s = Scope.open()) {
            Tensor half = latents.chunk(2, 0).get(0);
            Tensor answer = dit.forward(Tensor.cat(0, half, half), timesteps, labels);
            Tensor noise = answer.narrow(1, 0, GUIDED_CHANNELS);
            Tensor rest = answer.narrow(1, GUIDED_CHANNELS, answer.size(1) - GUIDED_CHANNELS);
            List<Tensor> parts = noise.chunk(2, 0);
            Tensor to = parts.get(1).add(parts.get(0).sub(parts.get(1)).mul(scale));
            return s.keep(Tensor.cat(1, Tensor.cat(0, to, to), rest));
        }
    }

    /** The release's diffusion: linear betas, the variance where the network puts it, no clipping. */
    public static Ddpm diffusion() {
        return DIFFUSION;
    }

    /** Timesteps spread evenly from the last to 0, both included, as the release respaces its diffusion. */
    public static Plan plan(int steps) {
        int last = DIFFUSION.table().size() - 1;
        Check.between(1, last + 1, steps, "steps");
        double stride = steps == 1 ? 1 : (double) last / (steps - 1);
        List<Double> timesteps = new ArrayList<>();
        double at = 0;
        for (int i = 0; i < steps; i++) {
            timesteps.add(0, Math.rint(at));
            at += stride;
        }
        return Plan.ofTimesteps(timesteps);
    }
}
