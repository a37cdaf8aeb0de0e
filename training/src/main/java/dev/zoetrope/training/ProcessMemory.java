package dev.zoetrope.training;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What this process holds of the machine's memory, in bytes, as Linux tells; elsewhere nothing is known. */
final class ProcessMemory {
    private static final Path PROCESS = Path.of("/proc/self");
    private static final Path GROUP = Path.of("/sys/fs/cgroup");

    private ProcessMemory() {}

    static boolean isKnown() {
        return Files.isReadable(PROCESS.resolve("status"));
    }

    static long resident() {
        return field(PROCESS.resolve("status"), "VmRSS:");
    }

    /** The most since {@link #forgetPeak}, or since the start where the system refuses that. */
    static long peak() {
        return field(PROCESS.resolve("status"), "VmHWM:");
    }

    static void forgetPeak() {
        try {
            Files.writeString(PROCESS.resolve("clear_refs"), "5");
        } catch (IOException e) {
            // the peak then counts from the start of the process: an estimate that is too high
        }
    }

    /** What other programs and the limit of the container leave, with what this process holds already. */
    static long obtainable() {
        long free = field(Path.of("/proc/meminfo"), "MemAvailable:");
        try {
            String limit = Files.readString(GROUP.resolve("memory.max")).strip();
            if (!limit.equals("max")) {
                long used = Long.parseLong(
                        Files.readString(GROUP.resolve("memory.current")).strip());
                free = Math.min(free, Long.parseLong(limit) - used);
            }
        } catch (IOException e) {
            // no limit is told
        }
        return free + resident();
    }

    /** A line {@code Name:   123 kB}; 0 where it is missing. */
    private static long field(Path file, String name) {
        try {
            List<String> lines = Files.readAllLines(file);
            for (String line : lines) {
                if (line.startsWith(name)) {
                    return Long.parseLong(line.replaceAll("\\D", "")) << 10;
                }
            }
        } catch (IOException e) {
            // not Linux
        }
        return 0;
    }
}
