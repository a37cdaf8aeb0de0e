package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.deepseekvl.DeepSeekVl;
import dev.zoetrope.models.deepseekvl.DeepSeekVlProcessor;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** DeepSeek-VL in conversation. */
final class DeepSeekVlChat implements ChatModel {
    private static final String IMAGE = LlavaProcessor.IMAGE;
    private static final String PLACE = DeepSeekVlProcessor.PLACE;

    private final String name;
    private final DeepSeekVl model;
    private final DeepSeekVlProcessor processor;
    private final Tokenizer tokenizer;
    private final ChatTemplate template;
    private final Set<Integer> ends;

    private DeepSeekVlChat(
            String name, DeepSeekVl model, DeepSeekVlProcessor processor, Tokenizer t, Set<Integer> ends) {
        this.name = name;
        this.model = model;
        this.processor = processor;
        this.tokenizer = t;
        this.template = t.chatTemplate();
        this.ends = ends;
    }

    static DeepSeekVlChat load(Path folder, Precision precision) {
        DeepSeekVl model = DeepSeekVl.load(folder, precision.type(), precision.packing());
        try {
            Tokenizer tokenizer = Tokenizer.open(folder);
            return new DeepSeekVlChat(
                    String.valueOf(folder.getFileName()),
                    model,
                    DeepSeekVlProcessor.open(folder, model.config()),
                    tokenizer,
                    ChatModels.ends(folder, tokenizer));
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
        return tokenizer;
    }

    @Override
    public int mostImages() {
        return mostTokens() / model.config().tokensPerImage();
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
        return List.of("\n\nUser:");
    }

    @Override
    public Tensor look(Image image) {
        try (Scope s = Scope.open()) {
            Tensor low = ChatModels.asWeights(processor.pixels(List.of(image)), model.weights());
            Tensor high = processor.highPixels(List.of(image));
            Tensor details = high == null ? null : ChatModels.asWeights(high, model.weights());
            return s.keep(model.imageTokens(low, details).select(0, 0));
        }
    }

    @Override
    public Row read(List<Turn> turns, List<Tensor> seen) {
        String text = text(turns);
        int places = text.split(PLACE, -1).length - 1;
        if (places != seen.size()) {
            throw new UserError(name + ": the conversation has " + seen.size() + " pictures and its text " + places
                    + " places for them; write " + IMAGE + " once for each picture, or not at all");
        }
        long[] ids =
                tokenizer.encode(text.replace(PLACE, PLACE.repeat(model.config().tokensPerImage())));
        try (Scope s = Scope.open()) {
            Tensor images = seen.isEmpty() ? null : Tensor.stack(0, seen);
            Prompt row = model.join(Tensor.of(ids, 1, ids.length), null, images);
            return new Row(keys(ids), s.keep(row.embedded()));
        }
    }

    private String text(List<Turn> turns) {
        List<Dialogue.Turn> all = turns.stream()
                .map(t -> new Dialogue.Turn(
                        t.question().contains(IMAGE)
                                ? t.question()
                                : IMAGE.repeat(t.images().size()) + t.question(),
                        t.answer()))
                .toList();
        return LlavaProcessor.templated(template, all).replace(IMAGE, PLACE);
    }

    private long[] keys(long[] ids) {
        long[] keys = ids.clone();
        int tokens = 0; // of pictures so far
        for (int i = 0; i < keys.length; i++) {
            if (keys[i] == model.config().imageToken()) {
                keys[i] = -1L - tokens++;
            }
        }
        return keys;
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
        tokenizer.close();
        model.close();
    }
}
