package dev.zoetrope.tensor;

import org.jspecify.annotations.Nullable;

/**
 * A failure that the user can cause and can mend: a bad file, a bad option, a shape that does not fit. The message names
 * the thing, what was found, what was expected and what to do; it is shown as it is, without a stack trace.
 */
public class UserError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public UserError(String message) {
        super(message);
    }

    public UserError(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
