package dev.zoetrope.langchain4j;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.model.image.ImageModel;
import dev.langchain4j.model.output.Response;
import dev.zoetrope.media.Clip;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Pictures from prompts.
 *
 * <pre>{@code
 * try (var model = ZoetropeImageModel.load(Path.of("stable-diffusion-v1-5"))) {
 *     Image image = model.generate("a sneaker").content();
 * }
 * }</pre>
 *
 * Each picture has the seed after the one before, from {@link #withSeed} on. One at a time: calls from several threads wait
 * for each other.
 */
public final class ZoetropeImageModel implements ImageModel, AutoCloseable {
    private static final double STRENGTH = 0.6;

    /** What makes the pictures. */
    private interface Maker extends AutoCloseable {
        List<Image> make(String prompt, int count, long seed);

        Image edit(dev.zoetrope.media.Image picture, String prompt, long seed);

        Image repaint(dev.zoetrope.media.Image picture, dev.zoetrope.media.Image mask, String prompt, long seed);

        @Override
        void close();
    }

    private final Maker maker;
    private final AtomicLong seed = new AtomicLong();

    private ZoetropeImageModel(Maker maker) {
        this.maker = maker;
    }

    /** A pipeline's folder with model_index.json, or Stable Diffusion 1.x in one file. */
    public static ZoetropeImageModel load(Path folderOrFile) {
        return new ZoetropeImageModel(new Pipeline(TextToImage.load(folderOrFile)));
    }

    /** Pictures of Carousel, the built-in world, by the small model that comes with Zoetrope. */
    public static ZoetropeImageModel builtIn() {
        return new ZoetropeImageModel(new Frames(TextToVideo.builtIn()));
    }

    /** The seed of the next picture. */
    public ZoetropeImageModel withSeed(long value) {
        seed.set(value);
        return this;
    }

    @Override
    public Response<Image> generate(String prompt) {
        return Response.from(maker.make(prompt, 1, seed.getAndIncrement()).get(0));
    }

    @Override
    public Response<List<Image>> generate(String prompt, int n) {
        return Response.from(maker.make(prompt, n, seed.getAndAdd(n)));
    }

    @Override
    public Response<Image> edit(Image image, String prompt) {
        return Response.from(maker.edit(Pictures.read(image), prompt, seed.getAndIncrement()));
    }

    /** @param mask white where it is painted anew */
    @Override
    public Response<Image> edit(Image image, Image mask, String prompt) {
        return Response.from(maker.repaint(Pictures.read(image), Pictures.read(mask), prompt, seed.getAndIncrement()));
    }

    @Override
    public void close() {
        maker.close();
    }

    private record Pipeline(TextToImage model) implements Maker {
        @Override
        public List<Image> make(String prompt, int count, long seed) {
            ImageRequest r = model.defaults(prompt).withSeed(seed);
            return model.generate(r.with(r.settings().withCount(count)), ImageListener.NONE).stream()
                    .map(Pipeline::image)
                    .toList();
        }

        private static Image image(GeneratedImage g) {
            return Pictures.of(g.image(), g.settings());
        }

        @Override
        public Image edit(dev.zoetrope.media.Image picture, String prompt, long seed) {
            ImageRequest r = model.forPictures().defaults(prompt).withSeed(seed);
            return image(model.forPictures()
                    .generate(picture, STRENGTH, r, ImageListener.NONE)
                    .get(0));
        }

        @Override
        public Image repaint(
                dev.zoetrope.media.Image picture, dev.zoetrope.media.Image mask, String prompt, long seed) {
            ImageRequest r = model.forPictures().defaults(prompt).withSeed(seed);
            return image(model.forPictures()
                    .repaint(picture, mask, 1, r, ImageListener.NONE)
                    .get(0));
        }

        @Override
        public void close() {
            model.close();
        }
    }

    /** Clips of one frame. */
    private record Frames(TextToVideo model) implements Maker {
        @Override
        public List<Image> make(String prompt, int count, long seed) {
            List<Image> r = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                r.add(image(model.request(prompt).withFrames(1).withSeed(seed + i)));
            }
            return r;
        }

        private Image image(TextToVideo.Request r) {
            GeneratedVideo v = model.generate(r, Progress.NONE);
            return Pictures.of(v.clip().frames().get(0), v.settings());
        }

        @Override
        public Image edit(dev.zoetrope.media.Image picture, String prompt, long seed) {
            Start start = new Start.Edit(new Clip(List.of(picture), 1), STRENGTH);
            return image(model.fitted(
                    model.request(prompt).withFrames(1).withSeed(seed).withStart(start)));
        }

        @Override
        public Image repaint(
                dev.zoetrope.media.Image picture, dev.zoetrope.media.Image mask, String prompt, long seed) {
            throw new UserError("the built-in model takes no masks; load a Stable Diffusion");
        }

        @Override
        public void close() {
            model.close();
        }
    }
}
