package dev.zoetrope.server;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Something that is made behind the scenes and stays for a while.
 *
 * @param kind what comes of it
 * @param owner name of the key that asked for it; empty where there are no keys
 * @param progress 0 to 100
 * @param settings everything that makes it again, as JSON
 * @param source the job it came from; null for none
 * @param created milliseconds since 1970
 * @param completed milliseconds since 1970; 0 while it is not
 * @param expires milliseconds since 1970, when its files go
 * @param error why it failed; null where it did not
 */
record Job(
        String id,
        Kind kind,
        String owner,
        String model,
        Status status,
        int progress,
        String settings,
        @Nullable String source,
        long created,
        long completed,
        long expires,
        @Nullable String error) {
    /** What a job makes. */
    enum Kind {
        VIDEO,
        IMAGE;

        String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** How far it is. */
    enum Status {
        QUEUED,
        IN_PROGRESS,
        COMPLETED,
        FAILED,
        CANCELLED;

        String label() {
            return name().toLowerCase(Locale.ROOT);
        }

        boolean over() {
            return this == COMPLETED || this == FAILED || this == CANCELLED;
        }
    }
}
