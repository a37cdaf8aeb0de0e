package dev.zoetrope.world;

import java.util.Locale;

/** How an object is drawn: two hands, the same objects. */
public enum Style {
    /** With light and shadow (Noto Emoji). What a caption means that names no style. */
    SHADED,
    /** In few plain colours (Twemoji). A caption always says so. */
    FLAT;

    /** The name in files and in hashed split keys. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
