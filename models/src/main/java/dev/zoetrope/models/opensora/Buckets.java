package dev.zoetrope.models.opensora;

import dev.zoetrope.checkpoint.Json;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleSupplier;

/**
 * Into which of few sizes a video is brought for training, so that a batch is of one size: a resolution, a length and an
 * aspect ratio.
 *
 * @param resolutions from most to least pixels
 */
public record Buckets(List<Resolution> resolutions) {
    /** A video must have this share of a resolution's pixels to be enlarged to it. */
    private static final double ENOUGH = 0.8;

    /**
     * @param lengths longest first
     * @param sizes from aspect ratio (height to width, as tables write it) to height and width
     */
    public record Resolution(String name, int pixels, List<Length> lengths, Map<String, Size> sizes) {}

    /**
     * @param frames 1 for pictures
     * @param probability with which a video that fits is taken
     * @param batch videos of this length in a batch
     */
    public record Length(int frames, double probability, int batch) {}

    public record Size(int height, int width) {}

    public record Bucket(String resolution, int frames, String ratio, int batch, Size size) {}

    /**
     * @param config resolution, to frames, to probability and batch size
     * @param tables resolution, to pixels and sizes by aspect ratio
     */
    public static Buckets of(Json config, Json tables) {
        List<Resolution> r = new ArrayList<>();
        for (String name : config.keys()) {
            Json table = tables.requireAt(name);
            List<Length> lengths = new ArrayList<>();
            for (String frames : config.at(name).keys()) {
                double[] p = config.at(name).get(frames, new double[0]);
                lengths.add(new Length(Integer.parseInt(frames), p[0], (int) p[1]));
            }
            lengths.sort(Comparator.comparingInt(Length::frames).reversed());
            Map<String, Size> sizes = new LinkedHashMap<>();
            for (String ratio : table.at("sizes").keys()) {
                int[] size = table.at("sizes").get(ratio, new int[2]);
                sizes.put(ratio, new Size(size[0], size[1]));
            }
            r.add(new Resolution(name, table.requireInt("pixels"), List.copyOf(lengths), sizes));
        }
        r.sort(Comparator.comparingInt(Resolution::pixels).reversed());
        return new Buckets(List.copyOf(r));
    }

    /**
     * The bucket of a video; none where it is too small or too short.
     *
     * @param random uniform in 0..1, asked where a probability is below 1
     */
    public Optional<Bucket> find(int frames, int height, int width, DoubleSupplier random) {
        for (Resolution r : resolutions) {
            if ((long) height * width < r.pixels * ENOUGH) {
                continue;
            }
            // A video takes a length shorter than its own, a picture only that of pictures.
            Optional<Length> length = r.lengths.stream()
                    .filter(l -> frames == 1 ? l.frames == 1 : l.frames != 1 && frames > l.frames)
                    .findFirst();
            if (length.isPresent()
                    && (length.get().probability >= 1 || random.getAsDouble() < length.get().probability)) {
                String ratio = nearest(r, (double) height / width);
                return Optional.of(
                        new Bucket(r.name, length.get().frames, ratio, length.get().batch, r.sizes.get(ratio)));
            }
        }
        return Optional.empty();
    }

    private static String nearest(Resolution r, double ratio) {
        return r.sizes.keySet().stream()
                .min(Comparator.comparingDouble(k -> Math.abs(Double.parseDouble(k) - ratio)))
                .orElseThrow();
    }
}
