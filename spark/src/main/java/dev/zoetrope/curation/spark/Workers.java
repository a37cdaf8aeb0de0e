package dev.zoetrope.curation.spark;

import dev.zoetrope.tensor.Engine;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;

/** Sets up the engine of a process in which tasks run. */
final class Workers {
    private static boolean ready;

    private Workers() {}

    /** Tasks run side by side and share the cores; each product then has its task's share of threads. */
    static synchronized void ready() {
        if (!ready) {
            SparkConf conf = SparkEnv.get().conf();
            int cores = Runtime.getRuntime().availableProcessors();
            String master = conf.get("spark.master", "local");
            int slots = 1;
            if (master.startsWith("local[")) {
                String n = master.substring(6, master.length() - 1).replaceFirst(",.*", "");
                slots = n.equals("*") ? cores : Integer.parseInt(n.strip());
            } else if (!master.equals("local")) {
                slots = conf.getInt("spark.executor.cores", cores);
            }
            Engine.setThreads(Math.max(1, Math.min(Engine.threads(), cores / slots)));
            ready = true;
        }
    }
}
