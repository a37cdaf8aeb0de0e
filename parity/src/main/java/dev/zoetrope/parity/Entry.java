package dev.zoetrope.parity;

/** One operation that cases ask for, done as a user would do it: by the public loaders and classes. */
@FunctionalInterface
interface Entry {
    /** Puts one tensor an output; recording of gradients is off, and what is made belongs to the case's scope. */
    void answer(Case c, Answers answers);
}
