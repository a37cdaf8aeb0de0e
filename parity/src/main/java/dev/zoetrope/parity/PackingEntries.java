package dev.zoetrope.parity;

import dev.zoetrope.models.navit.NaVit;
import dev.zoetrope.models.navit.Packing;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/** Clips of different sizes that share rows. */
final class PackingEntries {
    private PackingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("pack.forward", PackingEntries::packing);
    }

    private static void packing(Case c, Answers answers) {
        List<Tensor> clips = new ArrayList<>();
        for (int i = 0; i < c.params().requireInt("clips"); i++) {
            clips.add(c.input("clip." + i));
        }
        try (NaVit model = NaVit.load(c.model());
                Autograd.Mode on = Autograd.on()) {
            model.weights().requireGrad(true);
            Packing packing = Packing.of(
                    clips.stream().map(model::tokens).toList(), c.params().requireInt("row_tokens"));
            answers.put("row", each(packing, Packing.Place::row));
            answers.put("offset", each(packing, Packing.Place::offset));
            answers.put("tokens", each(packing, Packing.Place::tokens));
            answers.put("segments", packing.segments());
            List<Tensor> outputs = model.forward(clips, packing);
            List<Tensor> errors = new ArrayList<>();
            for (int i = 0; i < outputs.size(); i++) {
                answers.put("output." + i, outputs.get(i).detach());
                errors.add(Functional.mseLoss(outputs.get(i), c.input("target." + i)));
            }
            Tensor loss = Tensor.stack(0, errors).mean();
            loss.backward();
            answers.put("loss", loss.detach());
            model.weights().named().forEach((name, t) -> {
                Tensor gradient = t.grad();
                if (gradient != null) {
                    answers.put("grad." + name, gradient.copy());
                }
            });
        }
    }

    private static Tensor each(Packing packing, ToIntFunction<Packing.Place> number) {
        long[] r = packing.places().stream().mapToLong(number::applyAsInt).toArray();
        return Tensor.of(r, r.length);
    }
}
