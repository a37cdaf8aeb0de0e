package dev.zoetrope.tasks;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.models.video.VideoPipeline;
import dev.zoetrope.models.video.VideoRequest;
import dev.zoetrope.tasks.TextToVideo.Request;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.List;
import java.util.function.Consumer;

/** The published video models. */
final class PipelineMaker implements VideoMaker {
    private final VideoPipeline pipeline;

    PipelineMaker(VideoPipeline pipeline) {
        this.pipeline = pipeline;
    }

    @Override
    public Request request(String prompt) {
        VideoRequest.Defaults d = pipeline.defaults();
        return Request.of(prompt)
                .withFrames(d.frames())
                .withSize(d.width(), d.height())
                .withFps(d.fps())
                .withSteps(d.steps())
                .withGuidanceScale(d.guidanceScale());
    }

    @Override
    public Request fitted(Request r) {
        int frames = pipeline.nearestFrames(r.frames());
        if (r.start() instanceof Start.Edit e) {
            int given = e.clip().frames().size();
            for (int wanted = given; frames > given && wanted > 0; wanted--) {
                frames = pipeline.nearestFrames(wanted);
            }
        }
        return r.withFrames(frames);
    }

    @Override
    public void check(Request r) {
        if (r.start() instanceof Start.Edit e && e.clip().frames().size() < r.frames()) {
            throw new UserError("the clip has " + e.clip().frames().size() + " frames, " + r.frames()
                    + " are asked for; name fewer (--frames)");
        }
        boolean known = r.start() instanceof Start.Nothing
                || r.start() instanceof Start.FirstFrame
                || r.start() instanceof Start.Edit;
        if (!known) {
            throw new UserError("this model cannot " + r.start().label() + "; the built-in model can");
        }
        try (Scope s = Scope.open()) {
            pipeline.check(wanted(r));
        }
    }

    private static VideoRequest video(VideoRequest v, Start.Edit e, Request r) {
        return v.withVideo(Frames.of(e.clip().frames().subList(0, r.frames()), r.width(), r.height()), e.strength());
    }

    private VideoRequest wanted(Request r) {
        VideoRequest v = VideoRequest.of(r.prompt(), pipeline.defaults())
                .withNegative(r.negative())
                .withSize(r.frames(), r.height(), r.width())
                .withSteps(r.steps())
                .withGuidance(r.guidanceScale(), false);
        if (r.start() instanceof Start.FirstFrame f) {
            return v.withImage(f.image());
        }
        return r.start() instanceof Start.Edit e ? video(v, e, r) : v;
    }

    @Override
    public double make(Request r, ImageListener listener, Consumer<Image> frames, Consumer<Audio> sound) {
        Clock clock = new Clock(listener);
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(r.seed())) {
            Tensor made = pipeline.sample(
                    wanted(r), random::normal, (step, steps, prediction, latents) -> clock.step(step, steps, List::of));
            VideoTensors.toClip(made.select(0, 0), r.fps()).frames().stream()
                    .limit(r.frames())
                    .forEach(frames);
        }
        return clock.secondsPerStep();
    }

    @Override
    public List<String> unknownWords(String prompt) {
        return List.of();
    }

    @Override
    public void close() {
        pipeline.close();
    }
}
