package dev.zoetrope.models.quantize;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv1d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Several tables one after the other, each for what those before it left over (arXiv:2107.03312); entries are looked for by
 * direction alone, in few dimensions (arXiv:2306.06546).
 *
 * <p>Axes: B rows, D channels, F frames, Q tables, E width of an entry.
 */
public final class ResidualVq {
    /**
     * @param channels D
     * @param codebooks Q
     * @param size entries of a table
     * @param width E
     */
    public record Config(int channels, int codebooks, int size, int width) {
        public Config {
            Check.positive(channels, "channels");
            Check.positive(codebooks, "n_codebooks");
            Check.positive(size, "codebook_size");
            Check.positive(width, "codebook_dim");
        }
    }

    /**
     * Vectors as codes.
     *
     * @param codes {@code [B, Q, F]} INT64
     * @param values {@code [B, D, F]}, what the codes stand for; gradients go past the choice
     * @param latents {@code [B, Q E, F]}, what was looked for in each table
     * @param entries like latents, what was found; gradients go to the tables
     */
    public record Codes(Tensor codes, Tensor values, Tensor latents, Tensor entries) {
        /** What ties the vectors to the tables and, {@code beta} times as much, the tables to the vectors; a number. */
        public Tensor tie(double beta) {
            try (Scope s = Scope.open()) {
                return s.keep(Functional.mseLoss(latents, entries.detach())
                        .add(Functional.mseLoss(entries, latents.detach()).mul(beta)));
            }
        }
    }

    private final List<Table> tables;

    /** @param w below which the tables have numbers */
    public ResidualVq(Config c, Weights w) {
        tables = w.stack(c.codebooks, q -> new Table(c, q));
    }

    /** @param x {@code [B, D, F]} */
    public Codes quantize(Tensor x) {
        try (Scope s = Scope.open()) {
            Tensor left = x;
            Tensor sum = x.mul(0.0);
            List<Tensor> codes = new ArrayList<>();
            List<Tensor> latents = new ArrayList<>();
            List<Tensor> entries = new ArrayList<>();
            for (Table t : tables) {
                Tensor latent = t.in.forward(left); // [B, E, F]
                Tensor code = t.nearest(latent.detach()); // [B, F]
                Tensor entry = t.codebook.forward(code).transpose(1, 2); // [B, E, F]
                Tensor value = t.out.forward(Quantized.straightThrough(latent, entry));
                codes.add(code);
                latents.add(latent);
                entries.add(entry);
                sum = sum.add(value);
                left = left.sub(value);
            }
            return new Codes(
                    s.keep(Tensor.stack(1, codes)),
                    s.keep(sum),
                    s.keep(Tensor.cat(1, latents)),
                    s.keep(Tensor.cat(1, entries)));
        }
    }

    /** What codes stand for, {@code [B, Q', F] -> [B, D, F]}; the last tables may be missing. */
    public Tensor decode(Tensor codes) {
        Check.shape(codes.shape(), "codes", -1, -1, -1);
        Check.atMost(tables.size(), codes.size(1), "n_codebooks", "the number of rows of codes");
        try (Scope s = Scope.open()) {
            Tensor sum = tables.get(0).value(codes.select(1, 0));
            for (int q = 1; q < codes.size(1); q++) {
                sum = sum.add(tables.get(q).value(codes.select(1, q)));
            }
            return s.keep(sum);
        }
    }

    private static final class Table {
        private final Conv1d in;
        private final Conv1d out;
        private final Embedding codebook;

        Table(Config c, Weights w) {
            in = new Conv1d(w.at("in_proj"), c.channels, c.width, 1, 1, 0);
            out = new Conv1d(w.at("out_proj"), c.width, c.channels, 1, 1, 0);
            codebook = new Embedding(w.at("codebook"), c.size, c.width, Init.normal(1));
        }

        /** By direction alone: both sides are brought to length 1. */
        Tensor nearest(Tensor latent) { // [B, E, F] -> [B, F]
            return Codebook.nearest(Codebook.unit(latent.transpose(1, 2)), Codebook.unit(codebook.weight()));
        }

        Tensor value(Tensor code) { // [B, F] -> [B, D, F]
            return out.forward(codebook.forward(code).transpose(1, 2));
        }
    }
}
