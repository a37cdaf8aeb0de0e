package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.owl.Owl;
import dev.zoetrope.models.owl.OwlProcessor;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** mPLUG-Owl. Its conversations have no mark at the end of an answer but the last. */
final class OwlTalker implements Talker {
    private final Owl model;
    private final OwlProcessor processor;

    OwlTalker(Path folder, Json config, Weights weights) {
        model = new Owl(Owl.Config.of(config), weights);
        processor = OwlProcessor.open(folder, model.config());
    }

    @Override
    public Tokenizer tokenizer() {
        return processor.tokenizer();
    }

    @Override
    public long[] ids(List<Turn> turns) {
        String text = OwlProcessor.text(turns.stream()
                .map(t -> new OwlProcessor.Turn(t.question(), t.answer()))
                .toList());
        return ended(turns, processor.ids(text.stripTrailing()), tokenizer());
    }

    /** The ids, closed if the last turn has its answer. */
    static long[] ended(List<Turn> turns, long[] ids, Tokenizer tokenizer) {
        if (turns.get(turns.size() - 1).answer().isEmpty()) {
            return ids;
        }
        long[] r = Arrays.copyOf(ids, ids.length + 1);
        r[ids.length] = tokenizer.specialId("eos_token");
        return r;
    }

    @Override
    public Tensor loss(Batch b, List<Image> images) {
        Tensor seen = images.isEmpty() ? null : model.imageTokens(processor.pixels(images));
        return NextToken.loss(model.logits(model.join(b.ids(), b.mask(), b.labels(), seen)), b.labels());
    }

    @Override
    public @Nullable String tower() {
        return null;
    }

    @Override
    public void close() {
        processor.close();
    }
}
