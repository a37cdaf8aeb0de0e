package dev.zoetrope.training.sam;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.util.List;
import java.util.Set;

/** The scenes of Carousel that segmentation learns from and is measured on: stills with up to five objects. */
final class SamWorld {
    private static final int CROWD = 5;

    private SamWorld() {}

    /** Which objects and styles are shown. */
    enum Shown {
        /** What training shows. */
        SEEN("seen objects"),
        /** Objects that training never shows. */
        HELD_OUT_OBJECTS("held-out objects"),
        /** Objects in the style in which training never shows them. */
        HELD_OUT_STYLE("held-out style");

        final String label;

        Shown(String label) {
            this.label = label;
        }
    }

    static World training(Json j, long seed, int side) {
        return new World(seed, options(side).split(Split.TRAIN).crowd(j.get("crowd", CROWD)));
    }

    static World test(long seed, int side, Shown shown) {
        Options o = options(side).split(Split.TEST);
        return new World(
                seed,
                switch (shown) {
                    case SEEN -> o;
                    case HELD_OUT_OBJECTS -> o.objects(objects(true)).pairs(Split.Side.ANY);
                    case HELD_OUT_STYLE -> o.styles(Style.FLAT).pairs(Split.Side.HELD_OUT);
                });
    }

    private static Options options(int side) {
        return Options.training()
                .levels(Level.L2, Level.L3)
                .objects(objects(false))
                .frames(1)
                .crowd(CROWD)
                .canvases(new World.Canvas(side, side));
    }

    private static List<WorldObject> objects(boolean heldOut) {
        Set<WorldObject> out = Split.heldOutObjects(WorldObjects.all());
        return WorldObjects.all().stream()
                .filter(o -> out.contains(o) == heldOut)
                .toList();
    }
}
