package dev.zoetrope.server;

import io.javalin.http.Context;
import io.javalin.http.Cookie;
import io.javalin.http.SameSite;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Who may ask, and from where. */
final class Guard {
    private static final String OWNER = "owner";
    private static final String COOKIE = "zoetrope";
    private static final int SESSION_SECONDS = 12 * 3600;
    private static final int MOST_SESSIONS = 10_000;
    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]", "::1");
    private static final Set<String> HARMLESS = Set.of("GET", "HEAD", "OPTIONS");
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Keys keys;
    private final Rates rates;
    private final boolean loopback;
    private final Map<String, Session> sessions = new ConcurrentHashMap<>();

    private record Session(String owner, long until) {}

    /** @param loopback whether the server can be reached from this machine only */
    Guard(Keys keys, Rates rates, boolean loopback) {
        this.keys = keys;
        this.rates = rates;
        this.loopback = loopback;
    }

    static boolean isLoopback(String host) {
        return LOOPBACK.contains(host);
    }

    /** Headers of every answer. */
    static void headers(Context ctx) {
        ctx.header(
                "Content-Security-Policy",
                "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
                        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
        ctx.header("X-Content-Type-Options", "nosniff");
        ctx.header("X-Frame-Options", "DENY");
        ctx.header("Referrer-Policy", "no-referrer");
        ctx.header("Cross-Origin-Opener-Policy", "same-origin");
        ctx.header("Cross-Origin-Resource-Policy", "same-origin");
        ctx.header("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
        ctx.header("Cache-Control", "no-store");
    }

    /**
     * Refuses what another site's page sends through a user's browser: a foreign name that leads to this machine, or a form of
     * another origin.
     */
    void origin(Context ctx) {
        String host = ctx.header("Host");
        if (loopback && host != null && !LOOPBACK.contains(withoutPort(host))) {
            throw ApiError.forbidden("this server answers to localhost only, not to the name '" + shown(host) + "'");
        }
        String origin = ctx.header("Origin");
        if (origin != null && !HARMLESS.contains(ctx.req().getMethod())) {
            boolean own = host != null && (origin.equals("http://" + host) || origin.equals("https://" + host));
            if (!own) {
                throw ApiError.forbidden("requests from the pages of " + shown(origin) + " are not allowed");
            }
        }
    }

    private static String withoutPort(String host) {
        int colon = host.lastIndexOf(':');
        return colon > host.lastIndexOf(']') ? host.substring(0, colon) : host;
    }

    private static String shown(String text) {
        return text.substring(0, Math.min(80, text.length()));
    }

    /** Notes whose request it is. @throws ApiError 401 without a good key, 429 when that key asks too often */
    void key(Context ctx) {
        String owner = "";
        if (keys.required()) {
            owner = known(ctx);
        }
        ctx.attribute(OWNER, owner);
        rates.take(owner);
    }

    private String known(Context ctx) {
        String header = ctx.header("Authorization");
        if (header != null && header.regionMatches(true, 0, "Bearer ", 0, 7)) {
            return keys.name(header.substring(7).strip())
                    .orElseThrow(() -> ApiError.unauthorized("this API key is not known here"));
        }
        @Nullable String cookie = ctx.cookie(COOKIE);
        @Nullable Session session = cookie == null ? null : sessions.get(cookie);
        if (session != null && session.until > System.currentTimeMillis()) {
            return session.owner;
        }
        throw ApiError.unauthorized("an API key is needed: Authorization: Bearer KEY");
    }

    /** Exchanges a key for a cookie, for the studio. */
    void login(Context ctx, String key) {
        String owner =
                keys.name(key.strip()).orElseThrow(() -> ApiError.unauthorized("this API key is not known here"));
        long now = System.currentTimeMillis();
        sessions.values().removeIf(s -> s.until < now);
        if (sessions.size() >= MOST_SESSIONS) {
            throw ApiError.busy("sessions", "too many sessions; try again later", 60);
        }
        byte[] random = new byte[32];
        RANDOM.nextBytes(random);
        String id = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        sessions.put(id, new Session(owner, now + SESSION_SECONDS * 1000L));
        Cookie cookie = new Cookie(COOKIE, id);
        cookie.setHttpOnly(true);
        cookie.setPath("/");
        cookie.setMaxAge(SESSION_SECONDS);
        cookie.setSameSite(SameSite.STRICT);
        cookie.setSecure(ctx.scheme().equals("https"));
        ctx.cookie(cookie);
    }

    boolean required() {
        return keys.required();
    }

    /** Whose request it is; empty where there are no keys. */
    static String owner(Context ctx) {
        @Nullable String owner = ctx.attribute(OWNER);
        return owner == null ? "" : owner;
    }
}
