package dev.zoetrope.server;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Images;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** Pictures of Carousel for those who have named none of their own: what the built-in models know. */
final class Samples {
    private static final int COUNT = 48;
    private static final int SIDE = 96;
    private static final long SEED = 20_261_124;

    private Samples() {}

    /** Draws what is not there yet. */
    static void draw(Path folder) {
        Options options = Options.training().levels(Level.values()).frames(8).canvases(new World.Canvas(SIDE, SIDE));
        World world = new World(SEED, options);
        for (int i = 0; i < COUNT; i++) {
            Path file = folder.resolve(String.format(Locale.ROOT, "carousel-%02d.png", i));
            if (!Files.exists(file)) {
                Scene scene = world.scene(i);
                Clip clip = scene.render();
                Images.write(clip.frames().get(clip.frames().size() / 2), file, Map.of("caption", scene.caption()));
            }
        }
    }
}
