package dev.zoetrope.models.ldm;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The text encoders of a pipeline: one whose last states steer Stable Diffusion 1 and 2, or one or two of which those
 * before the last are joined for SDXL, arXiv:2307.01952. T tokens, as many as the tokenizer's longest text.
 */
public final class Prompts implements AutoCloseable {
    /** A tokenizer with the tower that reads its tokens. */
    public record Tower(Tokenizer tokenizer, ClipText encoder) {
        /** Texts as rows of one width: cut, or padded on the right, {@code [B, width]} INT64. */
        public Tensor ids(List<String> texts, int width) {
            List<long[]> rows =
                    texts.stream().map(t -> tokenizer.encode(t, width)).toList();
            long[][] padded = tokenizer.pad(rows, width, Tokenizer.Side.RIGHT).ids();
            long[] flat = new long[padded.length * width];
            for (int i = 0; i < padded.length; i++) {
                System.arraycopy(padded[i], 0, flat, i * width, width);
            }
            return Tensor.of(flat, padded.length, width);
        }
    }

    /**
     * @param tokens {@code [B, T, F]}
     * @param pooled of whole texts, {@code [B, P]}; null where nothing asks for it
     */
    public record Features(Tensor tokens, @Nullable Tensor pooled) {
        /** Of no text at all. */
        Features zeros() {
            return new Features(tokens.mul(0.0), pooled == null ? null : pooled.mul(0.0));
        }

        /** The same for each of n pictures. */
        Features times(int n) {
            return new Features(tokens.repeatInterleave(n, 0), pooled == null ? null : pooled.repeatInterleave(n, 0));
        }

        Features after(Features first) {
            return new Features(
                    Tensor.cat(0, first.tokens, tokens),
                    pooled == null || first.pooled == null ? null : Tensor.cat(0, first.pooled, pooled));
        }
    }

    private final List<Tower> towers;
    private final boolean joined;

    /** @param joined whether the states before the last are taken, as SDXL does */
    public Prompts(List<Tower> towers, boolean joined) {
        this.towers = List.copyOf(towers);
        this.joined = joined;
    }

    /** Of a pipeline's folder: {@code tokenizer} with {@code text_encoder}, and the second of both where there is one. */
    public static Prompts load(PipelineFolder folder, boolean joined) {
        List<Tower> towers = new ArrayList<>();
        try {
            for (String number : joined ? List.of("", "_2") : List.of("")) {
                if (!joined
                        || folder.names("text_encoder" + number)
                        || folder.kind().isEmpty()) {
                    Tokenizer tokenizer = Tokenizer.open(folder.part("tokenizer" + number));
                    towers.add(new Tower(tokenizer, ClipText.load(folder.part("text_encoder" + number))));
                }
            }
            return new Prompts(towers, joined);
        } catch (RuntimeException e) {
            towers.forEach(Prompts::close);
            throw e;
        }
    }

    public List<Tower> towers() {
        return towers;
    }

    /** How many tokens of a text are read. */
    public int longest() {
        return length(towers.get(0));
    }

    private static int length(Tower tower) {
        return Math.min(tower.tokenizer().maxLength(), tower.encoder().config().positions());
    }

    /** How many tokens a text has, the marks of its start and end included. */
    public int tokens(String text) {
        return towers.get(0).tokenizer().encode(text).length;
    }

    /** @param skip last layers of the encoder that are left out */
    public Features encode(List<String> texts, int skip) {
        try (Scope s = Scope.open()) {
            List<Tensor> states = new ArrayList<>();
            Tensor pooled = null;
            for (Tower tower : towers) {
                ClipText encoder = tower.encoder();
                Tensor ids = tower.ids(texts, length(tower));
                if (!joined) {
                    states.add(
                            skip == 0
                                    ? encoder.forward(ids, null)
                                    : encoder.normalised(encoder.hiddenState(ids, null, -1 - skip)));
                } else {
                    states.add(encoder.hiddenState(ids, null, -2 - skip));
                    if (encoder.config().projection() > 0) {
                        pooled = encoder.projected(encoder.pooled(ids, encoder.forward(ids, null)));
                    }
                }
            }
            Tensor tokens = states.size() == 1 ? states.get(0) : Tensor.cat(-1, states);
            return new Features(s.keep(tokens), pooled == null ? null : s.keep(pooled));
        }
    }

    /** Each phrase as one vector, {@code [n, F]}: padded to the longest of them, as boxes want it. */
    public Tensor phrases(List<String> phrases) {
        Tower tower = towers.get(0);
        int width = phrases.stream()
                .mapToInt(p -> tower.tokenizer().encode(p, length(tower)).length)
                .max()
                .orElse(1);
        try (Scope s = Scope.open()) {
            Tensor ids = tower.ids(phrases, width);
            return s.keep(tower.encoder().pooled(ids, tower.encoder().forward(ids, null)));
        }
    }

    @Override
    public void close() {
        towers.forEach(Prompts::close);
    }

    private static void close(Tower tower) {
        tower.tokenizer().close();
        tower.encoder().close();
    }
}
