package dev.zoetrope.training;

import java.util.Map;

/** Watches a training: a progress bar, a log, a test. All methods are called on the training thread. */
public interface TrainingListener {
    /** A stage begins or goes on. */
    default void stage(String name, long firstStep, long steps) {}

    /** After each step. @return false to stop after saving */
    default boolean step(long step, long steps) {
        return true;
    }

    /** Now and then: the means since the last report. */
    default void report(long step, Map<String, Double> values) {}

    /** Something worth telling a person. */
    default void message(String text) {}
}
