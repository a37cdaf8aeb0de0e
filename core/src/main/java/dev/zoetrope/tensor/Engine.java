package dev.zoetrope.tensor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;

/** Loads libtorch once, set up for the processor it finds. */
public final class Engine {
    /** Set by the launcher, which also sets what only works before the JVM starts. */
    private static final String LAUNCHED = "zoetrope.launcher";

    private static final boolean MKL;

    static {
        MKL = System.getProperty("org.bytedeco.openblas.load") != null || chooseMkl();
        try {
            torch.get_num_threads(); // the first call unpacks and links the natives
        } catch (UnsatisfiedLinkError e) {
            throw unloadable(e);
        }
        if (!MKL) {
            // OpenBLAS' own threads inside OpenMP regions make attention 5 to 30 times slower; linear layers then run
            // their parallel part in libtorch's pool instead.
            openblas_nolapack.blas_set_num_threads(Integer.getInteger("zoetrope.blasThreads", 1));
        }
        int threads = Integer.getInteger("zoetrope.threads", 0);
        if (threads > 0) {
            torch.set_num_threads(threads);
        }
    }

    private Engine() {}

    /** Loads the natives if they are not loaded yet. */
    public static void load() {
        // the static initialiser has done it
    }

    /** Number of threads that one operator may use. */
    public static int threads() {
        return torch.get_num_threads();
    }

    public static void setThreads(int threads) {
        if (threads < 1) {
            throw new UserError("threads must be at least 1, not " + threads);
        }
        torch.set_num_threads(threads);
    }

    /** Whether matrix products run in MKL (Intel, when its jar is on the class path) instead of OpenBLAS. */
    public static boolean usesMkl() {
        return MKL;
    }

    /** What the launcher would have set and this JVM lacks, one line each; empty when all is well. */
    public static List<String> warnings() {
        if (System.getProperty(LAUNCHED) != null || "PASSIVE".equalsIgnoreCase(System.getenv("OMP_WAIT_POLICY"))) {
            return List.of();
        }
        return List.of("OMP_WAIT_POLICY=PASSIVE is not set: models run several times slower when the machine is busy; "
                + "start with the zoetrope launcher or set it before java starts");
    }

    private static boolean chooseMkl() {
        if (!processor().contains("GenuineIntel")) {
            return false;
        }
        try {
            Class.forName("org.bytedeco.mkl.global.mkl_rt", false, Engine.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            return false;
        }
        System.setProperty("org.bytedeco.openblas.load", "mkl_rt");
        return true;
    }

    /** What the system says of its first processor; empty where it does not tell. */
    static String processor() {
        try {
            String info = Files.readString(Path.of("/proc/cpuinfo"), StandardCharsets.UTF_8);
            int end = info.indexOf("\n\n");
            return end < 0 ? info : info.substring(0, end);
        } catch (IOException e) {
            return "";
        }
    }

    private static Error unloadable(UnsatisfiedLinkError e) {
        String text = String.valueOf(e.getMessage());
        if (text.contains("No space left")) {
            return new UnsatisfiedLinkError(
                    "libtorch needs about 450 MB to unpack itself into ~/.javacpp/cache and the "
                            + "disk is full: free some space, or name another folder with -Dorg.bytedeco.javacpp.cachedir=DIR");
        }
        return e;
    }
}
