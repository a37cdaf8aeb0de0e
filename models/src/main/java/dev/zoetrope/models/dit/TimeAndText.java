package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/** Time, pooled text and, where a model is distilled from guidance, its scale, as the vector that steers all blocks. */
final class TimeAndText {
    static final int WAVES = 256;
    static final Timesteps TIMESTEPS = new Timesteps(WAVES, true, 0);

    private final TimeEmbedding time;
    private final @Nullable TimeEmbedding guidance;
    private final TimeEmbedding text;

    TimeAndText(Weights w, int hidden, int pooled, boolean guided) {
        time = new TimeEmbedding(w.at("timestep_embedder"), WAVES, hidden, Act.SILU);
        guidance = guided ? new TimeEmbedding(w.at("guidance_embedder"), WAVES, hidden, Act.SILU) : null;
        text = new TimeEmbedding(w.at("text_embedder"), pooled, hidden, Act.SILU);
    }

    /** {@code [B], [B, pooled], [B] -> [B, D]}. */
    Tensor forward(Tensor timesteps, Tensor pooled, @Nullable Tensor scale) {
        if ((scale == null) != (guidance == null)) {
            throw new UserError(
                    guidance == null
                            ? "guidance is given, and this model has no guidance_embeds"
                            : "guidance is missing, which this model's guidance_embeds read");
        }
        try (Scope s = Scope.open()) {
            Tensor r = time.forward(TIMESTEPS.forward(timesteps));
            if (guidance != null && scale != null) {
                r = r.add(guidance.forward(TIMESTEPS.forward(scale)));
            }
            return s.keep(r.add(text.forward(pooled)));
        }
    }
}
