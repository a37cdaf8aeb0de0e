package dev.zoetrope.server;

import dev.zoetrope.tensor.UserError;
import java.time.Duration;

/**
 * What the server allows.
 *
 * @param bodyBytes the largest body of a request
 * @param pixels the most of one picture that comes in
 * @param waiting requests that may wait for one model; more are refused with 429
 * @param jobs jobs that may wait, of all keys together
 * @param perMinute requests a minute of one key; 0 for any number
 * @param frames the longest clip
 * @param time that one piece of work may take
 * @param keep how long results stay
 * @param memory bytes that the weights of loaded models may take together
 */
public record Limits(
        int bodyBytes,
        int pixels,
        int waiting,
        int jobs,
        int perMinute,
        int frames,
        Duration time,
        Duration keep,
        long memory) {
    /** 32 MiB, 16 million pixels, 64 waiting, 500 jobs, no rate, 480 frames, 15 minutes, 30 days, 60 % of the machine's memory. */
    public static Limits standard() {
        return new Limits(
                32 << 20,
                16_000_000,
                64,
                500,
                0,
                480,
                Duration.ofMinutes(15),
                Duration.ofDays(30),
                Machine.memory() / 10 * 6);
    }

    public Limits {
        if (bodyBytes < 1 || pixels < 1 || waiting < 1 || jobs < 1 || perMinute < 0 || frames < 1 || memory < 1) {
            throw new UserError("limits must be above 0");
        }
    }

    public Limits withBodyBytes(int value) {
        return new Limits(value, pixels, waiting, jobs, perMinute, frames, time, keep, memory);
    }

    public Limits withPixels(int value) {
        return new Limits(bodyBytes, value, waiting, jobs, perMinute, frames, time, keep, memory);
    }

    public Limits withWaiting(int value) {
        return new Limits(bodyBytes, pixels, value, jobs, perMinute, frames, time, keep, memory);
    }

    public Limits withJobs(int value) {
        return new Limits(bodyBytes, pixels, waiting, value, perMinute, frames, time, keep, memory);
    }

    public Limits withPerMinute(int value) {
        return new Limits(bodyBytes, pixels, waiting, jobs, value, frames, time, keep, memory);
    }

    public Limits withTime(Duration value) {
        return new Limits(bodyBytes, pixels, waiting, jobs, perMinute, frames, value, keep, memory);
    }

    public Limits withKeep(Duration value) {
        return new Limits(bodyBytes, pixels, waiting, jobs, perMinute, frames, time, value, memory);
    }

    public Limits withFrames(int value) {
        return new Limits(bodyBytes, pixels, waiting, jobs, perMinute, value, time, keep, memory);
    }

    public Limits withMemory(long value) {
        return new Limits(bodyBytes, pixels, waiting, jobs, perMinute, frames, time, keep, value);
    }
}
