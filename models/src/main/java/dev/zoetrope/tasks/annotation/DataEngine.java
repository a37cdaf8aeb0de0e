package dev.zoetrope.tasks.annotation;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.AutomaticMasks.Found;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.annotation.AnnotationSession.Annotation;
import dev.zoetrope.tasks.annotation.AnnotationSession.Item;
import dev.zoetrope.tasks.annotation.AnnotationSession.Source;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * The three stages of the data engine, arXiv:2304.02643 section 4: a person clicks and the model answers ({@link #open}); the
 * model fills in what it is sure of and the person adds the rest ({@link #prefill}, then {@link #open}); the model alone
 * ({@link #automatic}, and {@link #folder} for any number of pictures). One thread at a time.
 */
public final class DataEngine {
    /** A mask of which this much is there already is not added again. */
    private static final double SAME = .7;

    private final Segment segment;
    private final AnnotationSession session;

    /** The segmenter stays its owner's. */
    public DataEngine(Segment segment, AnnotationSession session) {
        this.segment = segment;
        this.session = session;
    }

    public AnnotationSession session() {
        return session;
    }

    /** Stage 1: a picture for a person to click on. */
    public Desk open(int picture) {
        Image image = Images.read(session.item(picture).file());
        return new Desk(session, picture, image, segment.open(image));
    }

    /** Stage 2: adds masks that the model is sure of and that are not there yet. @return what was added */
    public List<Annotation> prefill(int picture, AutomaticMasks.Settings sure, Progress progress) {
        return add(picture, sure, Source.CONFIDENT, progress);
    }

    /** Stage 3 for one picture of the session, which then is done. @return what was added */
    public List<Annotation> automatic(int picture, AutomaticMasks.Settings settings, Progress progress) {
        List<Annotation> added = add(picture, settings, Source.AUTOMATIC, progress);
        session.setDone(picture, true);
        return added;
    }

    private List<Annotation> add(int picture, AutomaticMasks.Settings settings, Source source, Progress progress) {
        Item item = session.item(picture);
        Image image = Images.read(item.file());
        List<Annotation> added = new ArrayList<>();
        for (Found f :
                new AutomaticMasks(segment, settings).generate(image, progress).masks()) {
            boolean known = session.item(picture).annotations().stream()
                    .anyMatch(a -> a.mask().iou(f.mask(), false) > SAME);
            if (!known) {
                added.add(session.accept(
                        picture, f.mask(), source, List.of(f.point()), null, f.predictedIou(), f.stability()));
            }
        }
        return added;
    }

    /** What came of a folder. */
    public record Outcome(int pictures, int skipped, long masks, List<String> failures) {
        public Outcome {
            failures = List.copyOf(failures);
        }
    }

    /**
     * Stage 3 for pictures of any number: a file of SA-1B's form for each, in a folder. Pictures whose file is there are
     * skipped, so a run that was stopped goes on. A picture that cannot be read is reported and does not end the run.
     *
     * @param progress counts pictures
     */
    public static Outcome folder(
            Segment segment, List<Path> pictures, Path output, AutomaticMasks.Settings settings, Progress progress) {
        AutomaticMasks automatic = new AutomaticMasks(segment, settings);
        List<String> failures = new ArrayList<>();
        int done = 0;
        int skipped = 0;
        long masks = 0;
        for (int i = 0; i < pictures.size(); i++) {
            Path picture = pictures.get(i);
            Path file = output.resolve(picture.getFileName() + ".json");
            if (Files.exists(file)) {
                skipped++;
            } else {
                try {
                    Image image = Images.read(picture);
                    List<Found> found = automatic.generate(image, Progress.NONE).masks();
                    String name = output.toAbsolutePath()
                            .normalize()
                            .relativize(picture.toAbsolutePath().normalize())
                            .toString();
                    Sa1b.of(i + 1L, name, image.width(), image.height(), found).write(file);
                    masks += found.size();
                    done++;
                } catch (UserError e) {
                    failures.add(String.valueOf(e.getMessage()));
                }
            }
            if (!progress.step(i + 1, pictures.size())) {
                throw new CancellationException();
            }
        }
        return new Outcome(done, skipped, masks, failures);
    }
}
