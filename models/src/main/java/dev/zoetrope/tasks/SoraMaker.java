package dev.zoetrope.tasks;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.sora.Windows;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.tasks.TextToVideo.Request;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The built-in model and those trained like it. */
final class SoraMaker implements VideoMaker {
    private static final int SIDE = 16;
    private static final int LARGEST = 256;
    private static final int LONGEST = 28_800; // an hour at 8 frames a second
    /** Latent frames of a given clip that the network sees. */
    private static final int SEEN = 2;
    /** Area of the pictures trained on. */
    private static final double AREA = 64 * 64;

    private final Sora model;

    SoraMaker(Sora model) {
        this.model = model;
    }

    @Override
    public Request request(String prompt) {
        return Request.of(prompt);
    }

    /** Clips and pictures are brought to the area trained on, in an aspect ratio near their own. */
    @Override
    public Request fitted(Request r) {
        @Nullable Image like = r.start().like();
        if (like == null) {
            return r;
        }
        double ratio = (double) like.width() / like.height();
        int width = (int) Math.max(1, Math.round(Math.sqrt(AREA * ratio) / SIDE)) * SIDE;
        int height = (int) Math.max(1, Math.round(Math.sqrt(AREA / ratio) / SIDE)) * SIDE;
        return r.withSize(Math.min(LARGEST, width), Math.min(LARGEST, height));
    }

    @Override
    public void check(Request r) {
        if (r.start() instanceof Start.Silent) {
            throw new UserError("this model makes no sound; one of VideoPoet's kind does (--model DIR)");
        }
        Limits.between("frames", r.frames(), 1, LONGEST);
        side("width", r.width());
        side("height", r.height());
        fits(r.prompt());
        fits(r.negative());
        if (r.start() instanceof Start.Edit e && skipped(r, e) >= r.steps()) {
            throw new UserError("strength " + e.strength() + " leaves none of the " + r.steps() + " steps");
        }
    }

    private static void side(String what, int pixels) {
        Limits.between(what, pixels, SIDE, LARGEST);
        if (pixels % SIDE != 0) {
            throw new UserError(what + " " + pixels + " is not a multiple of " + SIDE + "; the nearest are "
                    + pixels / SIDE * SIDE + " and " + (pixels / SIDE + 1) * SIDE);
        }
    }

    private void fits(String prompt) {
        int words = model.words(prompt);
        int most = model.captionEncoder().config().maxLength();
        if (words > most) {
            throw new UserError("the prompt has " + words + " words; this model reads at most " + most);
        }
    }

    private static int skipped(Request r, Start.Edit e) {
        return r.steps() - (int) (r.steps() * e.strength());
    }

    @Override
    public double make(Request r, ImageListener listener, Consumer<Image> frames, Consumer<Audio> sound) {
        Cut sink = new Cut(r.frames(), frames);
        Clock clock = new Clock(listener);
        int groups = model.autoencoder().config().groups(r.frames());
        Sora.Sampling sampling = new Sora.Sampling(r.frames(), r.width(), r.height(), r.steps(), r.guidanceScale());
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                Windows windows = new Windows(
                        model,
                        r.prompt(),
                        r.negative(),
                        r.seed(),
                        sampling,
                        (step, steps, clean) -> clock.step(step, steps, () -> preview(clean)))) {
            make(r, groups, windows, sink);
        }
        return clock.secondsPerStep();
    }

    /** The frames of the window at hand as they are foreseen. */
    private List<Image> preview(Tensor latents) {
        try (Scope s = Scope.open()) {
            Tensor video = model.autoencoder().decode(latents).select(0, 0);
            return VideoTensors.toClip(video, 1).frames();
        }
    }

    private void make(Request r, int groups, Windows windows, Cut sink) {
        if (r.start() instanceof Start.Loop) {
            windows.loop(groups, sink);
        } else if (r.start() instanceof Start.FirstFrame f) {
            Tensor image = Frames.of(List.of(f.image()), r.width(), r.height());
            sink.accept(image);
            if (r.frames() > 1) {
                sink.dropFirst(1); // the picture stands for it
                windows.from(windows.encode(image), groups, sink);
            }
        } else if (r.start() instanceof Start.Edit e) {
            Tensor video = Frames.of(e.clip().frames(), r.width(), r.height());
            windows.edit(windows.encode(video), skipped(r, e), sink);
        } else if (r.start() instanceof Start.After a) {
            windows.forward(windows.encode(end(a.clip(), r)), groups, sink);
        } else if (r.start() instanceof Start.Before b) {
            sink.dropFirst(groups * groupFrames() - r.frames());
            windows.backward(windows.encode(start(b.clip(), r)), groups, sink);
        } else if (r.start() instanceof Start.Between b) {
            Tensor first = windows.encode(end(b.first(), r));
            windows.between(first, groups, windows.encode(start(b.second(), r)), sink);
        } else {
            windows.forward(null, groups, sink);
        }
    }

    private int groupFrames() {
        return model.autoencoder().config().groupFrames();
    }

    /** The last frames, as many as fill latent frames; a clip that is shorter stands still before. */
    private Tensor end(Clip clip, Request r) {
        List<Image> all = clip.frames();
        int n = seen(all.size());
        List<Image> some = all.size() >= n
                ? all.subList(all.size() - n, all.size())
                : Stream.concat(Collections.nCopies(n - all.size(), all.get(0)).stream(), all.stream())
                        .toList();
        return Frames.of(some, r.width(), r.height());
    }

    private Tensor start(Clip clip, Request r) {
        List<Image> all = clip.frames();
        return Frames.of(all.subList(0, Math.min(seen(all.size()), all.size())), r.width(), r.height());
    }

    private int seen(int frames) {
        return groupFrames() * Math.max(1, Math.min(SEEN, frames / groupFrames()));
    }

    /** Hands frames on one by one, and no more than were asked for: latent frames stand for several. */
    private static final class Cut implements Consumer<Tensor> {
        private final Consumer<Image> frames;
        private int left;
        private int drop;

        Cut(int frames, Consumer<Image> sink) {
            this.left = frames;
            this.frames = sink;
        }

        void dropFirst(int n) {
            drop = n;
        }

        @Override
        public void accept(Tensor video) {
            for (Image frame : VideoTensors.toClip(video, 1).frames()) {
                if (drop > 0) {
                    drop--;
                } else if (left > 0) {
                    left--;
                    frames.accept(frame);
                }
            }
        }
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
