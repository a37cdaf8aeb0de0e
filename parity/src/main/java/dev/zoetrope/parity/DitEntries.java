package dev.zoetrope.parity;

import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.Map;

/** Diffusion transformers of image latents. */
final class DitEntries {
    private DitEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("dit.forward", DitEntries::forward);
    }

    private static void forward(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor labels = c.input("class_labels");
        try (Dit dit = Dit.load(c.model())) {
            List<Tensor> states = dit.hiddenStates(latents, timesteps, labels);
            answers.put("patches", states.get(0));
            answers.put("conditioning_0", dit.condition(timesteps, labels));
            answers.put("block_0", states.get(1));
            answers.put("block_last", states.get(states.size() - 1));
            answers.put("sample", dit.forward(latents, timesteps, labels));
        }
    }
}
