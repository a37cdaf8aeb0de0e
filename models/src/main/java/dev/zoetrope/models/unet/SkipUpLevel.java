package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.PictureAttention;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The way up of score networks, arXiv:2011.13456: each level adds its part to a picture that is doubled beside. */
final class SkipUpLevel implements Level {
    private final String path;
    private final List<ResnetBlock> resnets = new ArrayList<>();
    private final @Nullable PictureAttention attention;
    private final @Nullable ResnetBlock grow;
    private final @Nullable GroupNorm norm;
    private final @Nullable Conv2d picture;

    SkipUpLevel(Plan p, Weights w, boolean attends) {
        path = w.path();
        for (int i = 0; i < p.layers(); i++) {
            int below = i == 0 ? p.in() : p.out();
            int left = i == p.layers() - 1 ? p.skip() : p.out();
            // The kind with attention divides only one of the two; published weights depend on it.
            int groups = attends ? Math.min(below + left / 4, 32) : SkipDownLevel.groups(below + left);
            ResnetBlock.Style style =
                    p.style().withScale(SkipDownLevel.SCALE).withGroups(groups, SkipDownLevel.groups(p.out()));
            resnets.add(new ResnetBlock(w.at("resnets").at(i), style, below + left, p.out()));
        }
        attention = attends ? SkipDownLevel.attention(p, w.at("attentions.0")) : null;
        int groups = SkipDownLevel.groups(p.out());
        ResnetBlock.Style style = p.style().withScale(SkipDownLevel.SCALE).withGroups(groups, groups);
        grow = p.resampled() ? new ResnetBlock(w.at("resnet_up"), style, p.out(), p.out(), Fir::twice, true) : null;
        norm = p.resampled()
                ? new GroupNorm(w.at("skip_norm"), groups, p.out(), p.style().eps())
                : null;
        picture =
                p.resampled() ? new Conv2d(w.at("skip_conv"), p.out(), SkipDownLevel.PICTURE_CHANNELS, 3, 1, 1) : null;
    }

    @Override
    public void run(Pass pass) {
        Tensor time = pass.steering().time();
        for (ResnetBlock resnet : resnets) {
            pass.join();
            pass.step(x -> resnet.forward(x, time));
        }
        if (attention != null) {
            pass.step(attention::forward);
        }
        Tensor before = pass.picture();
        Tensor larger = before == null ? null : Fir.twice(before);
        if (grow != null && norm != null && picture != null) {
            Tensor part = Steps.run(pass.x(), norm, Tensor::silu, picture);
            larger = larger == null ? part : larger.add(part);
            pass.step(x -> grow.forward(x, time));
        }
        pass.setPicture(larger);
        pass.watched(path);
    }
}
