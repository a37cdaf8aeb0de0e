package dev.zoetrope.parity;

import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor.CenterCrop;
import dev.zoetrope.media.ImageProcessor.Size;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Pictures: opening, resizing, cropping. */
final class ImageEntries {
    private static final Pattern WHAT_AND_SIZE = Pattern.compile("(\\w+)_(\\d+)x(\\d+)");

    private ImageEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("image.open", ImageEntries::open);
        entries.put("image.resize", ImageEntries::resize);
        entries.put("image.centerCrop", ImageEntries::centerCrop);
    }

    private static void open(Case c, Answers answers) {
        for (String file : c.params().get("pictures", List.of())) {
            answers.put(file.replaceFirst("\\.\\w+$", ""), samples(Images.read(c.beside(file))));
        }
    }

    private static void resize(Case c, Answers answers) {
        Image picture = Images.read(c.file("picture"));
        for (Case.Output o : c.outputs()) {
            Matcher m = matched(o);
            Size size = size(m);
            Filter filter = Filter.valueOf(m.group(1).toUpperCase(Locale.ROOT));
            answers.put(o.name(), samples(Resize.to(picture, size.width(), size.height(), filter)));
        }
    }

    private static void centerCrop(Case c, Answers answers) {
        Image picture = Images.read(c.file("picture"));
        for (Case.Output o : c.outputs()) {
            CenterCrop crop = new CenterCrop(size(matched(o)));
            answers.put(o.name(), samples(crop.apply(picture)).permute(2, 0, 1));
        }
    }

    private static Matcher matched(Case.Output output) {
        Matcher m = WHAT_AND_SIZE.matcher(output.name());
        if (!m.matches()) {
            throw new UserError("output " + output.name() + " is not named NAME_HxW");
        }
        return m;
    }

    private static Size size(Matcher m) {
        return new Size(Integer.parseInt(m.group(2)), Integer.parseInt(m.group(3)));
    }

    /** {@code [row, column, channel]}, 0..255. */
    private static Tensor samples(Image image) {
        return Tensor.of(image.rgb(), image.height(), image.width(), 3).to(DType.INT64);
    }
}
