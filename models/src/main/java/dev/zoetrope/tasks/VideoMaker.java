package dev.zoetrope.tasks;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.TextToVideo.Request;
import java.util.List;
import java.util.function.Consumer;

/** A model that fulfils requests; one at a time. */
interface VideoMaker extends AutoCloseable {
    /** A request with what suits the model best. */
    Request request(String prompt);

    /** The request with frames and size that the model can make, the nearest to those that are asked for. */
    Request fitted(Request r);

    /** Refuses what the model cannot make. */
    void check(Request r);

    /** Whether clips come with sound. */
    default boolean sounds() {
        return false;
    }

    /**
     * @param frames told of each new frame in turn
     * @param sound told once, behind the frames, how they sound; never where the model makes none
     * @return seconds of a step
     */
    double make(Request r, ImageListener listener, Consumer<Image> frames, Consumer<Audio> sound);

    /** Words of a prompt that the model has never seen. */
    List<String> unknownWords(String prompt);

    @Override
    void close();
}
