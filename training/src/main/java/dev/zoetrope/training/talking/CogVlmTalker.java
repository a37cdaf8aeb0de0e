package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.cogvlm.CogVlm;
import dev.zoetrope.models.cogvlm.CogVlmPrompt;
import dev.zoetrope.models.cogvlm.CogVlmPrompt.Exchange;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** CogVLM. The picture stands before everything that is said. */
final class CogVlmTalker implements Talker {
    /** Stands in a row for each token of the picture; {@link CogVlm} tells them apart by their type instead. */
    private static final long MARK = -1;

    private final CogVlm model;
    private final Tokenizer tokenizer;

    CogVlmTalker(Path folder, Json config, Weights weights) {
        model = new CogVlm(CogVlm.Config.of(config), weights);
        tokenizer = Tokenizer.open(folder);
    }

    @Override
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public long[] ids(List<Turn> turns) {
        boolean pictured = turns.stream().anyMatch(t -> t.question().contains(LlavaProcessor.IMAGE));
        List<Exchange> all = turns.stream()
                .map(t -> new Exchange(
                        t.question().replace(LlavaProcessor.IMAGE, "").strip(), t.answer()))
                .toList();
        Exchange last = all.get(all.size() - 1);
        String text = model.config().template().text(all.subList(0, all.size() - 1), last.question());
        String answer = last.answer().isEmpty() ? "" : " " + last.answer();
        CogVlmPrompt.Tokens row = CogVlmPrompt.tokens(model.config(), tokenizer, text + answer, pictured);
        long[] ids = row.ids();
        for (int i = 0; i < ids.length; i++) {
            ids[i] = row.types()[i] == 1 ? MARK : ids[i];
        }
        return OwlTalker.ended(turns, ids, tokenizer);
    }

    @Override
    public Tensor loss(Batch b, List<Image> images) {
        Tensor types = b.ids().eq(MARK).to(DType.INT64);
        Tensor ids =
                b.ids().maskedFill(b.ids().eq(MARK), (double) model.config().place());
        Tensor seen = images.isEmpty() ? null : model.imageTokens(CogVlmPrompt.pixels(model.config(), images));
        return NextToken.loss(model.logits(model.read(ids, types, b.mask(), seen)), b.labels());
    }

    @Override
    public @Nullable String tower() {
        return null;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
