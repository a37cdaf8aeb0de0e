package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.bert.Bert;
import dev.zoetrope.models.blip2.Blip2;
import dev.zoetrope.models.blip2.Blip2Retrieval;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.clip.ClipVision;
import dev.zoetrope.models.cogvideox.CogVideoXAutoencoder;
import dev.zoetrope.models.cogvideox.CogVideoXTransformer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.deepseekvl.DeepSeekVl;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.dit.DitOriginal;
import dev.zoetrope.models.dit.FluxTransformer;
import dev.zoetrope.models.dit.PixArtTransformer;
import dev.zoetrope.models.dit.Sd3Transformer;
import dev.zoetrope.models.emu3.Emu3Tokenizer;
import dev.zoetrope.models.encodec.EnCodec;
import dev.zoetrope.models.imagebind.ImageBind;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.latte.LatteTransformer;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.models.opensora.Stdit3;
import dev.zoetrope.models.owl.Owl;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamConfig;
import dev.zoetrope.models.siglip.Siglip;
import dev.zoetrope.models.siglip.SiglipVision;
import dev.zoetrope.models.t5.T5;
import dev.zoetrope.models.t5.T5Config;
import dev.zoetrope.models.t5.T5Encoder;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.unet.PixelUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.models.wan.WanAutoencoder;
import dev.zoetrope.models.wan.WanTransformer;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.stream.Stream;

/**
 * Names and shapes of all tensors of a published checkpoint with its real configuration: the model of that configuration
 * must ask for exactly these, and no more memory than names and shapes need. What a release may hold besides
 * ({@code optional}: tables that are tied, buffers that the model derives) must be known to the model by name.
 */
final class Manifest {
    private static final Map<String, BiConsumer<Json, Weights>> MODELS = models();

    private final Path file;
    private final Json json;

    private Manifest(Path file, Json json) {
        this.file = file;
        this.json = json;
    }

    static Manifest read(Path file) {
        return new Manifest(file.toAbsolutePath(), Json.read(file));
    }

    /** By the architecture or class that the configuration names, else the model type, else the system's folder. */
    private static Map<String, BiConsumer<Json, Weights>> models() {
        Map<String, BiConsumer<Json, Weights>> r = new TreeMap<>();
        r.put("CLIPModel", (c, w) -> new Clip(Clip.Config.of(c), w));
        r.put("CLIPTextModel", (c, w) -> new ClipText(ClipText.Config.of(c), w));
        r.put("CLIPTextModelWithProjection", (c, w) -> new ClipText(ClipText.Config.of(c), w));
        r.put("CLIPVisionModel", (c, w) -> new ClipVision(ClipVision.Config.of(c), w));
        r.put("CLIPVisionModelWithProjection", (c, w) -> new ClipVision(ClipVision.Config.of(c), w));
        r.put("SiglipModel", (c, w) -> new Siglip(Siglip.Config.of(c), w));
        r.put("SiglipVisionModel", (c, w) -> new SiglipVision(SiglipVision.Config.of(c), w));
        r.put("ViTForImageClassification", (c, w) -> new Vit(Vit.Config.of(c), w));
        r.put("ViTModel", (c, w) -> new Vit(Vit.Config.of(c), w));
        r.put("AutoencoderKLCogVideoX", (c, w) -> new CogVideoXAutoencoder(CogVideoXAutoencoder.Config.of(c), w));
        r.put("CogVideoXTransformer3DModel", (c, w) -> new CogVideoXTransformer(CogVideoXTransformer.Config.of(c), w));
        r.put("AutoencoderKLWan", (c, w) -> new WanAutoencoder(WanAutoencoder.Config.of(c), w));
        r.put("LatteTransformer3DModel", (c, w) -> new LatteTransformer(LatteTransformer.Config.of(c), w));
        r.put("STDiT3", (c, w) -> new Stdit3(Stdit3.Config.of(c), w));
        r.put("WanTransformer3DModel", (c, w) -> new WanTransformer(WanTransformer.Config.of(c), w));
        r.put("DiTTransformer2DModel", (c, w) -> new Dit(Dit.Config.of(c), w));
        r.put("MplugOwlForConditionalGeneration", (c, w) -> new Owl(Owl.Config.of(c), w));
        r.put("SamModel", (c, w) -> new Sam(SamConfig.of(c), w));
        r.put("sam_original", (c, w) -> {
            SamConfig sizes = SamConfig.original(c);
            new Sam(sizes, w.renamed(Sam.originalNames(sizes)));
        });
        r.put("UNet2DModel", (c, w) -> new PixelUnet(PixelUnet.Config.of(c), w));
        r.put("UNet2DConditionModel", (c, w) -> new ConditionalUnet(ConditionalUnet.Config.of(c), w));
        r.put("AutoencoderKL", (c, w) -> new AutoencoderKl(AutoencoderKl.Config.of(c), w));
        r.put("VQModel", (c, w) -> new VqModel(VqModel.Config.of(c), w));
        r.put("imagebind", (c, w) -> new ImageBind(ImageBind.Config.of(c), w));
        r.put("dit", (c, w) -> DitOriginal.of(DitOriginal.config(c), w));
        r.put("FluxTransformer2DModel", (c, w) -> new FluxTransformer(FluxTransformer.Config.of(c), w));
        r.put("PixArtTransformer2DModel", (c, w) -> new PixArtTransformer(PixArtTransformer.Config.of(c), w));
        r.put("SD3Transformer2DModel", (c, w) -> new Sd3Transformer(Sd3Transformer.Config.of(c), w));
        r.put("Blip2ForConditionalGeneration", (c, w) -> new Blip2(Blip2.Config.of(c), w));
        r.put("Blip2ForImageTextRetrieval", (c, w) -> new Blip2Retrieval(Blip2Retrieval.Config.of(c), w));
        r.put("cogvlm", (c, w) -> new CogVlm(CogVlm.Config.of(c), w));
        r.put("DeepseekVLForConditionalGeneration", (c, w) -> new DeepSeekVl(DeepSeekVl.Config.of(c), w));
        r.put("DeepseekVLHybridForConditionalGeneration", (c, w) -> new DeepSeekVl(DeepSeekVl.Config.of(c), w));
        r.put("emu3_vqgan", (c, w) -> new Emu3Tokenizer(Emu3Tokenizer.Config.of(c), w));
        r.put("encodec", (c, w) -> new EnCodec(EnCodec.Config.of(c), w));
        r.put("BertModel", (c, w) -> new Bert(Bert.Config.of(c), w));
        r.put("T5EncoderModel", (c, w) -> new T5Encoder(T5Config.of(c), w));
        r.put("UMT5EncoderModel", (c, w) -> new T5Encoder(T5Config.of(c), w));
        r.put("T5ForConditionalGeneration", (c, w) -> new T5(T5Config.of(c), w));
        for (String decoder : List.of(
                "LlamaForCausalLM",
                "MistralForCausalLM",
                "Qwen2ForCausalLM",
                "PhiForCausalLM",
                "StableLmForCausalLM",
                "GPT2LMHeadModel",
                "OPTForCausalLM")) {
            r.put(decoder, LanguageModel::of);
        }
        for (String llava : List.of(
                "llava",
                "tinyllava",
                "mobilevlm",
                "bunny-phi",
                "bunny-llama",
                "bunny-qwen2",
                "bunny-stablelm",
                "llava_llama")) {
            r.put(llava, (c, w) -> new Llava(Llava.Config.of(c), w));
        }
        return r;
    }

    /** {@code system/file}, the latter without its ending. */
    String name() {
        return system() + "/" + String.valueOf(file.getFileName()).replaceFirst("\\.json$", "");
    }

    private String system() {
        Path folder = file.getParent();
        return folder == null ? "" : String.valueOf(folder.getFileName());
    }

    /** One line if all fits, else one for each tensor that does not. */
    List<Line> check() {
        Json config = json.at("config");
        List<String> kinds = Stream.of(
                        config.get("architectures", List.of()).stream()
                                .findFirst()
                                .orElse(""),
                        config.get("_class_name", ""),
                        config.get("model_type", ""),
                        system())
                .filter(k -> !k.isEmpty())
                .toList();
        BiConsumer<Json, Weights> model = kinds.stream()
                .filter(MODELS::containsKey)
                .findFirst()
                .map(MODELS::get)
                .orElse(null);
        if (model == null) {
            return List.of(Line.fail(name(), "model", "no model is known by any of " + kinds));
        }
        Map<String, long[]> tensors = new LinkedHashMap<>();
        Json shapes = json.requireAt("tensors");
        for (String key : shapes.keys()) {
            tensors.put(key, longs(shapes.get(key, new int[0])));
        }
        List<Line> failures = fit(model, config, tensors);
        List<String> optional = json.get("optional", List.of());
        if (failures.isEmpty() && !optional.isEmpty()) {
            optional.forEach(key -> tensors.putIfAbsent(key, new long[] {1}));
            failures = fit(model, config, tensors);
        }
        return failures.isEmpty()
                ? List.of(new Line(
                        true, name(), "tensors", String.valueOf(shapes.keys().size())))
                : failures;
    }

    private List<Line> fit(BiConsumer<Json, Weights> model, Json config, Map<String, long[]> tensors) {
        List<Line> failures = new ArrayList<>();
        try (Scope s = Scope.open();
                Checkpoint described = Checkpoint.describe(name(), tensors)) {
            Weights w = Weights.load(described);
            try {
                model.accept(config, w);
                w.unused().forEach(key -> failures.add(Line.fail(name(), key, "the model does not ask for it")));
            } catch (UserError e) {
                failures.add(Line.fail(name(), "tensors", String.valueOf(e.getMessage())));
            } finally {
                w.close();
            }
        }
        return failures;
    }

    private static long[] longs(int... values) {
        long[] r = new long[values.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = values[i];
        }
        return r;
    }
}
