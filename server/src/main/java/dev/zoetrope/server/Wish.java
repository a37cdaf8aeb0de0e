package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tasks.TextToVideo;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A clip or picture that is asked for. What is 0 or null is left to the model.
 *
 * @param seconds of a clip; {@code frames} goes before
 * @param guidance how much the prompt counts; negative for the model's own
 * @param strength how much of a given picture goes when it is edited
 */
record Wish(
        String prompt,
        String negative,
        int width,
        int height,
        int frames,
        double seconds,
        double fps,
        int steps,
        double guidance,
        long seed,
        double strength) {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,5})x(\\d{1,5})");
    private static final double STRENGTH = 0.6;
    private static final int MOST_STEPS = 250;

    /** The extra fields beside OpenAI's: seed, steps, guidance_scale, negative_prompt, fps, frames, strength. */
    static Wish of(Json body, Limits limits) {
        int[] size = size(body.get("size", "auto"));
        int frames = body.get("frames", 0);
        double seconds = seconds(body);
        int steps = body.get("steps", 0);
        if (frames < 0 || frames > limits.frames()) {
            throw ApiError.bad("frames " + frames + " is not between 1 and " + limits.frames(), "frames");
        }
        if (!(seconds >= 0 && seconds <= 3600)) {
            throw ApiError.bad("seconds " + seconds + " is not above 0", "seconds");
        }
        double fps = body.get("fps", 0.0);
        if (!(fps >= 0 && fps <= 120)) {
            throw ApiError.bad("fps " + fps + " is not above 0 and up to 120", "fps");
        }
        if (steps < 0 || steps > MOST_STEPS) {
            throw ApiError.bad("steps " + steps + " is not between 1 and " + MOST_STEPS, "steps");
        }
        if (!body.has("prompt")) {
            throw ApiError.bad("prompt is missing", "prompt");
        }
        return new Wish(
                body.require("prompt"),
                body.get("negative_prompt", ""),
                size[0],
                size[1],
                frames,
                seconds,
                fps,
                steps,
                body.get("guidance_scale", -1.0),
                body.has("seed")
                        ? body.get("seed", 0L)
                        : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE),
                body.get("strength", STRENGTH));
    }

    private static int[] size(String text) {
        if (text.equals("auto")) {
            return new int[2];
        }
        Matcher m = SIZE.matcher(text);
        if (!m.matches()) {
            throw ApiError.bad("size '" + text + "' is not WIDTHxHEIGHT, such as 64x64", "size");
        }
        return new int[] {Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2))};
    }

    /** OpenAI has it as a text. */
    private static double seconds(Json body) {
        if (body.value("seconds") instanceof String text) {
            try {
                return Double.parseDouble(text);
            } catch (NumberFormatException e) {
                throw ApiError.bad("seconds '" + text + "' is not a number", "seconds");
            }
        }
        return body.get("seconds", 0.0);
    }

    /** Of a job. */
    static Wish ofJson(String json) {
        return of(Json.parse("the job's settings", json), Limits.standard().withFrames(Integer.MAX_VALUE));
    }

    /** The same with everything said that the model would fill in. */
    Wish filled(TextToVideo.Request r) {
        return new Wish(
                prompt,
                negative,
                r.width(),
                r.height(),
                r.frames(),
                0,
                r.fps(),
                r.steps(),
                r.guidanceScale(),
                r.seed(),
                strength);
    }

    /** The same with everything said that the model would fill in. */
    Wish filled(ImageRequest r) {
        Settings s = r.settings();
        return new Wish(prompt, negative, s.width(), s.height(), 1, 0, 0, s.steps(), s.guidance(), r.seed(), strength);
    }

    /** As {@link #of} reads it. */
    Map<String, Object> json() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("prompt", prompt);
        if (!negative.isEmpty()) {
            m.put("negative_prompt", negative);
        }
        if (width > 0) {
            m.put("size", width + "x" + height);
        }
        m.put("frames", frames);
        if (fps > 0) {
            m.put("fps", fps);
        }
        m.put("steps", steps);
        m.put("guidance_scale", guidance);
        m.put("seed", seed);
        m.put("strength", strength);
        return m;
    }

    Wish withSeed(long value) {
        return new Wish(prompt, negative, width, height, frames, seconds, fps, steps, guidance, value, strength);
    }

    Wish withFrames(int value) {
        return new Wish(prompt, negative, width, height, value, 0, fps, steps, guidance, seed, strength);
    }

    /**
     * For a video model.
     *
     * @param first the first frame; null for none
     * @throws dev.zoetrope.tensor.UserError for what the model cannot make
     */
    TextToVideo.Request request(TextToVideo model, @Nullable Image first, Limits limits) {
        Start start = first == null ? Start.NOTHING : new Start.FirstFrame(first);
        return request(model, start, first != null, limits);
    }

    /** A picture made anew by a video model. */
    TextToVideo.Request edit(TextToVideo model, Image picture, Limits limits) {
        return withFrames(1).request(model, new Start.Edit(new Clip(List.of(picture), 1), strength), true, limits);
    }

    private TextToVideo.Request request(TextToVideo model, Start start, boolean fit, Limits limits) {
        TextToVideo.Request r = model.request(prompt).withNegative(negative).withSeed(seed);
        if (width > 0) {
            r = r.withSize(width, height);
        }
        if (fps > 0) {
            r = r.withFps(fps);
        }
        if (frames > 0) {
            r = r.withFrames(frames);
        } else if (seconds > 0) {
            r = r.withFrames((int) Math.max(1, Math.round(seconds * r.fps())));
        }
        if (steps > 0) {
            r = r.withSteps(steps);
        }
        if (guidance >= 0) {
            r = r.withGuidanceScale(guidance);
        }
        r = r.withStart(start);
        if (fit && width == 0) {
            r = model.fitted(r);
        }
        if (r.frames() > limits.frames()) {
            throw ApiError.bad(
                    "that are " + r.frames() + " frames; this server makes clips of up to " + limits.frames(),
                    "seconds");
        }
        model.check(r);
        return r;
    }

    /** For a model of pictures. */
    ImageRequest request(TextToImage model, boolean likePicture) {
        ImageRequest r = likePicture ? model.forPictures().defaults(prompt) : model.defaults(prompt);
        Settings s = r.settings();
        if (!negative.isEmpty()) {
            s = s.withNegative(negative);
        }
        if (width > 0) {
            s = s.withSize(width, height);
        }
        if (steps > 0) {
            s = s.withSteps(steps);
        }
        if (guidance >= 0) {
            s = s.withGuidance(guidance, s.rescale());
        }
        return r.with(s).withSeed(seed);
    }
}
