package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.models.llava.Dialogue;
import dev.zoetrope.models.llava.Dialogue.Labelled;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** LLaVA, TinyLLaVA, MobileVLM, Bunny. */
final class LlavaTalker implements Talker {
    private final Llava model;
    private final LlavaProcessor processor;

    LlavaTalker(Path folder, Json config, Weights weights) {
        Json tower = config.isObject("vision_config") ? config.at("vision_config") : null;
        model = new Llava(Llava.Config.of(config, tower), weights);
        processor = LlavaProcessor.open(folder, model);
    }

    @Override
    public Tokenizer tokenizer() {
        return processor.tokenizer();
    }

    @Override
    public long[] ids(List<Turn> turns) {
        return processor.ids(processor.text(turns));
    }

    @Override
    public Labelled labelled(List<Turn> turns) {
        Dialogue dialogue = processor.dialogue();
        return dialogue == null
                ? Talker.super.labelled(turns)
                : dialogue.labelled(tokenizer(), turns, model.config().imageToken());
    }

    @Override
    public Labelled captioned(String caption) {
        return processor.dialogue() == null
                ? Talker.super.captioned(caption)
                : Dialogue.caption(tokenizer(), caption, model.config().imageToken());
    }

    @Override
    public Tensor loss(Batch b, List<Image> images) {
        Tensor seen = images.isEmpty() ? null : model.imageTokens(processor.pixels(images));
        Splice row = model.join(b.ids(), b.mask(), b.labels(), seen);
        return NextToken.loss(model.logits(row), Objects.requireNonNull(row.labels()));
    }

    @Override
    public String tower() {
        return model.config().layout().tower();
    }

    @Override
    public void close() {
        processor.close();
    }
}
