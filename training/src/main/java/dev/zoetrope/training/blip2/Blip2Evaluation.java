package dev.zoetrope.training.blip2;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Retrieve;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.seeing.WorldPictures;
import dev.zoetrope.world.Facts;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.World;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Measures what {@link Blip2Training} made, on scenes of the built-in world that training never draws: captions by what
 * they say, and texts by whether they find a picture that they are true of.
 */
public final class Blip2Evaluation {
    private static final int BATCH = 32;
    private static final int GALLERY = 64; // pictures among which a text has to find one
    private static final int AGAIN = 8; // of which are read again

    /**
     * A row of the table.
     *
     * @param object captions that name the object
     * @param ground captions that name the ground
     * @param all captions that say all facts right and nothing else
     * @param apart texts whose most similar picture fits (ITC)
     * @param again texts whose first picture fits after the best were read again (ITM)
     */
    public record Result(String name, int pictures, int object, int ground, int all, int apart, int again) {}

    private Blip2Evaluation() {}

    /**
     * @param run folder of a finished run
     * @param count pictures a row
     * @param progress told after each batch
     */
    public static List<Result> run(Path run, int count, Progress progress) {
        Path recipe = run.resolve("recipe.json");
        if (!Files.isRegularFile(recipe)) {
            throw new UserError(run + ": no recipe.json; expected the folder of a run of a recipe for blip2");
        }
        Json settings = Json.read(recipe);
        int side = settings.requireAt("model").at("vision_config").get("image_size", 64);
        WorldPictures pictures = WorldPictures.of(settings.at("world"), side);
        List<Split.Side> sides = pictures.sides();
        List<Result> r = new ArrayList<>();
        try (Caption captions = Caption.load(run.resolve("caption"));
                Retrieve retrieval = Retrieve.load(run.resolve("retrieval"))) {
            for (Split.Side pairs : sides) {
                int before = r.size() * count;
                r.add(row(pairs, pictures.test(pairs), captions, retrieval, count, done -> {
                    if (!progress.step(before + done, sides.size() * count)) {
                        throw new CancellationException("stopped after " + done + " of " + count + " pictures");
                    }
                }));
            }
        }
        return r;
    }

    @FunctionalInterface
    private interface Told {
        void after(int done);
    }

    private static Result row(
            Split.Side pairs, World world, Caption captions, Retrieve retrieval, int count, Told told) {
        int object = 0;
        int ground = 0;
        int all = 0;
        int apart = 0;
        int again = 0;
        for (int i = 0; i < count; i += GALLERY) {
            List<Scene> scenes = WorldPictures.scenes(world, i, Math.min(GALLERY, count - i));
            List<Image> images =
                    scenes.stream().map(s -> s.render().frames().get(0)).toList();
            List<Facts> facts = scenes.stream().map(Facts::of).toList();
            for (int k = 0; k < images.size(); k += BATCH) {
                int end = Math.min(images.size(), k + BATCH);
                List<String> said = captions.of(images.subList(k, end), Caption.Options.DEFAULT);
                for (int n = k; n < end; n++) {
                    Facts truth = facts.get(n);
                    Facts read = Facts.read(said.get(n - k));
                    all += read.equals(truth) ? 1 : 0;
                    ground += truth.ground() != null && truth.ground().equals(read.ground()) ? 1 : 0;
                    object += names(read, truth) ? 1 : 0;
                }
            }
            List<float[]> index = retrieval.index(images);
            for (int n = 0; n < images.size(); n++) {
                Facts wanted = facts.get(n);
                String text = scenes.get(n).caption();
                int most = retrieval
                        .pictures(text, index, images::get, 1, 0)
                        .get(0)
                        .index();
                int first = retrieval
                        .pictures(text, index, images::get, 1, AGAIN)
                        .get(0)
                        .index();
                apart += facts.get(most).equals(wanted) ? 1 : 0;
                again += facts.get(first).equals(wanted) ? 1 : 0;
            }
            told.after(i + images.size());
        }
        String name = pairs == Split.Side.SEEN ? "object and style seen" : "object never in this style";
        return new Result(name, count, object, ground, all, apart, again);
    }

    private static boolean names(Facts read, Facts right) {
        return read.things().size() == 1
                && read.things().get(0).object().equals(right.things().get(0).object());
    }

    /** The table in Markdown, each share with its 95 % interval. */
    public static String table(List<Result> results) {
        StringBuilder b = new StringBuilder("| pictures | n | caption: object | ground | all facts | text finds picture"
                + " among " + GALLERY + ", ITC | ITC, then ITM of " + AGAIN + " |\n|---|---|---|---|---|---|---|\n");
        for (Result r : results) {
            b.append("| ").append(r.name).append(" | ").append(r.pictures);
            for (int right : new int[] {r.object, r.ground, r.all, r.apart, r.again}) {
                b.append(" | ").append(new Share(right, r.pictures));
            }
            b.append(" |\n");
        }
        return b.toString();
    }
}
