package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Scenes that become one video.
 *
 * <pre>{@code
 * scenes:
 *   - prompt: a car driving to the left on a green background
 *     seconds: 2
 *   - prompt: a fox bouncing on a blue background
 *     seconds: 3
 *     transition: fade
 * }</pre>
 */
public record Storyboard(List<Scene> scenes) {
    /** How a scene follows the one before. */
    public enum Transition {
        CUT,
        /** Half a second of both. */
        FADE,
        /** The scene goes on from the last frames of the one before. */
        FLOW
    }

    public record Scene(String prompt, double seconds, Transition transition) {}

    private static final double LONGEST = 3600;
    /** Frames that the next scene sees. */
    private static final int SEEN = 8;

    public Storyboard {
        if (scenes.isEmpty()) {
            throw new UserError("a storyboard needs at least one scene");
        }
        scenes = List.copyOf(scenes);
    }

    public static Storyboard of(Json json) {
        List<Scene> scenes = new ArrayList<>();
        for (Json scene : json.list("scenes")) {
            double seconds = scene.get("seconds", 2.0);
            if (!(seconds > 0 && seconds <= LONGEST)) {
                throw new UserError(scene.name() + ": seconds " + seconds + " is not above 0 and up to " + LONGEST);
            }
            scenes.add(new Scene(scene.require("prompt"), seconds, scene.get("transition", Transition.CUT)));
        }
        if (scenes.isEmpty()) {
            throw new UserError(json.name() + ": no scenes; expected a list of prompt, seconds and transition");
        }
        return new Storyboard(scenes);
    }

    /** What is said of the whole, as files carry it. */
    public String prompt() {
        return String.join(" | ", scenes.stream().map(Scene::prompt).toList());
    }

    /** The same scenes with their prompts said otherwise. */
    public Storyboard withPrompts(UnaryOperator<String> words) {
        return new Storyboard(scenes.stream()
                .map(s -> new Scene(words.apply(s.prompt()), s.seconds(), s.transition()))
                .toList());
    }

    /** The request for a scene. */
    private static TextToVideo.Request with(TextToVideo.Request base, Scene scene, int number, TextToVideo model) {
        return model.fitted(base.withPrompt(scene.prompt())
                .withFrames((int) Math.max(1, Math.round(scene.seconds() * base.fps())))
                .withSeed(base.seed() + number));
    }

    /**
     * Makes the video.
     *
     * @param base size, rate, steps, guidance, and the seed of the first scene; those after it have the next ones
     * @param progress told after each step, of the scene at hand
     * @param frames told of each frame in turn
     * @return seconds of a step
     */
    public double make(TextToVideo model, TextToVideo.Request base, Progress progress, Consumer<Image> frames) {
        int fade = (int) Math.max(1, Math.round(base.fps() / 2));
        Deque<Image> last = new ArrayDeque<>(); // of the scene before, not handed on yet
        double seconds = 0;
        for (int i = 0; i < scenes.size(); i++) {
            Scene scene = scenes.get(i);
            TextToVideo.Request r = with(base, scene, i, model);
            if (i > 0 && scene.transition() == Transition.FLOW) {
                r = r.withStart(new Start.After(new Clip(List.copyOf(last), base.fps())));
            }
            int mixed = i > 0 && scene.transition() == Transition.FADE ? Math.min(fade, last.size()) : 0;
            while (last.size() > mixed) {
                frames.accept(last.removeFirst());
            }
            int[] at = {0};
            seconds = model.generate(r, progress, frame -> {
                if (at[0] < mixed) {
                    frames.accept(mix(last.removeFirst(), frame, (at[0] + 1.0) / (mixed + 1)));
                } else {
                    last.addLast(frame);
                    if (last.size() > SEEN) {
                        frames.accept(last.removeFirst());
                    }
                }
                at[0]++;
            });
        }
        last.forEach(frames);
        return seconds;
    }

    private static Image mix(Image a, Image b, double share) {
        byte[] rgb = new byte[a.rgb().length];
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = (byte) Math.round((a.rgb()[i] & 255) * (1 - share) + (b.rgb()[i] & 255) * share);
        }
        return new Image(a.width(), a.height(), rgb);
    }
}
