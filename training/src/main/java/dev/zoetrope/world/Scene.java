package dev.zoetrope.world;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * One moving picture, or a still one, of which every fact is known.
 *
 * @param seed of the world
 * @param number of the scene in the world, its split's first number included
 * @param level how much is in it
 * @param width of the canvas in pixels
 * @param height of the canvas in pixels
 * @param frames how many, T; 1 for a picture
 * @param fps frames a second
 * @param backdrop what is behind the objects
 * @param sprites the objects, in the order in which captions name them
 * @param relation of the first sprite to the second, null unless there are two
 * @param heldOutNames whether captions use the names that are held out of training, instead of the others
 */
public record Scene(
        long seed,
        long number,
        Level level,
        int width,
        int height,
        int frames,
        double fps,
        Backdrop backdrop,
        List<Sprite> sprites,
        @Nullable Relation relation,
        boolean heldOutNames) {

    public Scene {
        sprites = List.copyOf(sprites);
    }

    /**
     * What is behind the objects.
     *
     * @param ground its kind
     * @param red of a plain ground the colour, 0..1; of a drawn one a factor near 1
     * @param green likewise
     * @param blue likewise
     * @param seed which of many drawn grounds of this kind
     * @param camera how it is looked at
     * @param views what each frame shows
     */
    public record Backdrop(
            Ground ground, float red, float green, float blue, int seed, Camera camera, List<Camera.View> views) {

        public Backdrop {
            views = List.copyOf(views);
        }
    }

    /**
     * One object in a scene.
     *
     * @param object what it is
     * @param style how it is drawn
     * @param motion how it moves
     * @param size how big it is among others
     * @param layer a higher one is in front; unique in the scene
     * @param track its pose on the screen in each frame
     */
    public record Sprite(WorldObject object, Style style, Motion motion, Size size, int layer, List<Pose> track) {

        public Sprite {
            track = List.copyOf(track);
        }
    }

    /**
     * A box around what can be seen, in pixels; the right and bottom edges are exclusive.
     *
     * @param left first column
     * @param top first row
     * @param right column after the last
     * @param bottom row after the last
     */
    public record Box(int left, int top, int right, int bottom) {

        /** Whether nothing is in it. */
        public boolean empty() {
            return right <= left || bottom <= top;
        }
    }

    /** How many bytes {@link #render(byte[])} writes: T * height * width * 3. */
    public int bytes() {
        return frames * height * width * 3;
    }

    /** Draws all frames as [T, height, width, 3], RGB of 0..255. */
    public void render(byte[] out) {
        Renderer.render(this, out);
    }

    /** Draws all frames as [T, height, width, 3], RGB of 0..1, not rounded to 8 bits. */
    public void render(float[] out) {
        Renderer.render(this, out);
    }

    /** Draws all frames. */
    public Clip render() {
        byte[] all = new byte[bytes()];
        render(all);
        int size = height * width * 3;
        List<Image> images = new ArrayList<>(frames);
        for (int k = 0; k < frames; k++) {
            images.add(new Image(width, height, Arrays.copyOfRange(all, k * size, (k + 1) * size)));
        }
        return new Clip(images, fps);
    }

    /** What can be seen of each sprite, [N, T, height, width] of 0 and 1: after those in front of it are drawn. */
    public byte[] masks() {
        return Renderer.masks(this, true);
    }

    /** The whole shape of each sprite on the canvas, [N, T, height, width] of 0 and 1, as if nothing were in front of it. */
    public byte[] amodalMasks() {
        return Renderer.masks(this, false);
    }

    /** Boxes of masks as {@link #masks()} and {@link #amodalMasks()} make them, [N][T]; empty where nothing is seen. */
    public List<List<Box>> boxes(byte[] masks) {
        List<List<Box>> boxes = new ArrayList<>();
        for (int i = 0; i < sprites.size(); i++) {
            List<Box> ofSprite = new ArrayList<>();
            for (int k = 0; k < frames; k++) {
                ofSprite.add(box(masks, (i * frames + k) * height * width));
            }
            boxes.add(List.copyOf(ofSprite));
        }
        return List.copyOf(boxes);
    }

    private Box box(byte[] masks, int from) {
        int left = width;
        int top = height;
        int right = 0;
        int bottom = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (masks[from + y * width + x] != 0) {
                    left = Math.min(left, x);
                    right = Math.max(right, x + 1);
                    top = Math.min(top, y);
                    bottom = y + 1;
                }
            }
        }
        return right == 0 ? new Box(0, 0, 0, 0) : new Box(left, top, right, bottom);
    }

    /** A caption that names object, motion and ground, in wording drawn from the scene's own numbers. */
    public String caption() {
        return caption(Caption.Length.FULL, 0);
    }

    /** A caption of this length; each variant draws its own wording, all say the same facts. */
    public String caption(Caption.Length length, int variant) {
        return Caption.of(this, length, variant);
    }

    /** The caption in the plainest wording: scenes of which it says the same have the same. */
    public String plainCaption(Caption.Length length) {
        return Caption.of(this, length, Draws.first());
    }

    /** How it sounds, mono at 16 kHz, as long as the clip. */
    public Audio sound() {
        return Sound.of(this);
    }

    /** One question of every kind that the scene can answer; each variant draws its own wording and object. */
    public List<Question> questions(int variant) {
        return Question.of(this, variant);
    }

    /** What its full captions say, wording aside: scenes with equal facts have the same captions. */
    public Facts facts() {
        return Facts.of(this);
    }

    /** The classes of what is in the scene, in the order of their ids. */
    public Set<Integer> objectIds() {
        Set<Integer> ids = new TreeSet<>();
        sprites.forEach(sprite -> ids.add(sprite.object().id()));
        return ids;
    }
}
