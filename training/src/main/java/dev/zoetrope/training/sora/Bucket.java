package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.World;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Clips of one length and size, so that they fit into one batch. A recipe mixes buckets by weight, with batches of about
 * equal work.
 *
 * @param frames T; 1 for pictures
 * @param canvas in pixels
 * @param weight share of the steps
 * @param batch clips a worker and step
 * @param motions that its clips show: a bucket of the motions that are learnt last gives them more of the steps
 */
public record Bucket(int frames, World.Canvas canvas, double weight, int batch, Set<Motion> motions) {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,4})x(\\d{1,4})");

    public Bucket {
        Check.positive(frames, "frames");
        Check.positive(batch, "batch");
    }

    public static Bucket of(Json j) {
        String size = j.get("size", "64x64");
        Matcher m = SIZE.matcher(size);
        if (!m.matches()) {
            throw new UserError(j.name() + ": size '" + size + "' is not WIDTHxHEIGHT, such as 64x64");
        }
        return new Bucket(
                j.requireInt("frames"),
                new World.Canvas(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2))),
                j.get("weight", 1.),
                j.requireInt("batch"),
                motions(j));
    }

    private static Set<Motion> motions(Json j) {
        List<String> names = j.get("motions", List.of());
        if (names.isEmpty()) {
            return EnumSet.allOf(Motion.class);
        }
        Set<Motion> r = EnumSet.noneOf(Motion.class);
        for (String name : names) {
            r.add(Stream.of(Motion.values())
                    .filter(m -> m.name().equalsIgnoreCase(name))
                    .findFirst()
                    .orElseThrow(() -> new UserError(j.name() + ": there is no motion '" + name + "', there are "
                            + Arrays.toString(Motion.values()).toLowerCase(Locale.ROOT))));
        }
        return r;
    }
}
