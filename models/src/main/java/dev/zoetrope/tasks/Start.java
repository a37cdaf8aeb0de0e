package dev.zoetrope.tasks;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/** What a clip is made from beside the prompt. */
public sealed interface Start {
    /** The prompt alone. */
    Start NOTHING = new Nothing();

    /** As settings of a file name it. */
    String label();

    /** A picture of the size that the clip is to have, or nearly; null for none. */
    default @Nullable Image like() {
        return null;
    }

    /** The prompt alone. */
    record Nothing() implements Start {
        @Override
        public String label() {
            return "";
        }
    }

    /** The first frame is given. */
    record FirstFrame(Image image) implements Start {
        @Override
        public String label() {
            return "first frame";
        }

        @Override
        public Image like() {
            return image;
        }
    }

    /**
     * A clip is made anew.
     *
     * @param strength how much of it, above 0 to 1
     */
    record Edit(Clip clip, double strength) implements Start {
        public Edit {
            if (!(strength > 0 && strength <= 1)) {
                throw new UserError("strength " + strength + " is not above 0 and up to 1");
            }
        }

        @Override
        public String label() {
            return "edit with strength " + strength;
        }

        @Override
        public Image like() {
            return clip.frames().get(0);
        }
    }

    /** A clip goes on. Frames are those that are made. */
    record After(Clip clip) implements Start {
        @Override
        public String label() {
            return "extend forward";
        }

        @Override
        public Image like() {
            return clip.frames().get(0);
        }
    }

    /** What comes before a clip. Frames are those that are made. */
    record Before(Clip clip) implements Start {
        @Override
        public String label() {
            return "extend backward";
        }

        @Override
        public Image like() {
            return clip.frames().get(0);
        }
    }

    /** What leads from one clip to another. Frames are those that are made. */
    record Between(Clip first, Clip second) implements Start {
        @Override
        public String label() {
            return "connect";
        }

        @Override
        public Image like() {
            return first.frames().get(0);
        }
    }

    /** The end leads to the beginning. */
    record Loop() implements Start {
        @Override
        public String label() {
            return "loop";
        }
    }

    /** A clip that is to sound: its frames stay as they are, and none are made. */
    record Silent(Clip clip) implements Start {
        @Override
        public String label() {
            return "sound of a clip";
        }

        @Override
        public Image like() {
            return clip.frames().get(0);
        }
    }
}
