package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.ChatTemplate;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.deepseekvl.DeepSeekVl;
import dev.zoetrope.models.deepseekvl.DeepSeekVlProcessor;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;

/** DeepSeek-VL, with one eye or two. */
final class DeepSeekVlTalker implements Talker {
    private final DeepSeekVl model;
    private final DeepSeekVlProcessor processor;
    private final Tokenizer tokenizer;
    private final ChatTemplate template;

    DeepSeekVlTalker(Path folder, Json config, Weights weights) {
        model = new DeepSeekVl(DeepSeekVl.Config.of(config), weights);
        processor = DeepSeekVlProcessor.open(folder, model.config());
        tokenizer = Tokenizer.open(folder);
        template = tokenizer.chatTemplate();
    }

    @Override
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public long[] ids(List<Turn> turns) {
        String text = LlavaProcessor.templated(template, turns);
        return tokenizer.encode(text.replace(
                DeepSeekVlProcessor.PLACE,
                DeepSeekVlProcessor.PLACE.repeat(model.config().tokensPerImage())));
    }

    @Override
    public Tensor loss(Batch b, List<Image> images) {
        Tensor seen =
                images.isEmpty() ? null : model.imageTokens(processor.pixels(images), processor.highPixels(images));
        return NextToken.loss(model.logits(model.join(b.ids(), b.mask(), seen)), b.labels());
    }

    @Override
    public String tower() {
        return "model";
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
