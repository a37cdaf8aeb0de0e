package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.owl.Owl;
import dev.zoetrope.models.owl.OwlProcessor;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** mPLUG-Owl in conversation. */
final class OwlChat implements ChatModel {
    private final String name;
    private final Owl model;
    private final OwlProcessor processor;
    private final Set<Integer> ends;

    private OwlChat(String name, Owl model, OwlProcessor processor, Set<Integer> ends) {
        this.name = name;
        this.model = model;
        this.processor = processor;
        this.ends = ends;
    }

    static OwlChat load(Path folder, Precision precision) {
        Owl model = Owl.load(folder, precision.type(), precision.packing());
        try {
            OwlProcessor processor = OwlProcessor.open(folder, model.config());
            return new OwlChat(
                    String.valueOf(folder.getFileName()),
                    model,
                    processor,
                    ChatModels.ends(folder, processor.tokenizer()));
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Tokenizer tokenizer() {
        return processor.tokenizer();
    }

    @Override
    public int mostImages() {
        return mostTokens() / model.tokensPerImage();
    }

    @Override
    public int mostTokens() {
        return model.language().maxPositions();
    }

    @Override
    public Set<Integer> ends() {
        return ends;
    }

    @Override
    public List<String> stopTexts() {
        return List.of("\nHuman:");
    }

    @Override
    public Tensor look(Image image) {
        try (Scope s = Scope.open()) {
            Tensor pixels = ChatModels.asWeights(processor.pixels(List.of(image)), model.weights());
            return s.keep(model.imageTokens(pixels).select(0, 0));
        }
    }

    @Override
    public Row read(List<Turn> turns, List<Tensor> seen) {
        String text = OwlProcessor.text(turns.stream()
                .map(t -> new OwlProcessor.Turn(marked(t), t.answer()))
                .toList());
        int places = text.split(OwlProcessor.IMAGE, -1).length - 1;
        if (places != seen.size()) {
            throw new UserError(name + ": the conversation has " + seen.size() + " pictures and its text " + places
                    + " places for them; write " + OwlProcessor.IMAGE + " once for each picture, or not at all");
        }
        long[] ids = processor.ids(text);
        long[] keys = ids.clone();
        int tokens = 0; // of pictures so far
        for (int i = 0; i < keys.length; i++) {
            if (keys[i] == Owl.IMAGE) {
                keys[i] = -1L - tokens++;
            }
        }
        try (Scope s = Scope.open()) {
            Tensor images = seen.isEmpty() ? null : Tensor.stack(0, seen);
            Tensor row = Tensor.of(ids, 1, ids.length);
            return new Row(keys, s.keep(model.join(row, null, null, images).embedded()));
        }
    }

    /** The question with places for its pictures in front, unless it has places of its own. */
    private static String marked(Turn t) {
        return t.question().contains(OwlProcessor.IMAGE)
                ? t.question()
                : OwlProcessor.IMAGE.repeat(t.images().size()) + t.question();
    }

    @Override
    public Steps continueWith(Tensor embedded, KvCache cache) {
        return new Prompt(embedded, null, null).start(model.language(), cache);
    }

    @Override
    public Weights weights() {
        return model.weights();
    }

    @Override
    public void close() {
        processor.close();
        model.close();
    }
}
