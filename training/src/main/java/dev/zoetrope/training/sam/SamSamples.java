package dev.zoetrope.training.sam;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tasks.annotation.Sa1b;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Pictures with masks to learn from, numbered without end; safe for several threads. */
@FunctionalInterface
interface SamSamples {
    /** What is too small to be clicked on is no target, in pixels. */
    int SMALLEST = 12;

    /** Scenes in a split of the world. */
    long SCENES = 1_000_000_000;

    /**
     * A picture and what can be segmented in it.
     *
     * @param masks at least one, of the picture's size
     */
    record Sample(Image picture, List<Mask> masks) {}

    Sample sample(long number);

    /** Scenes of Carousel; every visible object is a target. */
    static SamSamples of(World world) {
        return number -> {
            for (long attempt = 0; ; attempt++) {
                Sample s = ofScene(world.scene((number * 16 + attempt) % SCENES));
                if (!s.masks.isEmpty()) {
                    return s;
                }
            }
        };
    }

    private static Sample ofScene(Scene scene) {
        byte[] rgb = new byte[scene.bytes()];
        scene.render(rgb);
        int w = scene.width();
        int h = scene.height();
        byte[] all = scene.masks(); // [N, 1, h, w]
        List<Mask> masks = new ArrayList<>();
        for (int from = 0; from < all.length; from += w * h) {
            Mask m = new Mask(w, h, Arrays.copyOfRange(all, from, from + w * h));
            if (m.area() >= SMALLEST) {
                masks.add(m);
            }
        }
        return new Sample(new Image(w, h, rgb), masks);
    }

    /**
     * What was annotated: the pictures of a session that have masks, or of a folder with files of SA-1B's form. Each
     * picture is read anew when its turn comes.
     */
    static SamSamples of(Path sessionOrFolder) {
        List<Annotated> all = Files.isDirectory(sessionOrFolder) ? folder(sessionOrFolder) : session(sessionOrFolder);
        if (all.isEmpty()) {
            throw new UserError(sessionOrFolder + ": no picture in it has a mask; annotate some first");
        }
        return number -> {
            // Every picture once, in another order each time.
            long pass = number / all.size();
            List<Integer> order =
                    new ArrayList<>(IntStream.range(0, all.size()).boxed().toList());
            Collections.shuffle(order, new Random(pass));
            return all.get(order.get((int) (number % all.size()))).sample();
        };
    }

    /** A picture's file and its masks, which take little memory as runs. */
    record Annotated(Path picture, List<Rle> masks) {
        Sample sample() {
            return new Sample(
                    Images.read(picture), masks.stream().map(Rle::mask).toList());
        }
    }

    private static List<Annotated> session(Path file) {
        return AnnotationSession.open(file).items().stream()
                .map(i -> new Annotated(
                        i.file(),
                        large(i.annotations().stream()
                                .map(AnnotationSession.Annotation::mask)
                                .toList())))
                .filter(a -> !a.masks.isEmpty())
                .toList();
    }

    private static List<Annotated> folder(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(".json"))
                    .sorted()
                    .map(f -> {
                        Sa1b s = Sa1b.read(f);
                        return new Annotated(
                                folder.resolve(s.fileName()).normalize(),
                                large(s.annotations().stream()
                                        .map(Sa1b.Entry::mask)
                                        .toList()));
                    })
                    .filter(a -> !a.masks.isEmpty())
                    .toList();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private static List<Rle> large(List<Rle> masks) {
        return masks.stream().filter(m -> m.area() >= SMALLEST).toList();
    }
}
