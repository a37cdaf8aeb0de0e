package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.curation.ScaleOut.PictureJob;
import dev.zoetrope.curation.spark.PictureShards.Picture;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.annotation.Sa1b;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What reads the pictures: one model a process, which all of its tasks share. */
abstract class PictureModel {
    private static @Nullable PictureModel loaded;
    private static String loadedFor = "";

    /**
     * What came of one picture.
     *
     * @param image its embedding; empty where the work is another
     * @param text the embedding of its caption; empty where there is none
     * @param said a caption, or masks in SA-1B's form; empty where the work is another
     * @param masks how many masks
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Outcome(float[] image, float[] text, String said, int masks) {}

    abstract List<Outcome> read(List<Picture> pictures, List<Image> images);

    /** The model of a job in this process, loaded at the first call. */
    static synchronized PictureModel of(PictureJob job) {
        Workers.ready();
        String wanted = job.work() + " " + job.model() + " " + job.prompt();
        PictureModel model = loaded;
        if (model == null || !wanted.equals(loadedFor)) {
            model = load(job);
            loaded = model;
            loadedFor = wanted;
        }
        return model;
    }

    private static PictureModel load(PictureJob job) {
        String name = job.model();
        return switch (job.work()) {
            case EMBED -> new Embedding(name == null ? Embed.builtIn() : Embed.load(folder(name)));
            case CAPTION -> {
                if (name == null) {
                    throw new UserError("no captioning model is built in: name one by --model");
                }
                Path folder = folder(name);
                if (!Caption.isFor(folder)) {
                    throw new UserError(folder + ": is no BLIP-2, which captions here; with other models use ./zoetrope"
                            + " caption");
                }
                Caption.Options o = Caption.Options.DEFAULT;
                yield new Captioning(Caption.load(folder), job.prompt() == null ? o : o.withPrompt(job.prompt()));
            }
            case SEGMENT -> new Segmenting(name == null ? Segment.builtIn() : Segment.of(name));
        };
    }

    private static Path folder(String name) {
        return Files.exists(Path.of(name)) ? Path.of(name) : Hub.ofEnvironment().resolve(name);
    }

    private static final class Embedding extends PictureModel {
        private final Embed model;

        Embedding(Embed model) {
            this.model = model;
        }

        @Override
        List<Outcome> read(List<Picture> pictures, List<Image> images) {
            float[][] seen = model.images(images);
            List<String> captions = new ArrayList<>();
            pictures.forEach(p -> {
                if (p.caption() != null) {
                    captions.add(p.caption());
                }
            });
            float[][] read = model.texts(captions);
            List<Outcome> r = new ArrayList<>();
            int text = 0;
            for (int i = 0; i < seen.length; i++) {
                boolean told = pictures.get(i).caption() != null;
                r.add(new Outcome(seen[i], told ? read[text++] : new float[0], "", 0));
            }
            return r;
        }
    }

    private static final class Captioning extends PictureModel {
        private final Caption model;
        private final Caption.Options options;

        Captioning(Caption model, Caption.Options options) {
            this.model = model;
            this.options = options;
        }

        @Override
        List<Outcome> read(List<Picture> pictures, List<Image> images) {
            return model.of(images, options).stream()
                    .map(said -> new Outcome(new float[0], new float[0], said, 0))
                    .toList();
        }
    }

    private static final class Segmenting extends PictureModel {
        private final AutomaticMasks masks;

        Segmenting(Segment model) {
            masks = new AutomaticMasks(model, AutomaticMasks.Settings.published());
        }

        @Override
        synchronized List<Outcome> read(List<Picture> pictures, List<Image> images) { // the model is for one thread
            List<Outcome> r = new ArrayList<>();
            for (int i = 0; i < images.size(); i++) {
                Image image = images.get(i);
                List<AutomaticMasks.Found> found =
                        masks.generate(image, Progress.NONE).masks();
                String json = Sa1b.of(i, pictures.get(i).path(), image.width(), image.height(), found)
                        .json();
                r.add(new Outcome(new float[0], new float[0], json, found.size()));
            }
            return r;
        }
    }
}
