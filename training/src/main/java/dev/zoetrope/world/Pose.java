package dev.zoetrope.world;

/**
 * Where an object is on the screen in one frame.
 *
 * @param x column of its centre in pixels from the left edge
 * @param y row of its centre in pixels from the top edge
 * @param size edge in pixels of the square that holds its picture
 * @param angle clockwise turn in radians
 */
public record Pose(float x, float y, float size, float angle) {}
