package dev.zoetrope.world;

import java.util.ArrayList;
import java.util.List;

/** The long caption: every fact of a scene, in sentences. */
final class Recaption {
    private static final List<String> PACES = List.of("quickly", "steadily", "slowly");
    private static final List<String> COLUMNS = List.of("left", "middle", "right");
    private static final List<String> ROWS = List.of("top", "middle", "bottom");
    private static final String COLOUR = "the background is plain {c}";
    private static final String PLACE = "the scene is {p}";
    private static final String STANDS = "the camera does not move";

    private Recaption() {}

    static List<String> templates() {
        List<String> templates = new ArrayList<>(List.of(COLOUR, PLACE, STANDS, "in at the from to", "small big huge"));
        templates.addAll(PACES);
        templates.addAll(COLUMNS);
        templates.addAll(ROWS);
        return templates;
    }

    static String of(Scene scene, Draws draws) {
        List<String> parts = new ArrayList<>();
        boolean clip = scene.frames() > 1;
        for (Scene.Sprite sprite : scene.sprites()) {
            WorldObject.Name name = Caption.name(sprite, sizeWord(sprite, scene), scene, draws);
            StringBuilder part = new StringBuilder(name.indefinite());
            if (clip) {
                part.append(' ').append(draws.of(sprite.motion().wordings()));
                if (sprite.motion() != Motion.STILL) {
                    part.append(' ').append(pace(scene));
                }
            }
            String start = place(sprite.track().get(0), scene);
            String end = place(sprite.track().get(scene.frames() - 1), scene);
            if (start.equals(end)) {
                part.append(start.equals("middle") ? " in the " : " at the ").append(start);
            } else {
                part.append(" from the ").append(start).append(" to the ").append(end);
            }
            parts.add(part.toString());
        }
        Relation relation = scene.relation();
        String objects = relation == null
                ? Caption.enumerate(parts)
                : parts.get(0) + ", " + relation.words() + " " + parts.get(1);
        Ground ground = scene.backdrop().ground();
        String text = objects + ". " + Caption.ground(ground.plain() ? COLOUR : PLACE, ground, draws);
        if (!clip) {
            return text + ".";
        }
        List<String> camera = scene.backdrop().camera().wordings();
        return text + (camera.isEmpty() ? ". " + STANDS + "." : " " + draws.of(camera) + ".");
    }

    /** How long the clip takes, as the pace of what happens once in it. */
    private static String pace(Scene scene) {
        double seconds = scene.frames() / scene.fps();
        return PACES.get(seconds < 1 ? 0 : seconds < 2 ? 1 : 2);
    }

    private static String sizeWord(Scene.Sprite sprite, Scene scene) {
        if (scene.sprites().size() > 1) {
            return sprite.size().word();
        }
        double share = sprite.track().get(0).size() / Math.min(scene.width(), scene.height());
        return share < .36 ? "small" : share < .5 ? "" : share < .75 ? "big" : "huge";
    }

    /** One of nine parts of the canvas. */
    static String place(Pose pose, Scene scene) {
        int column = third(pose.x() / scene.width());
        int row = third(pose.y() / scene.height());
        if (column == 1) {
            return ROWS.get(row);
        }
        return row == 1 ? COLUMNS.get(column) : ROWS.get(row) + " " + COLUMNS.get(column);
    }

    private static int third(double share) {
        return share < .38 ? 0 : share < .62 ? 1 : 2;
    }
}
