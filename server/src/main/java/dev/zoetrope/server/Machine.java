package dev.zoetrope.server;

import java.lang.management.ManagementFactory;

/** What the machine has. */
final class Machine {
    private Machine() {}

    /** Bytes of memory, within what a container allows. */
    static long memory() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getTotalMemorySize()
                : Runtime.getRuntime().maxMemory();
    }
}
