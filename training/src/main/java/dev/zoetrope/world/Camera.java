package dev.zoetrope.world;

import java.util.List;

/** What the camera does over a clip; it moves the ground and the objects on it alike. */
public enum Camera {
    FIXED(List.of()),
    PAN_LEFT(List.of("while the camera pans left", "as the camera moves to the left")),
    PAN_RIGHT(List.of("while the camera pans right", "as the camera moves to the right")),
    ZOOM_IN(List.of("while the camera zooms in", "as the camera comes closer")),
    ZOOM_OUT(List.of("while the camera zooms out", "as the camera backs away"));

    private static final double PAN = .3;
    private static final double FAR = .8;
    private static final double NEAR = 1.25;

    private final List<String> wordings;

    Camera(List<String> wordings) {
        this.wordings = wordings;
    }

    /** How a caption says it; empty for a camera that stands. */
    public List<String> wordings() {
        return wordings;
    }

    /** Where the camera looks at instant p of 0..1. */
    View view(double p) {
        return switch (this) {
            case FIXED -> View.HOME;
            case PAN_LEFT -> new View((float) (PAN * (.5 - p)), 1f);
            case PAN_RIGHT -> new View((float) (PAN * (p - .5)), 1f);
            case ZOOM_IN -> new View(0f, (float) (FAR + (NEAR - FAR) * p));
            case ZOOM_OUT -> new View(0f, (float) (NEAR - (NEAR - FAR) * p));
        };
    }

    /**
     * What one frame shows of the world.
     *
     * @param shift how far the camera stands right of the middle, in canvas widths
     * @param zoom magnification about the middle of the canvas
     */
    public record View(float shift, float zoom) {
        static final View HOME = new View(0f, 1f);

        /** The pose on the screen of an object that has this pose in the world. */
        Pose see(Pose world, int width, int height) {
            float x = (world.x() - shift * width - width / 2f) * zoom + width / 2f;
            float y = (world.y() - height / 2f) * zoom + height / 2f;
            return new Pose(x, y, world.size() * zoom, world.angle());
        }
    }
}
