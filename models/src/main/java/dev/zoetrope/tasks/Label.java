package dev.zoetrope.tasks;

/**
 * What a model takes a picture for.
 *
 * @param name the class
 * @param probability 0 to 1
 */
public record Label(String name, double probability) {}
