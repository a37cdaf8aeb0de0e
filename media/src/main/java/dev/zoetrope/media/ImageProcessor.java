package dev.zoetrope.media;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
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
@SuppressWarnings("ArrayRecordComponent")
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
    @SuppressWarnings("ArrayRecordComponent")
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

    /**
     * To a square by stripes of one colour on both sides, an odd row or column of it behind.
     *
     * @param colour 0xRRGGBB
     */
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
    @SuppressWarnings("ImmutableEnumChecker") // nobody writes to its arrays
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

        static Kind of(Json config) {
            String key = config.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
            if (!config.has(key)) {
                return config.has("crop_size") ? CLIP : VIT; // files from before the key existed
            }
            String name = config.require(key).replaceFirst("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "");
            for (Kind kind : values()) {
                if (kind.name().equalsIgnoreCase(name)) {
                    return kind;
                }
            }
            throw config.unsupported(
                    key,
                    "ViT-, DeiT-, CLIP-, Bit-, Llava-, MplugOwl-, Siglip-, Blip-, Sam-, DeepseekVL- and"
                            + " DeepseekVLHybridImageProcessor");
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
    public static ImageProcessor of(Json config) {
        Json c = config.isObject("image_processor") ? config.at("image_processor") : config;
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
        boolean pads = kind == Kind.SAM && c.get("do_pad", true);
        return of(c, kind, steps, "", pads ? size(c, "pad_size", kind.size) : null);
    }

    /**
     * The processor of a checkpoint's folder.
     *
     * @throws UserError if the folder has no preprocessor_config.json, or it asks for something that is not supported
     */
    public static ImageProcessor open(Path folder) {
        Path file = folder.resolve("preprocessor_config.json");
        if (!Files.isRegularFile(file)) {
            throw new UserError(
                    folder + ": no preprocessor_config.json, which says how pictures are resized and normalised;"
                            + " take the one of the model that this one was made from");
        }
        return of(Json.read(file));
    }

    /**
     * To a square whatever the aspect ratio, with CLIP's mean and deviation: what the code of a release does that has no
     * preprocessor_config.json.
     */
    public static ImageProcessor clipSquare(int side) {
        return new ImageProcessor(
                List.of(new Squash(new Size(side, side), Filter.BICUBIC)), 1.0 / 255, CLIP_MEAN, CLIP_STD, null);
    }

    /** The processor of the high-resolution tower in a hybrid encoder's configuration. */
    public static ImageProcessor highResolution(Json config) {
        Kind kind = Kind.of(config);
        if (kind != Kind.DEEPSEEKVLHYBRID) {
            throw config.unsupported("image_processor_type", "for two resolutions only DeepseekVLHybridImageProcessor");
        }
        return of(config, kind, deepSeek(config, kind, "high_res_"), "high_res_", null);
    }

    private static ImageProcessor of(Json c, Kind kind, List<Step> steps, String prefix, @Nullable Size padTo) {
        double scale = c.get("do_rescale", true) ? c.get("rescale_factor", 1.0 / 255) : 1;
        boolean normalises = c.get("do_normalize", true);
        double[] mean = normalises ? c.get(prefix + "image_mean", kind.mean) : new double[3];
        double[] std = normalises ? c.get(prefix + "image_std", kind.std) : new double[] {1, 1, 1};
        return new ImageProcessor(steps, scale, mean, std, padTo);
    }

    private static List<Step> general(Json c, Kind kind) {
        List<Step> steps = new ArrayList<>();
        if (kind == Kind.LLAVA && c.get("do_pad", false)) {
            steps.add(new PadToSquare(colour(c.get("image_mean", kind.mean))));
        }
        Filter filter = filter(c, "resample", kind.filter);
        if (kind == Kind.MPLUGOWL) {
            // The original squashes to the crop's size before the CLIP processor, which then finds nothing left to do.
            steps.add(new Squash(size(c, "crop_size", kind.crop), filter));
        }
        if (c.get("do_resize", true)) {
            steps.add(resize(c, kind, filter));
        }
        if (c.get("do_center_crop", kind.crop > 0)) {
            steps.add(new CenterCrop(size(c, "crop_size", kind.crop)));
        }
        return steps;
    }

    private static Step resize(Json c, Kind kind, Filter filter) {
        if (!c.isObject("size")) {
            int length = length(c, "size", kind.size);
            return switch (kind.shape) {
                case EXACT -> new Squash(new Size(length, length), filter);
                case SHORT_SIDE -> new ShortSide(length, filter);
                case LONG_SIDE -> new LongSide(length, filter);
            };
        }
        Json size = c.at("size");
        boolean shortSide = size.has("shortest_edge");
        boolean longSide = size.has("longest_edge");
        if (size.has("height") && size.has("width") && !shortSide && !longSide) {
            return new Squash(size(c, "size", kind.size), filter);
        }
        if (shortSide == longSide) {
            throw c.unsupported("size", "{height, width}, {shortest_edge} or {longest_edge}");
        }
        return shortSide
                ? new ShortSide(length(size, "shortest_edge", kind.size), filter)
                : new LongSide(length(size, "longest_edge", kind.size), filter);
    }

    private static List<Step> deepSeek(Json c, Kind kind, String prefix) {
        if (!c.get("do_resize", true)) {
            return List.of();
        }
        Size size = size(c, prefix + "size", prefix.isEmpty() ? kind.size : 1024);
        Check.equal(size.height, size.width, prefix + "size.height", prefix + "size.width");
        List<Step> steps = new ArrayList<>();
        Filter filter = filter(c, prefix + "resample", kind.filter);
        steps.add(new LongSideAtLeast(size.height, c.get("min_size", 14), filter));
        if (c.get("do_pad", true)) {
            steps.add(new PadToSquare(colour(c.get(prefix + "image_mean", kind.mean))));
        }
        return steps;
    }

    private static Filter filter(Json c, String key, Filter absent) {
        int resample = c.get(key, absent.resample());
        for (Filter filter : Filter.values()) {
            if (filter.resample() == resample) {
                return filter;
            }
        }
        throw c.unsupported(key, "0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming");
    }

    private static int length(Json c, String key, int absent) {
        int length = c.get(key, absent);
        Check.positive(length, c.name() + ": " + key);
        return length;
    }

    /** A size that is written as {height, width} or as the side of a square. */
    private static Size size(Json c, String key, int absent) {
        if (c.isObject(key)) {
            Json size = c.at(key);
            return new Size(length(size, "height", absent), length(size, "width", absent));
        }
        int side = length(c, key, absent);
        return new Size(side, side);
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

    /** Pictures of one processed size as a model reads them, {@code [B, 3, height, width]}. */
    public Tensor batch(List<Image> images) {
        float[] all = new float[0];
        int height = 0;
        int width = 0;
        for (int i = 0; i < images.size(); i++) {
            Pixels p = process(images.get(i));
            if (i == 0) {
                height = p.height;
                width = p.width;
                all = new float[Math.multiplyExact(images.size(), p.values.length)];
            } else if (p.height != height || p.width != width) {
                throw new UserError("preprocessor_config.json: pictures come out " + height + "x" + width + " and "
                        + p.height + "x" + p.width
                        + ": without a crop or a fixed size, only pictures of one shape can go"
                        + " through a model together");
            }
            System.arraycopy(p.values, 0, all, i * p.values.length, p.values.length);
        }
        return Tensor.of(all, images.size(), 3, height, width);
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
