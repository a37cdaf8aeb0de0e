package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The LLaVA family in conversation. */
final class LlavaChat implements ChatModel {
    private final String name;
    private final Llava model;
    private final LlavaProcessor processor;
    private final Set<Integer> ends;

    private LlavaChat(String name, Llava model, LlavaProcessor processor, Set<Integer> ends) {
        this.name = name;
        this.model = model;
        this.processor = processor;
        this.ends = ends;
    }

    static LlavaChat load(Path folder, Precision precision) {
        Llava model = Llava.load(folder, precision.type(), precision.packing());
        try {
            LlavaProcessor processor = LlavaProcessor.open(folder, model);
            return new LlavaChat(
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
        return Math.min(model.language().maxPositions(), model.config().maxLength());
    }

    @Override
    public Set<Integer> ends() {
        return ends;
    }

    @Override
    public List<String> stopTexts() {
        return List.of("USER:");
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
        String text = processor.text(dialogueTurns(turns));
        int places = text.split(LlavaProcessor.IMAGE, -1).length - 1;
        if (places != seen.size()) {
            throw new UserError(name + ": the conversation has " + seen.size() + " pictures and its text " + places
                    + " places for them; write " + LlavaProcessor.IMAGE + " once for each picture, or not at all");
        }
        long[] ids = processor.ids(text);
        try (Scope s = Scope.open()) {
            Tensor images = seen.isEmpty() ? null : Tensor.stack(0, seen);
            Tensor embedded = model.join(Tensor.of(ids, 1, ids.length), null, null, images)
                    .embedded();
            return new Row(keys(ids, seen), s.keep(embedded));
        }
    }

    private static List<Dialogue.Turn> dialogueTurns(List<Turn> turns) {
        return turns.stream().map(t -> new Dialogue.Turn(marked(t), t.answer())).toList();
    }

    /** The question with places for its pictures in front, unless it has places of its own. */
    private static String marked(Turn t) {
        return t.question().contains(LlavaProcessor.IMAGE)
                ? t.question()
                : (LlavaProcessor.IMAGE + "\n").repeat(t.images().size()) + t.question();
    }

    private long[] keys(long[] ids, List<Tensor> seen) {
        int mark = model.config().imageToken();
        boolean each = model.config().layout() == Llava.Layout.HF; // a mark for each token of a picture
        List<Long> keys = new ArrayList<>();
        int tokens = 0; // of pictures so far
        int perImage = seen.isEmpty() ? 0 : (int) seen.get(0).size(0);
        for (long id : ids) {
            if (id != mark) {
                keys.add(id);
                continue;
            }
            for (int k = 0; k < (each ? 1 : perImage); k++) {
                keys.add(-1L - tokens++);
            }
        }
        int length = Math.min(keys.size(), model.config().maxLength());
        return keys.subList(0, length).stream().mapToLong(Long::longValue).toArray();
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
