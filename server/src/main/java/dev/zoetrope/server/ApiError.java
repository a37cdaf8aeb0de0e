package dev.zoetrope.server;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A request that is answered by an error of OpenAI's shape. */
@SuppressWarnings("serial") // is never serialised
final class ApiError extends RuntimeException {
    private static final int LONGEST = 600;

    private final int status;
    private final String code;
    private final @Nullable String param;
    private final int retryAfter;

    private ApiError(int status, String code, String message, @Nullable String param, int retryAfter) {
        super(message.length() > LONGEST ? message.substring(0, LONGEST) + " ..." : message, null, false, false);
        this.status = status;
        this.code = code;
        this.param = param;
        this.retryAfter = retryAfter;
    }

    static ApiError bad(String message, @Nullable String param) {
        return new ApiError(400, "invalid_value", message, param, 0);
    }

    static ApiError bad(String message) {
        return bad(message, null);
    }

    static ApiError unauthorized(String message) {
        return new ApiError(401, "invalid_api_key", message, null, 0);
    }

    static ApiError forbidden(String message) {
        return new ApiError(403, "forbidden", message, null, 0);
    }

    static ApiError notFound(String code, String message) {
        return new ApiError(404, code, message, null, 0);
    }

    static ApiError conflict(String message) {
        return new ApiError(409, "conflict", message, null, 0);
    }

    static ApiError tooLarge(String message) {
        return new ApiError(413, "too_large", message, null, 0);
    }

    /** @param seconds after which to try again */
    static ApiError busy(String code, String message, int seconds) {
        return new ApiError(429, code, message, null, seconds);
    }

    /** @param seconds after which to try again; 0 where that does not help */
    static ApiError unavailable(String code, String message, int seconds) {
        return new ApiError(503, code, message, null, seconds);
    }

    static ApiError internal(String message) {
        return new ApiError(500, "internal_error", message, null, 0);
    }

    /** Of a status that the web server itself gives. */
    static ApiError of(int status, String message) {
        return new ApiError(status, status == 404 ? "unknown_url" : "invalid_request", message, null, 0);
    }

    int status() {
        return status;
    }

    String code() {
        return code;
    }

    String text() {
        return String.valueOf(getMessage());
    }

    /** Seconds after which to try again; 0 for none. */
    int retryAfter() {
        return retryAfter;
    }

    /** As JSON. */
    Map<String, Object> json() {
        Map<String, @Nullable Object> error = new LinkedHashMap<>();
        error.put("message", text());
        error.put("type", type());
        error.put("param", param);
        error.put("code", code);
        return Map.of("error", error);
    }

    private String type() {
        return switch (status) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 429 -> "rate_limit_error";
            default -> status >= 500 ? "server_error" : "invalid_request_error";
        };
    }
}
