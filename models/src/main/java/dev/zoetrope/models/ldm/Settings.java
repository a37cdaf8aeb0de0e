package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.UserError;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is wanted of a text-guided pipeline.
 *
 * @param negative what to keep away from; null for nothing, which SDXL tells from an empty text
 * @param count pictures of the same prompt in one batch
 * @param width in pixels; 0 for the size trained on
 * @param height in pixels; 0 for the size trained on
 * @param guidance how much the prompt counts; up to 1 there is no guidance
 * @param rescale how much of the guided prediction is brought back to the spread of the unguided, arXiv:2305.08891
 * @param clipSkip last layers of the text encoder that are left out
 * @param eta how much fresh noise DDIM adds
 * @param boxes where phrases shall be seen, of networks that take boxes
 * @param boxShare share of the steps, from the first, in which boxes steer
 * @param framing of SDXL; null for a picture of exactly this size
 * @param tiled whether pictures larger than those trained on go through the autoencoder in tiles
 * @param deepEvery steps from one computation of the deep levels of the network to the next; 1 for all
 */
public record Settings(
        String prompt,
        @Nullable String negative,
        int count,
        int width,
        int height,
        int steps,
        double guidance,
        double rescale,
        int clipSkip,
        double eta,
        List<Box> boxes,
        double boxShare,
        @Nullable Framing framing,
        boolean tiled,
        int deepEvery) {
    /** As which part of which picture SDXL was shown such pictures in training. */
    public record Framing(int originalHeight, int originalWidth, int top, int left) {}

    public Settings {
        Check.positive(count, "count");
        Check.positive(steps, "steps");
        Check.positive(deepEvery, "cache_steps");
        Check.between(0, 1, rescale, "guidance_rescale");
        Check.between(0, 1, boxShare, "scheduled_sampling_beta");
        if (width < 0 || height < 0) {
            throw new UserError("a picture cannot be " + width + " x " + height);
        }
        if (clipSkip < 0) {
            throw new UserError("clip_skip " + clipSkip + " is negative");
        }
        boxes = List.copyOf(boxes);
    }

    /** One picture of the size trained on, 50 steps, guidance 7.5. */
    public static Settings of(String prompt) {
        return new Settings(prompt, null, 1, 0, 0, 50, 7.5, 0, 0, 0, List.of(), 0.3, null, false, 1);
    }

    public Settings withNegative(@Nullable String value) {
        return new Settings(
                prompt, value, count, width, height, steps, guidance, rescale, clipSkip, eta, boxes, boxShare, framing,
                tiled, deepEvery);
    }

    public Settings withCount(int value) {
        return new Settings(
                prompt, negative, value, width, height, steps, guidance, rescale, clipSkip, eta, boxes, boxShare,
                framing, tiled, deepEvery);
    }

    public Settings withSize(int newWidth, int newHeight) {
        return new Settings(
                prompt, negative, count, newWidth, newHeight, steps, guidance, rescale, clipSkip, eta, boxes, boxShare,
                framing, tiled, deepEvery);
    }

    public Settings withSteps(int value) {
        return new Settings(
                prompt, negative, count, width, height, value, guidance, rescale, clipSkip, eta, boxes, boxShare,
                framing, tiled, deepEvery);
    }

    public Settings withGuidance(double value, double newRescale) {
        return new Settings(
                prompt,
                negative,
                count,
                width,
                height,
                steps,
                value,
                newRescale,
                clipSkip,
                eta,
                boxes,
                boxShare,
                framing,
                tiled,
                deepEvery);
    }

    public Settings withClipSkip(int value) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, value, eta, boxes, boxShare, framing,
                tiled, deepEvery);
    }

    public Settings withEta(double value) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, clipSkip, value, boxes, boxShare,
                framing, tiled, deepEvery);
    }

    public Settings withBoxes(List<Box> value, double share) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, clipSkip, eta, value, share, framing,
                tiled, deepEvery);
    }

    public Settings withFraming(@Nullable Framing value) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, clipSkip, eta, boxes, boxShare, value,
                tiled, deepEvery);
    }

    public Settings withTiles(boolean value) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, clipSkip, eta, boxes, boxShare,
                framing, value, deepEvery);
    }

    public Settings withDeepEvery(int value) {
        return new Settings(
                prompt, negative, count, width, height, steps, guidance, rescale, clipSkip, eta, boxes, boxShare,
                framing, tiled, value);
    }
}
