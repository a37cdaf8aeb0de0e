package dev.zoetrope.tasks;

import java.nio.file.Path;

/**
 * Where Zoetrope keeps what it can make again: {@code $XDG_CACHE_HOME/zoetrope}, by default {@code ~/.cache/zoetrope};
 * another folder by the system property {@code zoetrope.cache}.
 */
public final class UserCache {
    private UserCache() {}

    public static Path folder() {
        String named = System.getProperty("zoetrope.cache");
        if (named != null) {
            return Path.of(named);
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path caches = xdg == null || xdg.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(xdg);
        return caches.resolve("zoetrope");
    }
}
