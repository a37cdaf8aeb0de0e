package dev.zoetrope.curation.spark;

import dev.zoetrope.curation.ScaleOut;
import java.util.function.Consumer;

/** Makes Spark available to those who look it up. */
public final class SparkProvider implements ScaleOut.Provider {
    @Override
    public ScaleOut open(String master, Consumer<String> progress) {
        return SparkScaleOut.open(master, progress);
    }
}
