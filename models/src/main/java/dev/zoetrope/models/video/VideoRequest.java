package dev.zoetrope.models.video;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A video that a pipeline shall make.
 *
 * @param negative what to keep away from; empty for nothing
 * @param frames of the video
 * @param height in pixels
 * @param width in pixels
 * @param steps of the scheduler
 * @param guidanceScale how much the prompt counts; up to 1 switches guidance off
 * @param dynamicGuidance whether guidance grows along the way, as CogVideoX offers it
 * @param textLength tokens that the prompt is cut or filled up to
 * @param image the first frame, of any size; null for none
 * @param video one to start from instead of noise, {@code [3, T, H, W]} in -1..1; null for none
 * @param strength how much of that video is made anew, above 0 to 1
 */
public record VideoRequest(
        String prompt,
        String negative,
        int frames,
        int height,
        int width,
        int steps,
        double guidanceScale,
        boolean dynamicGuidance,
        int textLength,
        @Nullable Image image,
        @Nullable Tensor video,
        double strength) {
    public VideoRequest {
        Check.positive(frames, "frames");
        Check.positive(height, "height");
        Check.positive(width, "width");
        Check.positive(steps, "steps");
        Check.positive(textLength, "the length of the text");
        Check.between(Double.MIN_VALUE, 1, strength, "strength");
        if (video != null) {
            Check.shape(video.shape(), "the video to start from", 3, frames, height, width);
        }
    }

    /** From a prompt alone, with what the pipeline proposes for the rest. */
    public static VideoRequest of(String prompt, Defaults d) {
        return new VideoRequest(
                prompt,
                "",
                d.frames(),
                d.height(),
                d.width(),
                d.steps(),
                d.guidanceScale(),
                false,
                d.textLength(),
                null,
                null,
                1);
    }

    /** What a pipeline was trained for and how it is used by default. */
    public record Defaults(
            int frames, int height, int width, double fps, int steps, double guidanceScale, int textLength) {}

    public VideoRequest withNegative(String value) {
        return new VideoRequest(
                prompt,
                value,
                frames,
                height,
                width,
                steps,
                guidanceScale,
                dynamicGuidance,
                textLength,
                image,
                video,
                strength);
    }

    /** Without the first frame and the video to start from, which have a size of their own. */
    public VideoRequest withSize(int newFrames, int newHeight, int newWidth) {
        return new VideoRequest(
                prompt,
                negative,
                newFrames,
                newHeight,
                newWidth,
                steps,
                guidanceScale,
                dynamicGuidance,
                textLength,
                null,
                null,
                1);
    }

    public VideoRequest withSteps(int value) {
        return new VideoRequest(
                prompt,
                negative,
                frames,
                height,
                width,
                value,
                guidanceScale,
                dynamicGuidance,
                textLength,
                image,
                video,
                strength);
    }

    public VideoRequest withGuidance(double scale, boolean dynamic) {
        return new VideoRequest(
                prompt, negative, frames, height, width, steps, scale, dynamic, textLength, image, video, strength);
    }

    public VideoRequest withTextLength(int value) {
        return new VideoRequest(
                prompt,
                negative,
                frames,
                height,
                width,
                steps,
                guidanceScale,
                dynamicGuidance,
                value,
                image,
                video,
                strength);
    }

    public VideoRequest withImage(Image first) {
        return new VideoRequest(
                prompt,
                negative,
                frames,
                height,
                width,
                steps,
                guidanceScale,
                dynamicGuidance,
                textLength,
                first,
                video,
                strength);
    }

    public VideoRequest withVideo(Tensor start, double newStrength) {
        return new VideoRequest(
                prompt,
                negative,
                frames,
                height,
                width,
                steps,
                guidanceScale,
                dynamicGuidance,
                textLength,
                image,
                start,
                newStrength);
    }

    /** Calls at the start of the schedule that a video to start from saves. */
    public int skipped() {
        return video == null ? 0 : Math.max(steps - (int) (steps * strength), 0);
    }

    public boolean guided() {
        return guidanceScale > 1;
    }
}
