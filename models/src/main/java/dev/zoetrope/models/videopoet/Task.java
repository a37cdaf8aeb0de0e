package dev.zoetrope.models.videopoet;

/** What a sequence asks for, told by a token of its own: one for every kind of output. */
public enum Task {
    /** A clip and its sound, from a caption, perhaps from the first planes of the clip too. */
    VIDEO,
    /** A picture from a caption. */
    IMAGE,
    /** A clip of which some frames are given, and its sound: painting in and out in time. */
    COMPLETE,
    /** The sound of a clip. */
    SOUND;

    private static final int FIRST = 16;

    /** Its id in the vocabulary. */
    public int token() {
        return FIRST + ordinal();
    }

    /** Whether its output has planes. */
    public boolean seen() {
        return this != SOUND;
    }

    /** Whether its output has sound. */
    public boolean heard() {
        return this != IMAGE;
    }
}
