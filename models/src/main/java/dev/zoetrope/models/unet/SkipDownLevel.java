package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.PictureAttention;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The way down of score networks, arXiv:2011.13456: the picture itself is halved beside and added at each level. */
final class SkipDownLevel implements Level {
    static final double SCALE = Math.sqrt(2);
    static final int ATTENTION_GROUPS = 32;
    static final int PICTURE_CHANNELS = 3; // whatever the network's input has

    private final String path;
    private final List<ResnetBlock> resnets = new ArrayList<>();
    private final List<PictureAttention> attentions = new ArrayList<>();
    private final @Nullable ResnetBlock shrink;
    private final @Nullable Conv2d picture;

    SkipDownLevel(Plan p, Weights w, boolean attends) {
        path = w.path();
        for (int i = 0; i < p.layers(); i++) {
            int in = i == 0 ? p.in() : p.out();
            ResnetBlock.Style style = p.style().withScale(SCALE).withGroups(groups(in), groups(p.out()));
            resnets.add(new ResnetBlock(w.at("resnets").at(i), style, in, p.out()));
            if (attends) {
                attentions.add(attention(p, w.at("attentions").at(i)));
            }
        }
        ResnetBlock.Style style = p.style().withScale(SCALE).withGroups(groups(p.out()), groups(p.out()));
        shrink = p.resampled() ? new ResnetBlock(w.at("resnet_down"), style, p.out(), p.out(), Fir::halve, true) : null;
        picture = p.resampled() ? new Conv2d(w.at("skip_conv"), PICTURE_CHANNELS, p.out(), 1, 1, 0) : null;
    }

    static int groups(int channels) {
        return Math.min(channels / 4, 32);
    }

    static PictureAttention attention(Plan p, Weights w) {
        return new PictureAttention(
                w, p.out(), p.headSize(), ATTENTION_GROUPS, p.style().eps(), SCALE);
    }

    @Override
    public void run(Pass pass) {
        Tensor time = pass.steering().time();
        for (int i = 0; i < resnets.size(); i++) {
            ResnetBlock resnet = resnets.get(i);
            pass.step(x -> resnet.forward(x, time));
            if (!attentions.isEmpty()) {
                pass.step(attentions.get(i)::forward);
            }
            pass.remember();
        }
        if (shrink != null && picture != null) {
            Tensor smaller = Fir.halve(Objects.requireNonNull(pass.picture()));
            pass.setPicture(smaller);
            pass.step(x -> picture.forward(smaller).add(shrink.forward(x, time)));
            pass.remember();
        }
        pass.watched(path);
    }
}
