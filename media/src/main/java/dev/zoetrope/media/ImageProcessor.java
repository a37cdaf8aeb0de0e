package dev.zoetrope.media;

import com.fasterxml.jackson.databind.JsonNode;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * From a picture to what a vision model reads: the steps that a checkpoint's preprocessor_config.json describes, in the
 * arithmetic of transformers' processors on Pillow. All geometry is done on 8-bit samples; only then come scale, mean and
 * standard deviation in float32.
 *
 * @param steps what happens to the 8-bit picture, in order
 * @param scale what a sample is multiplied by
 * @param mean what is subtracted then, one a channel
 * @param std what it is divided by then, one a channel
 * @param padTo the size to which zeros fill up on the right and below afterwards, or null
 */
public record ImageProcessor(List<Step> steps, double scale, double[] mean, double[] std, @Nullable Size padTo) {

    /** A size in pixels. */
    public record Size(int height, int width) {
        public Size {
            if (height < 1 || width < 1) {
                throw new UserError(
                        "preprocessor_config.json: size " + height + "x" + width + ", both must be at least 1");
            }
        }
    }

    /**
     * A picture as a model reads it.
     *
     * @param values [3, height, width]
     * @param contentHeight how many rows from the top are picture; the rest is padding behind the normalisation
     * @param contentWidth how many columns from the left are picture
     */
    public record Pixels(float[] values, int height, int width, int contentHeight, int contentWidth) {}

    /** One change of the 8-bit picture. */
    public sealed interface Step {
        Image apply(Image image);
    }

    /** To a size whatever the aspect ratio. */
    public record Squash(Size size, Filter filter) implements Step {
        @Override
        public Image apply(Image image) {
            return Resize.to(image, size.width, size.height, filter);
        }
    }

    /** The short side to a length, the long one in proportion, cut to a whole number. */
    public record ShortSide(int length, Filter filter) implements Step {
        @Override
        public Image apply(Image image) {
            int w = image.width();
            int h = image.height();
            int longSide = (int) ((double) ((long) length * Math.max(w, h)) / Math.min(w, h));
            return w < h ? Resize.to(image, length, longSide, filter) : Resize.to(image, longSide, length, filter);
        }
    }

    /** The long side to a length, the short one in proportion, halves rounded up: Segment Anything. */
    public record LongSide(int length, Filter filter) implements Step {
        @Override
        public Image apply(Image image) {
            double factor = (double) length / Math.max(image.width(), image.height());
            return Resize.to(
                    image,
                    Math.max(1, (int) (image.width() * factor + 0.5)),
                    Math.max(1, (int) (image.height() * factor + 0.5)),
                    filter);
        }
    }

    /** The long side to a length, the short one in proportion, halves rounded to even, but never below a minimum: DeepSeek-VL. */
    public record LongSideAtLeast(int length, int atLeast, Filter filter) implements Step {
        @Override
        public Image apply(Image image) {
            double factor = (double) length / Math.max(image.width(), image.height());
            return Resize.to(
                    image,
                    Math.max(atLeast, (int) Math.rint(image.width() * factor)),
                    Math.max(atLeast, (int) Math.rint(image.height() * factor)),
                    filter);
        }
    }

    /** The middle; where the picture is smaller, black surrounds it, an odd row or column of it on the top or left. */
    public record CenterCrop(Size size) implements Step {
        @Override
        public Image apply(Image image) {
            return image.crop(
                    Math.floorDiv(image.width() - size.width, 2),
                    Math.floorDiv(image.height() - size.height, 2),
                    size.width,
                    size.height);
        }
    }

    /** To a square by stripes of one colour on both sides, an odd row or column of it behind. @param colour 0xRRGGBB */
    public record PadToSquare(int colour) implements Step {
        @Override
        public Image apply(Image image) {
            int side = Math.max(image.width(), image.height());
            if (side == Math.min(image.width(), image.height())) {
                return image;
            }
            byte[] square = Image.filled(side, side, colour).rgb();
            int left = (side - image.width()) / 2;
            int top = (side - image.height()) / 2;
            int stride = 3 * image.width();
            for (int y = 0; y < image.height(); y++) {
                System.arraycopy(image.rgb(), y * stride, square, 3 * ((top + y) * side + left), stride);
            }
            return new Image(side, side, square);
        }
    }

    private static final double[] HALF = {0.5, 0.5, 0.5};
    private static final double[] CLIP_MEAN = {0.48145466, 0.4578275, 0.40821073};
    private static final double[] CLIP_STD = {0.26862954, 0.26130258, 0.27577711};
    private static final double[] IMAGENET_MEAN = {0.485, 0.456, 0.406};
    private static final double[] IMAGENET_STD = {0.229, 0.224, 0.225};

    /** What the published processors do where their configuration is silent. */
    private enum Kind {
        VIT(Shape.EXACT, 224, 0, Filter.BILINEAR, HALF, HALF),
        DEIT(Shape.EXACT, 256, 224, Filter.BICUBIC, HALF, HALF),
        CLIP(Shape.SHORT_SIDE, 224, 224, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        BIT(Shape.SHORT_SIDE, 224, 224, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        LLAVA(Shape.SHORT_SIDE, 224, 224, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        MPLUGOWL(Shape.SHORT_SIDE, 224, 224, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        SIGLIP(Shape.EXACT, 224, 0, Filter.BICUBIC, HALF, HALF),
        BLIP(Shape.EXACT, 384, 0, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        SAM(Shape.LONG_SIDE, 1024, 0, Filter.BILINEAR, IMAGENET_MEAN, IMAGENET_STD),
        DEEPSEEKVL(Shape.EXACT, 384, 0, Filter.BICUBIC, CLIP_MEAN, CLIP_STD),
        DEEPSEEKVLHYBRID(Shape.EXACT, 384, 0, Filter.BICUBIC, CLIP_MEAN, CLIP_STD);

        /** What a bare number as size means. */
        enum Shape {
            EXACT,
            SHORT_SIDE,
            LONG_SIDE
        }

        final Shape shape;
        final int size;
        final int crop;
        final Filter filter;
        final double[] mean;
        final double[] std;

        Kind(Shape shape, int size, int crop, Filter filter, double[] mean, double[] std) {
            this.shape = shape;
            this.size = size;
            this.crop = crop;
            this.filter = filter;
            this.mean = mean;
            this.std = std;
        }

        static Kind of(JsonNode config) {
            String type = config.path("image_processor_type")
                    .asText(config.path("feature_extractor_type").asText(""));
            if (type.isEmpty()) {
                return config.has("crop_size") ? CLIP : VIT; // files from before the key existed
            }
            String name = type.replaceFirst("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "");
            for (Kind kind : values()) {
                if (kind.name().equalsIgnoreCase(name)) {
                    return kind;
                }
            }
            throw refused(
                    "image_processor_type",
                    type,
                    "ViT-, DeiT-, CLIP-, Bit-, Llava-, MplugOwl-, Siglip-, Blip-, Sam-, "
                            + "DeepseekVL- and DeepseekVLHybridImageProcessor");
        }
    }

    public ImageProcessor {
        steps = List.copyOf(steps);
        if (mean.length != 3 || std.length != 3) {
            throw new UserError("preprocessor_config.json: image_mean has " + mean.length + " and image_std "
                    + std.length + " numbers, expected 3 each");
        }
    }

    /**
     * The processor that a preprocessor_config.json describes; keys that it lacks take the published default of its type.
     *
     * @throws UserError if it asks for something that is not supported
     */
    public static ImageProcessor of(JsonNode config) {
        JsonNode c = config.path("image_processor").isObject() ? config.get("image_processor") : config;
        Kind kind = Kind.of(c);
        List<Step> steps = new ArrayList<>();
        if (kind == Kind.DEEPSEEKVLHYBRID) {
            steps.addAll(deepSeek(c, kind, "high_res_"));
        }
        if (kind == Kind.DEEPSEEKVL || kind == Kind.DEEPSEEKVLHYBRID) {
            steps.addAll(deepSeek(c, kind, ""));
        } else {
            steps.addAll(general(c, kind));
        }
        boolean pads = kind == Kind.SAM && c.path("do_pad").asBoolean(true);
        return of(c, kind, steps, "", pads ? size(c.path("pad_size"), "pad_size", kind.size) : null);
    }

    /** The processor of the high-resolution tower in a hybrid encoder's configuration. */
    public static ImageProcessor highResolution(JsonNode config) {
        Kind kind = Kind.of(config);
        if (kind != Kind.DEEPSEEKVLHYBRID) {
            throw new UserError("preprocessor_config.json: " + kind + " has no high-resolution tower");
        }
        return of(config, kind, deepSeek(config, kind, "high_res_"), "high_res_", null);
    }

    private static ImageProcessor of(JsonNode c, Kind kind, List<Step> steps, String prefix, @Nullable Size padTo) {
        double scale =
                c.path("do_rescale").asBoolean(true) ? c.path("rescale_factor").asDouble(1.0 / 255) : 1;
        boolean normalises = c.path("do_normalize").asBoolean(true);
        double[] mean = normalises ? numbers(c.path(prefix + "image_mean"), kind.mean) : new double[3];
        double[] std = normalises ? numbers(c.path(prefix + "image_std"), kind.std) : new double[] {1, 1, 1};
        return new ImageProcessor(steps, scale, mean, std, padTo);
    }

    private static List<Step> general(JsonNode c, Kind kind) {
        List<Step> steps = new ArrayList<>();
        if (kind == Kind.LLAVA && c.path("do_pad").asBoolean(false)) {
            steps.add(new PadToSquare(colour(numbers(c.path("image_mean"), kind.mean))));
        }
        Filter filter = filter(c.path("resample"), kind.filter);
        if (kind == Kind.MPLUGOWL) {
            // The original squashes to the crop's size before the CLIP processor, which then finds nothing left to do.
            steps.add(new Squash(size(c.path("crop_size"), "crop_size", kind.crop), filter));
        }
        if (c.path("do_resize").asBoolean(true)) {
            steps.add(resize(c.path("size"), kind, filter));
        }
        if (c.path("do_center_crop").asBoolean(kind.crop > 0)) {
            steps.add(new CenterCrop(size(c.path("crop_size"), "crop_size", kind.crop)));
        }
        return steps;
    }

    private static Step resize(JsonNode size, Kind kind, Filter filter) {
        boolean shortSide = size.has("shortest_edge");
        boolean longSide = size.has("longest_edge");
        if (size.has("height") && size.has("width") && !shortSide && !longSide) {
            return new Squash(size(size, "size", kind.size), filter);
        }
        if (size.isObject() && shortSide == longSide) {
            throw refused("size", size.toString(), "{height, width}, {shortest_edge} or {longest_edge}");
        }
        if (shortSide) {
            return new ShortSide(length(size.get("shortest_edge"), "shortest_edge"), filter);
        }
        if (longSide) {
            return new LongSide(length(size.get("longest_edge"), "longest_edge"), filter);
        }
        int length = size.isMissingNode() || size.isNull() ? kind.size : length(size, "size");
        return switch (kind.shape) {
            case EXACT -> new Squash(new Size(length, length), filter);
            case SHORT_SIDE -> new ShortSide(length, filter);
            case LONG_SIDE -> new LongSide(length, filter);
        };
    }

    private static List<Step> deepSeek(JsonNode c, Kind kind, String prefix) {
        if (!c.path("do_resize").asBoolean(true)) {
            return List.of();
        }
        Size size = size(c.path(prefix + "size"), prefix + "size", prefix.isEmpty() ? kind.size : 1024);
        if (size.height != size.width) {
            throw refused(prefix + "size", size.height + "x" + size.width, "squares");
        }
        List<Step> steps = new ArrayList<>();
        Filter filter = filter(c.path(prefix + "resample"), kind.filter);
        steps.add(new LongSideAtLeast(size.height, c.path("min_size").asInt(14), filter));
        if (c.path("do_pad").asBoolean(true)) {
            steps.add(new PadToSquare(colour(numbers(c.path(prefix + "image_mean"), kind.mean))));
        }
        return steps;
    }

    private static UserError refused(String key, String value, String supported) {
        return new UserError(
                "preprocessor_config.json: " + key + " " + value + " is not supported; supported are " + supported);
    }

    private static Filter filter(JsonNode resample, Filter otherwise) {
        return resample.isNumber() ? Filter.of(resample.asInt()) : otherwise;
    }

    private static int length(JsonNode length, String key) {
        if (!length.canConvertToInt() || length.asInt() < 1) {
            throw refused(key, length.toString(), "whole numbers from 1");
        }
        return length.asInt();
    }

    private static Size size(JsonNode size, String key, int otherwise) {
        if (size.isObject()) {
            return new Size(length(size.path("height"), key + ".height"), length(size.path("width"), key + ".width"));
        }
        int side = size.isMissingNode() || size.isNull() ? otherwise : length(size, key);
        return new Size(side, side);
    }

    private static double[] numbers(JsonNode numbers, double[] otherwise) {
        if (!numbers.isArray()) {
            return otherwise;
        }
        double[] values = new double[numbers.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = numbers.get(i).asDouble();
        }
        return values;
    }

    /** The colour that becomes nearly zero by the normalisation: each mean, cut to a level. */
    private static int colour(double[] mean) {
        return (int) (mean[0] * 255) << 16 | (int) (mean[1] * 255) << 8 | (int) (mean[2] * 255);
    }

    /**
     * This processor behind padding to a square in the mean's colour: how LLaVA's family feeds pictures whose edges matter.
     */
    public ImageProcessor paddedToSquare() {
        List<Step> padded = new ArrayList<>();
        padded.add(new PadToSquare(colour(mean)));
        padded.addAll(steps);
        return new ImageProcessor(padded, scale, mean, std, padTo);
    }

    /** What the model reads of a picture. */
    public Pixels process(Image image) {
        Image picture = image;
        for (Step step : steps) {
            picture = step.apply(picture);
        }
        int height = picture.height();
        int width = picture.width();
        if (padTo != null && (padTo.height < height || padTo.width < width)) {
            throw new UserError("preprocessor_config.json: pad_size " + padTo.height + "x" + padTo.width
                    + " is smaller than the resized picture, " + height + "x" + width);
        }
        int rows = padTo == null ? height : padTo.height;
        int columns = padTo == null ? width : padTo.width;
        float[] values = new float[Math.multiplyExact(3, Math.multiplyExact(rows, columns))];
        byte[] rgb = picture.rgb();
        for (int c = 0; c < 3; c++) {
            float[] levels = new float[256];
            for (int level = 0; level < 256; level++) {
                levels[level] = ((float) (level * scale) - (float) mean[c]) / (float) std[c];
            }
            for (int y = 0; y < height; y++) {
                int to = (c * rows + y) * columns;
                for (int from = 3 * y * width + c; from < 3 * (y + 1) * width; from += 3) {
                    values[to++] = levels[rgb[from] & 0xff];
                }
            }
        }
        return new Pixels(values, rows, columns, height, width);
    }
}
