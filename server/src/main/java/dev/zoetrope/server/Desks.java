package dev.zoetrope.server;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.annotation.Desk;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** A segmenter and the pictures encoded last, so that a second question about one costs the decoder only. */
final class Desks implements AutoCloseable {
    private static final int KEPT = 4;

    private final Segment segment;
    private final Map<Image, Segment.Picture> pictures = new LinkedHashMap<>(16, 0.75f, true);
    private final Map<String, Desk> desks = new LinkedHashMap<>(16, 0.75f, true);

    Desks(Segment segment) {
        this.segment = segment;
    }

    Segment segment() {
        return segment;
    }

    Segment.Picture picture(Image image) {
        Segment.Picture known = pictures.get(image);
        if (known == null) {
            known = segment.open(image);
            pictures.put(image, known);
            drop(pictures);
        }
        return known;
    }

    /** A desk that is open under this name, or else a new one. */
    Desk desk(String name, Supplier<Desk> open) {
        Desk known = desks.get(name);
        if (known == null) {
            known = open.get();
            desks.put(name, known);
            drop(desks);
        }
        return known;
    }

    private static <K, V extends AutoCloseable> void drop(Map<K, V> map) {
        while (map.size() > KEPT) {
            K oldest = map.keySet().iterator().next();
            close(map.remove(oldest));
        }
    }

    private static void close(AutoCloseable it) {
        try {
            it.close();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        new ArrayList<>(pictures.values()).forEach(Desks::close);
        new ArrayList<>(desks.values()).forEach(Desks::close);
        segment.close();
    }
}
