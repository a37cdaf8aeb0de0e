package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.ImageProcessor.Pixels;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Between pictures of any size and the padded square that the image encoder reads: the long side is resized to the
 * square's, the rest on the right and below is zero.
 *
 * @param pictures what is done to pixels
 * @param side of the square in pixels
 */
public record SamProcessor(ImageProcessor pictures, int side) {
    /** What belongs to a checkpoint: its preprocessor_config.json, or the published way where it has none. */
    public static SamProcessor of(Path folderOrFile, SamConfig config) {
        int side = config.vision().imageSize();
        Path file = folderOrFile.resolve("preprocessor_config.json");
        Json json = Files.isRegularFile(file)
                ? Json.read(file)
                : Json.parse(
                        "SAM's processor",
                        "{\"image_processor_type\": \"SamImageProcessor\", \"size\": {\"longest_edge\": " + side
                                + "}, \"pad_size\": {\"height\": " + side + ", \"width\": " + side + "}}");
        return new SamProcessor(ImageProcessor.of(json), side);
    }

    /** The published way as a preprocessor_config.json has it, with this model's size. */
    public Map<String, Object> json() {
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("image_processor_type", "SamImageProcessor");
        r.put("size", Map.of("longest_edge", side));
        r.put("pad_size", Map.of("height", side, "width", side));
        r.put("image_mean", pictures.mean());
        r.put("image_std", pictures.std());
        return r;
    }

    /**
     * A picture ready for the encoder.
     *
     * @param pixels {@code [1, 3, side, side]}
     */
    public record Input(Tensor pixels, Frame frame) {}

    public Input process(Image picture) {
        Pixels p = pictures.process(picture);
        Check.equal(p.height(), side, "preprocessor_config.json: height of the padded picture", "image_size");
        Check.equal(p.width(), side, "preprocessor_config.json: width of the padded picture", "image_size");
        Frame frame = new Frame(picture.width(), picture.height(), p.contentWidth(), p.contentHeight(), side);
        return new Input(Tensor.of(p.values(), 1, 3, side, side), frame);
    }

    /**
     * How a picture lies in the square.
     *
     * @param width of the picture
     * @param height of the picture
     * @param resizedWidth of the picture in the square
     * @param resizedHeight of the picture in the square
     * @param side of the square
     */
    public record Frame(int width, int height, int resizedWidth, int resizedHeight, int side) {
        /** A column of the picture, or a fraction of one, in the square. */
        public double x(double column) {
            return column * resizedWidth / width;
        }

        public double y(double row) {
            return row * resizedHeight / height;
        }

        /**
         * Masks in the picture's size.
         *
         * @param masks logits as the decoder makes them, {@code [N, M, h, w]}
         * @return {@code [N, M, height, width]}
         */
        public Tensor masks(Tensor masks) {
            try (Scope s = Scope.open()) {
                Tensor square = Functional.interpolate(masks, side, side, Interpolation.BILINEAR, false, false)
                        .narrow(2, 0, resizedHeight)
                        .narrow(3, 0, resizedWidth);
                return s.keep(Functional.interpolate(square, height, width, Interpolation.BILINEAR, false, false));
            }
        }

        /**
         * A mask in the picture's size as a prompt: what {@link #masks} would have come from.
         *
         * @param logits {@code [1, 1, height, width]}
         * @return {@code [1, 1, length, length]}
         */
        public Tensor prompt(Tensor logits, int length) {
            try (Scope s = Scope.open()) {
                Tensor resized = Functional.interpolate(
                        logits, resizedHeight, resizedWidth, Interpolation.BILINEAR, false, false);
                double outside = logits.min().item();
                Tensor square =
                        Functional.pad(resized, outside, 0, (long) side - resizedWidth, 0, (long) side - resizedHeight);
                return s.keep(Functional.interpolate(square, length, length, Interpolation.BILINEAR, false, true));
            }
        }
    }
}
