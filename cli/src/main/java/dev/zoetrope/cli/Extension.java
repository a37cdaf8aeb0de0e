package dev.zoetrope.cli;

/**
 * A command of a module that stands beside this one and is found by {@link java.util.ServiceLoader}. So what only that
 * command needs is fetched and built on its first use; the launcher knows which module that is.
 */
public interface Extension {
    /** An object with picocli's annotations. */
    Object command();
}
