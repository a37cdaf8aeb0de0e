package dev.zoetrope.server;

import dev.zoetrope.tensor.UserError;
import io.javalin.http.HttpResponseException;
import java.util.concurrent.CancellationException;

/** What a failure looks like from outside: never a stack, never a class. */
final class Failures {
    private static final System.Logger LOG = System.getLogger(Failures.class.getName());

    private Failures() {}

    /** @param where for the log */
    static ApiError of(Throwable e, String where) {
        if (e instanceof ApiError api) {
            return api;
        }
        if (e instanceof UserError) {
            return ApiError.bad(String.valueOf(e.getMessage()));
        }
        if (e instanceof HttpResponseException http) {
            return ApiError.of(
                    http.getStatus(),
                    http.getStatus() == 404 ? "there is nothing here" : String.valueOf(http.getMessage()));
        }
        if (e instanceof CancellationException) {
            return ApiError.of(499, "nobody waits for this any more");
        }
        LOG.log(System.Logger.Level.ERROR, where + " failed", e);
        if (e instanceof OutOfMemoryError) {
            return ApiError.unavailable("memory", "the server has too little memory for this; ask for less", 0);
        }
        return ApiError.internal("the server failed at this; its log says why");
    }
}
