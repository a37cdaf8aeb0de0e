package dev.zoetrope.models.dit;

import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/** A diffusion transformer with its text encoders and autoencoder: prompts become pictures. */
public interface TextPipeline extends AutoCloseable {
    /** Steps and guidance as its authors propose them, with the size trained on. */
    Settings defaults(String prompt);

    /** Tokens that T5 reads of a prompt unless told otherwise. */
    int textLength();

    /**
     * Pictures from a prompt.
     *
     * @param textLength tokens to which the prompt is cut or filled up for T5
     * @return {@code [B, 3, H, W]} in 0..1, owned by the innermost scope
     * @throws java.util.concurrent.CancellationException when the observer says stop
     */
    Tensor generate(Settings settings, int textLength, Draws draws, Denoising.Observer observer);

    default Tensor generate(Settings settings, Draws draws, Denoising.Observer observer) {
        return generate(settings, textLength(), draws, observer);
    }

    @Override
    void close();

    /** By diffusers' name of the pipeline. */
    private static Map<String, Function<PipelineFolder, TextPipeline>> kinds() {
        return new TreeMap<>(Map.of(
                "FluxPipeline", FluxPipeline::load,
                "PixArtAlphaPipeline", PixArtPipeline::load,
                "StableDiffusion3Pipeline", Sd3Pipeline::load));
    }

    /** Whether a folder holds one of these. */
    static boolean isOne(PipelineFolder folder) {
        return kinds().containsKey(folder.kind());
    }

    /** The pipeline that a folder's model_index.json names. */
    static TextPipeline load(Path folder) {
        PipelineFolder f = PipelineFolder.open(folder);
        Function<PipelineFolder, TextPipeline> kind = kinds().get(f.kind());
        if (kind == null) {
            throw new UserError(folder + ": model_index.json: _class_name \"" + f.kind()
                    + "\" is no transformer that reads prompts; supported: " + kinds().keySet());
        }
        return kind.apply(f);
    }
}
