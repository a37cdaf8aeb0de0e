package dev.zoetrope.world;

import dev.zoetrope.media.Audio;
import java.util.ArrayList;
import java.util.List;

/**
 * How a scene sounds: every object is a tone whose timbre is its group's, whose pitch rises with its height on the screen
 * over two octaves from 220 Hz, and which is louder the bigger it is. Spinning is a tremolo, swaying a vibrato, each landing
 * of a bounce a click; an object that goes left or right pulses, more and more slowly to the left, faster to the right.
 */
public final class Sound {
    /** Samples a second. */
    public static final int RATE = 16_000;

    private static final int TABLE = 4096;
    private static final float[] SINE = new float[TABLE + 1];

    static {
        for (int i = 0; i <= TABLE; i++) {
            SINE[i] = (float) StrictMath.sin(2 * Math.PI * i / TABLE);
        }
    }

    private static final double LOWEST = 220;
    private static final double OCTAVES = 2;
    private static final double TURNS = 1; // tremolo, a second
    private static final double TREMOLO = .35;
    private static final double VIBRATO_RATE = 5;
    private static final double VIBRATO_SEMITONES = .5;
    private static final double SLOW_PULSE = 3;
    private static final double FAST_PULSE = 9;
    private static final double CLICK_SECONDS = .012;
    private static final long CLICK_NOISE = 3_000_000;

    private Sound() {}

    static Audio of(Scene scene) {
        float[] mix = new float[samples(scene)];
        for (int i = 0; i < scene.sprites().size(); i++) {
            add(scene, i, mix);
        }
        return Audio.mono(mix, RATE);
    }

    private static int samples(Scene scene) {
        return (int) Math.round(scene.frames() / scene.fps() * RATE);
    }

    /** The tone's frequency in Hz at a time, vibrato left out. */
    public static double pitch(Scene scene, Scene.Sprite sprite, double seconds) {
        return pitchAt(at(scene, sprite, seconds).y() / scene.height());
    }

    /** The frequency in Hz that belongs to a height on the screen, 0 at the top to 1. */
    public static double pitchAt(double height) {
        return LOWEST * StrictMath.pow(2, OCTAVES * (1 - height));
    }

    /** When something starts, in seconds: each landing of a bounce, each pulse of a move to the side. */
    public static List<Double> onsets(Scene scene, Scene.Sprite sprite) {
        double seconds = scene.frames() / scene.fps();
        List<Double> onsets = new ArrayList<>();
        if (scene.frames() > 1 && sprite.motion() == Motion.BOUNCE) {
            onsets.add(.5 * (scene.frames() - 1) / scene.fps());
            onsets.add((scene.frames() - 1) / scene.fps());
        } else if (sprite.motion() == Motion.LEFT || sprite.motion() == Motion.RIGHT) {
            double pulses = seconds * (SLOW_PULSE + FAST_PULSE) / 2;
            for (int n = 0; n < pulses; n++) {
                onsets.add(pulseAt(n, seconds, sprite.motion() == Motion.RIGHT));
            }
        }
        return onsets;
    }

    /** When the n-th pulse starts, the rate going evenly from one end to the other over the clip. */
    private static double pulseAt(int n, double seconds, boolean faster) {
        double from = faster ? SLOW_PULSE : FAST_PULSE;
        double slope = (faster ? 1 : -1) * (FAST_PULSE - SLOW_PULSE) / seconds;
        return (Math.sqrt(from * from + 2 * slope * n) - from) / slope;
    }

    /** The pose between frames; after the last one it stays. */
    private static Pose at(Scene scene, Scene.Sprite sprite, double seconds) {
        double frame = Math.min(seconds * scene.fps(), scene.frames() - 1);
        int k = (int) Math.min(frame, Math.max(0, scene.frames() - 2));
        Pose a = sprite.track().get(k);
        Pose b = sprite.track().get(Math.min(k + 1, scene.frames() - 1));
        float f = (float) (frame - k);
        return new Pose(
                a.x() + (b.x() - a.x()) * f,
                a.y() + (b.y() - a.y()) * f,
                a.size() + (b.size() - a.size()) * f,
                a.angle() + (b.angle() - a.angle()) * f);
    }

    private static void add(Scene scene, int index, float[] mix) {
        Scene.Sprite sprite = scene.sprites().get(index);
        Timbre timbre = Timbre.of(sprite.object());
        double seconds = (double) mix.length / RATE;
        double shorter = Math.min(scene.width(), scene.height());
        double phase = 0;
        double pulse = 0;
        for (int i = 0; i < mix.length; i++) {
            double t = (double) i / RATE;
            double hertz = pitch(scene, sprite, t);
            double loudness = Math.min(1, .3 + .7 * at(scene, sprite, t).size() / shorter) * .8;
            switch (sprite.motion()) {
                case SPIN -> loudness *= 1 - TREMOLO + TREMOLO * sine(TURNS * t + .25);
                case SWAY -> hertz *= 1 + VIBRATO_SEMITONES * .0578 * sine(VIBRATO_RATE * t);
                case LEFT, RIGHT -> {
                    double way = sprite.motion() == Motion.RIGHT ? t / seconds : 1 - t / seconds;
                    pulse += (SLOW_PULSE + (FAST_PULSE - SLOW_PULSE) * way) / RATE;
                    loudness *= Math.max(0, .15 + .85 * sine(pulse));
                }
                default -> {}
            }
            phase += hertz / RATE;
            double tone = 0;
            for (int h = 0; h < Timbre.count(); h++) {
                if (timbre.partial(h) > 0) {
                    tone += timbre.partial(h) * sine(phase * (h + 1));
                }
            }
            mix[i] += (float)
                    (tone * loudness * fade(t, seconds) / scene.sprites().size());
        }
        Draws noise = new Draws(scene.seed(), scene.number(), CLICK_NOISE + index);
        if (sprite.motion() == Motion.BOUNCE) {
            for (double landing : onsets(scene, sprite)) {
                click(mix, (int) (landing * RATE), noise, scene.sprites().size());
            }
        }
    }

    /** No step at either end, which would itself be a click. */
    private static double fade(double t, double seconds) {
        return Math.min(1, Math.min(t, seconds - t) / .005);
    }

    private static void click(float[] mix, int from, Draws noise, int sprites) {
        int length = (int) (CLICK_SECONDS * RATE);
        for (int i = 0; i < length && from + i < mix.length; i++) {
            double decay = 1 - (double) i / length;
            double value = mix[from + i] + noise.between(-.8, .8) * decay * decay / sprites;
            mix[from + i] = (float) Math.max(-1, Math.min(1, value));
        }
    }

    /** Sine of so many turns, from a table: the same on every machine, and quick. */
    private static double sine(double turns) {
        double place = (turns - Math.floor(turns)) * TABLE;
        int i = (int) place;
        return i >= TABLE ? SINE[TABLE] : SINE[i] + (SINE[i + 1] - SINE[i]) * (place - i);
    }
}
