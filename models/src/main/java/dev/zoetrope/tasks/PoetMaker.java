package dev.zoetrope.tasks;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.models.videopoet.Canvas;
import dev.zoetrope.models.videopoet.Task;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tasks.TextToVideo.Request;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A VideoPoet. Longer clips are made window by window: the last plane of tokens and what goes with it begin the next
 * window's output. Sound is decoded once, from the tokens of all windows, so that its phase has no seam.
 */
final class PoetMaker implements VideoMaker {
    private static final int LONGEST = 481; // a minute at 8 frames a second

    private static final Supplier<List<Image>> NO_PREVIEW = List::of;

    private final VideoPoet model;
    private final VideoPoet.Format format;
    private final AudioTokenizer sounds;

    PoetMaker(VideoPoet model) {
        this.model = model;
        format = model.format();
        sounds = AudioTokenizer.of(model.sound());
    }

    @Override
    public boolean sounds() {
        return true;
    }

    @Override
    public Request request(String prompt) {
        return Request.of(prompt)
                .withFrames(format.frames())
                .withSize(format.width(), format.height())
                .withFps(format.fps())
                .withSteps(1)
                .withGuidanceScale(VideoPoet.GUIDANCE);
    }

    /** Frames of a plane. */
    private int unit() {
        return model.vision().config().timeFactor();
    }

    /** Frames of a window that the one before has made: its last plane, behind a frame that stands for a first one. */
    private int overlap() {
        return unit() + 1;
    }

    @Override
    public Request fitted(Request r) {
        int factor = enlarged(r) ? 2 : 1;
        Request sized =
                r.withSize(factor * format.width(), factor * format.height()).withFps(format.fps());
        if (r.start() instanceof Start.Between) {
            return sized.withFrames(format.frames() - 2);
        }
        if (r.start() instanceof Start.Before) {
            return sized.withFrames(format.frames() - unit());
        }
        if (r.start() instanceof Start.Silent s) {
            return sized.withFrames(s.clip().frames().size()).withFps(s.clip().fps());
        }
        if (r.start() instanceof Start.After) {
            return sized.withFrames(Math.min(LONGEST - 1, whole(r.frames())));
        }
        return sized.withFrames(
                r.frames() == 1 ? 1 : Math.min(LONGEST, Math.max(format.frames(), 1 + whole(r.frames() - 1))));
    }

    /** Whether twice the size is asked for, by a model that can make it. */
    private boolean enlarged(Request r) {
        return model.upscaler() != null && r.width() == 2 * format.width() && r.height() == 2 * format.height();
    }

    private Tensor shown(Request r, Tensor codes, int window) { // [1, P, h, w, K] -> [1, 3, T, H, W]
        return model.show(
                enlarged(r) ? model.enlarge(codes, List.of(r.prompt()), r.guidanceScale(), r.seed() + window) : codes);
    }

    /** To whole planes. */
    private int whole(int frames) {
        return (frames + unit() - 1) / unit() * unit();
    }

    @Override
    public void check(Request r) {
        if (r.start() instanceof Start.Edit || r.start() instanceof Start.Loop) {
            throw new UserError("this model cannot " + r.start().label() + "; the built-in one can");
        }
        Request possible = fitted(r);
        if (possible.width() != r.width() || possible.height() != r.height()) {
            throw new UserError("size " + r.width() + "x" + r.height() + ": this model makes " + format.width() + "x"
                    + format.height() + (model.upscaler() == null ? " only" : " or twice that"));
        }
        if (possible.frames() != r.frames()) {
            throw new UserError("frames " + r.frames() + ": this model makes whole planes of " + unit()
                    + " frames, here the nearest is " + possible.frames());
        }
        int words = model.words(r.prompt());
        int most = model.captionEncoder().config().maxLength();
        if (words > most) {
            throw new UserError("the prompt has " + words + " words; this model reads at most " + most);
        }
    }

    @Override
    public double make(Request r, ImageListener listener, Consumer<Image> frames, Consumer<Audio> sound) {
        Clock clock = new Clock(listener);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Start start = r.start();
            if (start instanceof Start.Silent silent) {
                sound.accept(heard(r, silent.clip(), clock));
            } else if (start instanceof Start.Between b) {
                complete(r, b, null, clock, frames, sound);
            } else if (start instanceof Start.Before b) {
                complete(r, null, b.clip(), clock, frames, sound);
            } else if (r.frames() == 1) {
                picture(r, clock, frames);
            } else {
                forward(r, clock, frames, sound);
            }
        }
        return clock.secondsPerStep();
    }

    private VideoPoet.Wish wish(
            Task task, Request r, int window, @Nullable Tensor given, @Nullable Tensor video, @Nullable Tensor audio) {
        VideoPoet.Wish plain = VideoPoet.wish(List.of(r.prompt()), new long[] {r.seed() + 7919L * window});
        return new VideoPoet.Wish(
                task,
                plain.prompts(),
                r.negative().isEmpty() ? Sora.none(1) : List.of(r.negative()),
                plain.seeds(),
                given,
                video,
                audio,
                r.guidanceScale(),
                plain.videoSampling(),
                plain.audioSampling());
    }

    private void picture(Request r, Clock clock, Consumer<Image> frames) {
        Tensor codes = model.say(
                        wish(Task.IMAGE, r, 0, null, null, null), (step, of) -> clock.step(step, of, NO_PREVIEW))
                .video();
        emit(shown(r, known(codes), 0), 0, 1, frames);
    }

    /** Window after window. */
    private void forward(Request r, Clock clock, Consumer<Image> frames, Consumer<Audio> sound) {
        Canvas c = model.canvas();
        int made = 0;
        @Nullable Tensor video = null; // begins the window
        @Nullable Tensor audio = null;
        int given = 0; // frames of it
        if (r.start() instanceof Start.FirstFrame f) {
            video = begun(encode(List.of(f.image())), c.planes());
        } else if (r.start() instanceof Start.After a) {
            video = begun(encode(end(a.clip(), overlap())), c.planes());
            audio = begunSound(a.clip(), c.steps());
            given = overlap();
        }
        int windows = 1 + Math.max(0, r.frames() - (format.frames() - given) + step() - 1) / step();
        List<Tensor> spoken = new ArrayList<>(); // codes of the sound, [1, Q, F]
        for (int w = 0; w < windows; w++) {
            int before = w;
            VideoPoet.Said said = model.say(
                    wish(Task.VIDEO, r, w, null, video, audio),
                    (step, of) -> clock.step(before * of + step, windows * of, NO_PREVIEW));
            Tensor shown = model.show(known(said.video())); // [1, 3, T, H, W]
            int fresh = Math.min(format.frames() - given, r.frames() - made);
            emit(enlarged(r) ? shown(r, known(said.video()), w) : shown, given, fresh, frames);
            made += fresh;
            long from = Math.round((double) given / format.frames() * c.steps());
            spoken.add(known(said.audio()).narrow(2, from, c.steps() - from));
            given = overlap();
            Tensor tail = shown.narrow(2, format.frames() - given, given);
            video = begun(model.vision().encode(tail), c.planes());
            audio = begun(known(said.audio()), c.steps(), given);
        }
        play(Tensor.cat(2, spoken), r.frames(), sound);
    }

    /** New frames of each window but the first. */
    private int step() {
        return format.frames() - overlap();
    }

    /** Painting in between two clips, or out before one. */
    private void complete(
            Request r,
            Start.@Nullable Between between,
            @Nullable Clip after,
            Clock clock,
            Consumer<Image> frames,
            Consumer<Audio> sound) {
        List<Image> images = new ArrayList<>();
        boolean[] given = new boolean[format.frames()];
        if (between != null) {
            List<Image> first = between.first().frames();
            given[0] = true;
            given[format.frames() - 1] = true;
            images.addAll(Collections.nCopies(format.frames() - 1, first.get(first.size() - 1)));
            images.add(between.second().frames().get(0));
        } else if (after != null) {
            for (int t = 0; t < format.frames(); t++) {
                int of = t - (format.frames() - unit());
                given[t] = of >= 0;
                images.add(after.frames()
                        .get(Math.max(0, Math.min(of, after.frames().size() - 1))));
            }
        }
        float[] mask = new float[given.length];
        for (int t = 0; t < mask.length; t++) {
            mask[t] = given[t] ? 1 : 0;
        }
        Tensor video = Frames.of(images, format.width(), format.height()).unsqueeze(0);
        Tensor masked = video.mul(Tensor.of(mask, 1, 1, mask.length, 1, 1));
        VideoPoet.Said said = model.say(
                wish(Task.COMPLETE, r, 0, model.vision().encode(masked), null, null),
                (step, of) -> clock.step(step, of, NO_PREVIEW));
        int from = between != null ? 1 : 0;
        emit(shown(r, known(said.video()), 0), from, r.frames(), frames);
        long steps = model.canvas().steps();
        long begin = Math.round((double) from / format.frames() * steps);
        long end = Math.round((double) (from + r.frames()) / format.frames() * steps);
        play(known(said.audio()).narrow(2, begin, end - begin), r.frames(), sound);
    }

    /** Sound for a clip of any length: it is looked at {@code fps} times a second, a window at a time. */
    private Audio heard(Request r, Clip clip, Clock clock) {
        int all = (int) Math.max(1, Math.round(clip.seconds() * format.fps()));
        int windows = (all + format.frames() - 1) / format.frames();
        List<Tensor> spoken = new ArrayList<>();
        for (int w = 0; w < windows; w++) {
            List<Image> seen = new ArrayList<>();
            for (int t = 0; t < format.frames(); t++) {
                double seconds = (w * format.frames() + t + .5) / format.fps();
                seen.add(clip.frames().get((int) Math.min(clip.frames().size() - 1, Math.floor(seconds * clip.fps()))));
            }
            int before = w;
            spoken.add(known(model.say(
                            wish(Task.SOUND, r, w, encode(seen), null, null),
                            (step, of) -> clock.step(before * of + step, windows * of, NO_PREVIEW))
                    .audio()));
        }
        Audio all16 = sounds.decoded(Tensor.cat(2, spoken));
        return all16.first(clip.seconds());
    }

    private Tensor encode(List<Image> images) { // [1, P, h, w, K]
        return model.vision()
                .encode(Frames.of(images, format.width(), format.height()).unsqueeze(0));
    }

    /** The last frames; a clip that is shorter stands still before. */
    private static List<Image> end(Clip clip, int n) {
        List<Image> all = clip.frames();
        List<Image> r = new ArrayList<>(Collections.nCopies(Math.max(0, n - all.size()), all.get(0)));
        r.addAll(all.subList(Math.max(0, all.size() - n), all.size()));
        return r;
    }

    /** Codes that begin an output of so many planes, the rest open. */
    private static Tensor begun(Tensor codes, int planes) { // [1, P, h, w, K]
        long open = planes - codes.size(1);
        return Tensor.cat(1, codes, open(codes.size(0), open, codes.size(2), codes.size(3), codes.size(4)));
    }

    /** The end of a window's sound as the beginning of the next. */
    private Tensor begun(Tensor audio, int steps, int frames) { // [1, Q, F]
        long given = Math.round((double) frames / format.frames() * steps);
        return Tensor.cat(2, audio.narrow(2, steps - given, given), open(audio.size(0), audio.size(1), steps - given));
    }

    /** The end of a given clip's sound; null where it has none. */
    private @Nullable Tensor begunSound(Clip clip, int steps) {
        Audio audio = clip.audio();
        long given = Math.round((double) overlap() / format.frames() * steps);
        long samples = given * model.sound().config().hop();
        if (audio == null || audio.length() == 0) {
            return null;
        }
        float[] mono = sounds.fitted(audio).samples()[0];
        if (mono.length < samples) {
            return null;
        }
        float[] end = java.util.Arrays.copyOfRange(mono, (int) (mono.length - samples), mono.length);
        Tensor codes = model.sound().encode(Tensor.of(end, 1, end.length));
        return Tensor.cat(2, codes, open(1, codes.size(1), steps - given));
    }

    private static Tensor open(long... shape) {
        return Tensor.full(-1, DType.INT64, Device.CPU, shape);
    }

    private static Tensor known(@Nullable Tensor t) {
        if (t == null) {
            throw new IllegalStateException("the task has no such output");
        }
        return t;
    }

    private void emit(Tensor video, int from, int n, Consumer<Image> frames) { // [1, 3, T, H, W]
        VideoTensors.toClip(video.select(0, 0).narrow(1, from, n), format.fps())
                .frames()
                .forEach(frames);
    }

    private void play(Tensor codes, int frames, Consumer<Audio> sound) {
        sound.accept(sounds.decoded(codes).first(frames / format.fps()));
    }

    @Override
    public List<String> unknownWords(String prompt) {
        return model.unknownWords(prompt);
    }

    @Override
    public void close() {
        model.close();
    }
}
