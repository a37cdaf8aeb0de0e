package dev.zoetrope.server;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** How many requests a minute each key may make: a bucket that fills steadily and holds a minute's worth. */
final class Rates {
    private static final double MINUTE_NANOS = 60e9;

    private final int perMinute;
    private final Map<String, Bucket> buckets = new ConcurrentHashMap<>();

    private record Bucket(double tokens, long at) {}

    /** @param perMinute 0 for any number */
    Rates(int perMinute) {
        this.perMinute = perMinute;
    }

    /** @throws ApiError 429 when the bucket is empty */
    void take(String key) {
        if (perMinute == 0) {
            return;
        }
        long now = System.nanoTime();
        Bucket after = buckets.merge(key, new Bucket(perMinute - 1, now), (b, fresh) -> {
            double filled = Math.min(perMinute, b.tokens + (now - b.at) / MINUTE_NANOS * perMinute);
            return new Bucket(filled >= 1 ? filled - 1 : filled - 1e-9 - 1, now);
        });
        if (after.tokens < 0) {
            buckets.put(key, new Bucket(after.tokens + 1, now)); // what was refused costs nothing
            int seconds = (int) Math.ceil(-after.tokens * 60 / perMinute);
            throw ApiError.busy(
                    "rate_limit_exceeded",
                    "more than " + perMinute + " requests a minute; try again later",
                    Math.max(1, seconds));
        }
    }
}
