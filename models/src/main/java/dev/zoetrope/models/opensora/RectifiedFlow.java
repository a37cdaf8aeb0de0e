package dev.zoetrope.models.opensora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.models.opensora.Stdit3.Condition;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The straight way from noise (time 1000) to a video (time 0), arXiv:2209.03003, as Open-Sora 1.2 goes and trains it.
 *
 * @param steps of the solver
 * @param discrete whether times are whole numbers
 * @param transform whether large and long videos spend more of the steps near the noise
 */
public record RectifiedFlow(int steps, boolean discrete, boolean transform) {
    private static final double TIMES = 1000;
    private static final double BASE_PIXELS = 512 * 512;

    public RectifiedFlow {
        Check.positive(steps, "steps");
    }

    /**
     * A time moved towards the noise by the number of pixels and frames.
     *
     * @param time 0 to 1000
     * @param frames of the video, 1 for a picture
     */
    public static double transformed(double time, double height, double width, int frames) {
        double length = frames == 1 ? 1 : frames / 17 * 5; // latent frames, as the temporal autoencoder makes them
        double ratio = Math.sqrt(height * width / BASE_PIXELS) * Math.sqrt(length);
        double t = time / TIMES;
        return ratio * t / (1 + (ratio - 1) * t) * TIMES;
    }

    /** The times of all steps for a video. */
    public double[] times(double height, double width, int frames) {
        double[] r = new double[steps];
        for (int i = 0; i < steps; i++) {
            double t = (1 - (double) i / steps) * TIMES;
            t = discrete ? Math.rint(t) : t;
            r[i] = transform ? transformed(t, height, width, frames) : t;
        }
        return r;
    }

    /** Between a video and noise: {@code t / 1000} of the noise. {@code times [B]}. */
    public static Tensor noised(Tensor video, Tensor noise, Tensor times) {
        try (Scope s = Scope.open()) {
            Tensor share = times.div(TIMES).reshape(-1, 1, 1, 1, 1);
            return s.keep(video.mul(share.rsub(1)).add(noise.mul(share)));
        }
    }

    /**
     * Makes videos, or those of their frames that are not given.
     *
     * @param latents noise where frames are made, latents of the given frames elsewhere, {@code [B, C, F, H, W]}
     * @param frames of the video, which decide on the times
     * @param guidance how much the text counts
     * @param made {@code [B, F]}: 1 makes a frame, 0 keeps it, what lies between edits it from that share of the time on;
     *     null makes all
     * @param noise asked once a step where {@code made} is given, for frames that begin to be edited
     */
    public Tensor sample(
            Stdit3 network,
            Tensor latents,
            Condition c,
            int frames,
            double guidance,
            @Nullable Tensor made,
            Noise noise) {
        double[] times = times(c.height(), c.width(), frames);
        long batch = latents.size(0);
        try (Scope s = Scope.open()) {
            Condition both = new Condition(
                    Tensor.cat(0, c.text(), network.noText(batch)),
                    Tensor.cat(0, c.textMask(), c.textMask()), // as published: no text is as long as the prompt
                    Tensor.cat(0, c.fps(), c.fps()),
                    c.height(),
                    c.width());
            Tensor z = latents;
            @Nullable Tensor moving = made == null ? null : made.eq(1.0); // [B, F]
            for (int i = 0; i < steps; i++) {
                double next = i + 1 < steps ? times[i + 1] : 0;
                try (Scope one = Scope.open()) {
                    Tensor before = z;
                    Tensor input = z;
                    @Nullable Tensor now = null;
                    if (made != null && moving != null) {
                        now = made.mul(TIMES).ge(times[i]);
                        Tensor entering = now.and(moving.not());
                        Tensor t = Tensor.full(times[i], batch);
                        input = pick(entering, noised(z, noise.draw(z.shape()), t), z);
                    }
                    Tensor velocity = velocity(network, input, times[i], both, now, guidance);
                    Tensor after = input.add(velocity.mul((times[i] - next) / TIMES));
                    if (now != null) {
                        after = pick(now, after, before);
                        moving = one.keep(now);
                    }
                    z = one.keep(after);
                }
            }
            return s.keep(z);
        }
    }

    private static Tensor velocity(
            Stdit3 network, Tensor z, double t, Condition both, @Nullable Tensor made, double guidance) {
        int channels = network.config().inChannels();
        Tensor out = network.forward(
                        Tensor.cat(0, z, z),
                        Tensor.full(t, 2 * z.size(0)),
                        both,
                        made == null ? null : Tensor.cat(0, made, made))
                .narrow(1, 0, channels);
        Tensor with = out.narrow(0, 0, z.size(0));
        Tensor without = out.narrow(0, z.size(0), z.size(0));
        return without.add(with.sub(without).mul(guidance));
    }

    /**
     * The error of the predicted velocity, a number for each video, {@code [B]}.
     *
     * @param times {@code [B]}
     * @param made {@code [B, F]}, 0 for frames that are given clean and do not count; null where all are made
     */
    public static Tensor loss(
            Stdit3 network, Tensor video, Tensor noise, Tensor times, Condition c, @Nullable Tensor made) {
        try (Scope s = Scope.open()) {
            Tensor noisy = noised(video, noise, times);
            Tensor input = made == null ? noisy : pick(made.ne(0L), noisy, video);
            Tensor velocity = network.forward(input, times, c, made)
                    .narrow(1, 0, network.config().inChannels());
            Tensor error = velocity.sub(video.sub(noise)).square();
            if (made == null) {
                return s.keep(error.mean(1, 2, 3, 4));
            }
            Tensor share = made.ne(0L).to(error.dtype());
            Tensor perFrame = error.mean(1, 3, 4); // [B, F]
            return s.keep(perFrame.mul(share).sum(1).div(share.sum(1)));
        }
    }

    /** Frame by frame. {@code frames [B, F]}. */
    private static Tensor pick(Tensor frames, Tensor a, Tensor b) {
        return Tensor.where(frames.unsqueeze(1).unsqueeze(-1).unsqueeze(-1), a, b);
    }
}
