package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.cogvlm.CogVlmPrompt;
import dev.zoetrope.models.cogvlm.CogVlmPrompt.Exchange;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * CogVLM and CogVLM2 in conversation about one picture, which stands before everything that is said, whenever it was
 * shown.
 */
final class CogVlmChat implements ChatModel {
    private static final String VICUNA = "lmsys/vicuna-7b-v1.5";

    private final String name;
    private final CogVlm model;
    private final Tokenizer tokenizer;
    private final Set<Integer> ends;
    private CogVlm.@Nullable Row latest; // of the last conversation read: places and experts of what is continued

    private CogVlmChat(String name, CogVlm model, Tokenizer tokenizer, Set<Integer> ends) {
        this.name = name;
        this.model = model;
        this.tokenizer = tokenizer;
        this.ends = ends;
    }

    static CogVlmChat load(Path folder, Precision precision) {
        CogVlm model = CogVlm.load(folder, precision.type(), precision.packing());
        try {
            Tokenizer tokenizer = Tokenizer.open(tokenizerOf(folder));
            return new CogVlmChat(
                    String.valueOf(folder.getFileName()), model, tokenizer, ChatModels.ends(folder, tokenizer));
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    /** The first version was released without one, to be used with Vicuna's. */
    private static Path tokenizerOf(Path folder) {
        return Files.exists(folder.resolve("tokenizer_config.json"))
                ? folder
                : Hub.ofEnvironment().resolve(VICUNA);
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
        return 1;
    }

    @Override
    public int mostTokens() {
        return model.config().positions();
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
        try (Scope s = Scope.open()) {
            Tensor pixels = CogVlmPrompt.pixels(model.config(), List.of(image));
            return s.keep(model.imageTokens(ChatModels.asWeights(pixels, model.weights()))
                    .select(0, 0));
        }
    }

    @Override
    public Row read(List<Turn> turns, List<Tensor> seen) {
        List<Exchange> history = turns.subList(0, turns.size() - 1).stream()
                .map(t -> new Exchange(t.question(), t.answer()))
                .toList();
        String text = model.config()
                .template()
                .text(history, turns.get(turns.size() - 1).question());
        CogVlmPrompt.Tokens tokens = CogVlmPrompt.tokens(model.config(), tokenizer, text, !seen.isEmpty());
        Tensor images = seen.isEmpty() ? null : Tensor.stack(0, seen);
        CogVlm.Row row = model.read(tokens.idTensor(), tokens.typeTensor(), null, images);
        latest = row;
        return new Row(keys(tokens), row.embedded());
    }

    private static long[] keys(CogVlmPrompt.Tokens tokens) {
        long[] keys = tokens.ids().clone();
        for (int i = 0; i < keys.length; i++) {
            keys[i] = tokens.types()[i] == 1 ? -1L - i : keys[i];
        }
        return keys;
    }

    @Override
    public Steps continueWith(Tensor embedded, KvCache cache) {
        CogVlm.Row row = latest;
        if (row == null) {
            throw new IllegalStateException("no conversation was read");
        }
        Tensor positions = row.positions().narrow(1, cache.length(), embedded.size(1));
        return new CogVlm.Row(embedded, null, positions, row.reader()).start(cache);
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
