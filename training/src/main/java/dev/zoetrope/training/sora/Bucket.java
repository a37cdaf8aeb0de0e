package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.world.World;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Clips of one length and size, so that they fit into one batch. A recipe mixes buckets by weight, with batches of about
 * equal work.
 *
 * @param frames T; 1 for pictures
 * @param canvas in pixels
 * @param weight share of the steps
 * @param batch clips a worker and step
 */
record Bucket(int frames, World.Canvas canvas, double weight, int batch) {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,4})x(\\d{1,4})");

    Bucket {
        Check.positive(frames, "frames");
        Check.positive(batch, "batch");
    }

    static Bucket of(Json j) {
        String size = j.get("size", "64x64");
        Matcher m = SIZE.matcher(size);
        if (!m.matches()) {
            throw new UserError(j.name() + ": size '" + size + "' is not WIDTHxHEIGHT, such as 64x64");
        }
        return new Bucket(
                j.requireInt("frames"),
                new World.Canvas(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2))),
                j.get("weight", 1.),
                j.requireInt("batch"));
    }
}
