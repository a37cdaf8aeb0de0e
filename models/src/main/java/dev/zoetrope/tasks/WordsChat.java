package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.ChatTemplate.Message;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** A language model in conversation, by its chat template. It reads words only. */
final class WordsChat implements ChatModel {
    private final String name;
    private final Weights weights;
    private final LanguageModel model;
    private final Tokenizer tokenizer;
    private final ChatTemplate template;
    private final Set<Integer> ends;

    private WordsChat(Path folder, Weights weights, LanguageModel model, Tokenizer tokenizer) {
        this.name = String.valueOf(folder.getFileName());
        this.weights = weights;
        this.model = model;
        this.tokenizer = tokenizer;
        this.template = tokenizer.chatTemplate();
        this.ends =
                new HashSet<>(Generation.Options.greedy(1).withTokensOf(folder).ends());
    }

    static WordsChat load(Path folder, Precision precision) {
        Tokenizer tokenizer = Tokenizer.open(folder);
        try {
            tokenizer.chatTemplate(); // refused before gigabytes are read
            return Pretrained.load(folder, (Json json, Weights w) -> {
                Weights typed = w.as(precision.type()).packed(precision.packing());
                return new WordsChat(folder, typed, LanguageModel.of(json, typed), tokenizer);
            });
        } catch (RuntimeException e) {
            tokenizer.close();
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
        return 0;
    }

    @Override
    public int mostTokens() {
        return model.maxPositions();
    }

    @Override
    public Set<Integer> ends() {
        return ends;
    }

    @Override
    public List<String> stopTexts() {
        return List.of();
    }

    @Override
    public Tensor look(Image image) {
        throw new UserError(name + " reads words only; for pictures take a vision-language model");
    }

    @Override
    public Row read(List<Turn> turns, List<Tensor> seen) {
        List<Message> messages = new ArrayList<>();
        for (Turn t : turns) {
            messages.add(new Message("user", t.question()));
            if (!t.answer().isEmpty()) {
                messages.add(new Message("assistant", t.answer()));
            }
        }
        long[] ids = tokenizer.encodePlain(template.render(messages, true));
        return new Row(ids, model.embed(Tensor.of(ids, 1, ids.length)));
    }

    @Override
    public Steps continueWith(Tensor embedded, KvCache cache) {
        return new Prompt(embedded, null, null).start(model, cache);
    }

    @Override
    public Weights weights() {
        return weights;
    }

    @Override
    public void close() {
        tokenizer.close();
        model.close();
    }
}
