package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a pipeline is written from besides its weights.
 *
 * @param index model_index.json, or as much of it as its class; the parts are filled in
 * @param configs of its parts, each with the class that it names; whatever names a scheduler is one
 * @param tokenizers folders whose files are copied
 */
public record PipelineOrigin(Json index, Map<String, Json> configs, Map<String, Path> tokenizers) {
    private static final List<String> PARTS =
            List.of("unet", "transformer", "vae", "vqvae", "text_encoder", "text_encoder_2");
    private static final List<String> SCHEDULERS = List.of("scheduler", "low_res_scheduler");

    public PipelineOrigin {
        configs = Map.copyOf(configs);
        tokenizers = Map.copyOf(tokenizers);
    }

    /** What a folder that was loaded is written again from. */
    public static PipelineOrigin of(PipelineFolder f) {
        Map<String, Json> configs = new LinkedHashMap<>();
        Map<String, Path> tokenizers = new LinkedHashMap<>();
        PARTS.stream()
                .filter(f::names)
                .forEach(p -> configs.put(p, Json.read(f.part(p).resolve("config.json"))));
        SCHEDULERS.stream().filter(f::names).forEach(p -> configs.put(p, f.schedulerConfig(p)));
        Stream.of("tokenizer", "tokenizer_2").filter(f::names).forEach(p -> tokenizers.put(p, f.part(p)));
        return new PipelineOrigin(f.index(), configs, tokenizers);
    }

    Json config(String part) {
        Json j = configs.get(part);
        if (j == null) {
            throw new IllegalArgumentException("no configuration of " + part);
        }
        return j;
    }

    /** Writes the folder aside and moves it into place; weights by part. */
    public void write(Path folder, Map<String, Weights> weights) {
        write(folder, weights, null);
    }

    /**
     * Writes the folder aside and moves it into place.
     *
     * @param weights by part
     * @param dtype of all that is floating in the files; null for what each tensor has
     */
    public void write(Path folder, Map<String, Weights> weights, @Nullable DType dtype) {
        Path target = folder.toAbsolutePath();
        if (Files.exists(target)) {
            throw new UserError(folder + ": is there already; name a folder that is not");
        }
        Path aside = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            fill(aside, weights, dtype);
            Files.move(aside, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be written: " + e, e);
        } finally {
            delete(aside);
        }
    }

    private void fill(Path folder, Map<String, Weights> weights, @Nullable DType dtype) throws IOException {
        Json all = index;
        for (String part : PARTS) {
            Json config = configs.get(part);
            if (config == null) {
                continue;
            }
            boolean text = part.startsWith("text_encoder");
            text(folder.resolve(part).resolve("config.json"), config.toString());
            Weights w = weights.get(part);
            if (w == null) {
                throw new IllegalArgumentException("no weights of " + part);
            }
            String file = text ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
            try (Scope s = Scope.open()) {
                Map<String, Tensor> tensors = new LinkedHashMap<>(w.all());
                if (dtype != null) {
                    tensors.replaceAll(
                            (name, t) -> t.dtype().isFloating() ? t.detach().to(dtype) : t);
                }
                Safetensors.write(folder.resolve(part).resolve(file), tensors);
            }
            String type =
                    text ? config.get("architectures", List.of("CLIPTextModel")).get(0) : config.require("_class_name");
            all = all.with(part, List.of(text ? "transformers" : "diffusers", type));
        }
        for (String part : SCHEDULERS) {
            Json config = configs.get(part);
            if (config != null) {
                text(folder.resolve(part).resolve("scheduler_config.json"), config.toString());
                all = all.with(part, List.of("diffusers", config.require("_class_name")));
            }
        }
        for (Map.Entry<String, Path> e : tokenizers.entrySet()) {
            copy(e.getValue(), folder.resolve(e.getKey()));
            Path config = e.getValue().resolve("tokenizer_config.json");
            Json j = Files.exists(config) ? Json.read(config) : Json.empty();
            all = all.with(e.getKey(), List.of("transformers", j.get("tokenizer_class", "CLIPTokenizer")));
        }
        for (String part : index.keys()) {
            // Parts that are not ours, such as a safety checker, are not written: readers must not look for them.
            if (index.isArray(part) && index.size(part, 0) == 2 && !Files.isDirectory(folder.resolve(part))) {
                all = all.with(part, Arrays.asList(null, null));
            }
        }
        text(folder.resolve("model_index.json"), all.toString());
    }

    private static void text(Path file, String content) {
        AtomicFile.write(file, out -> out.write((content + "\n").getBytes(StandardCharsets.UTF_8)));
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path f : files.filter(Files::isRegularFile).toList()) {
                Files.copy(f, to.resolve(String.valueOf(f.getFileName())));
            }
        }
    }

    private static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path f : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(f);
            }
        } catch (IOException e) {
            // The failure that led here is the one to report.
        }
    }
}
