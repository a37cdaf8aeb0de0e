package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;

/**
 * How many tokens a clip has.
 *
 * @param planes P
 * @param rows h
 * @param columns w
 * @param steps F, frames of sound
 */
public record Canvas(int planes, int rows, int columns, int steps) {
    public Canvas {
        Check.positive(planes, "planes");
        Check.positive(rows, "rows");
        Check.positive(columns, "columns");
    }

    /** Places of the clip, time first, then rows, then columns. */
    public int visual() {
        return planes * rows * columns;
    }

    /** A picture of this size. */
    public Canvas picture() {
        return new Canvas(1, rows, columns, 0);
    }
}
