package dev.zoetrope.training;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Tensor;
import java.util.Map;

/** Clips on one picture, two a row, up to eight frames of each. */
public final class ClipSheet {
    private static final int SHOWN = 8;
    private static final double ANY_RATE = 8;

    private ClipSheet() {}

    /**
     * Writes {@code name.png} into the run folder and shows it in TensorBoard.
     *
     * @param video {@code [B, 3, T, H, W]} in -1..1
     * @param tag in TensorBoard
     */
    public static void write(Tensor video, RunFolder folder, String name, String tag, long step, TensorBoard board) {
        Image image = of(video);
        Images.write(image, folder.file(name + ".png"));
        board.image(tag, Images.png(image, Map.of()), image.width(), image.height(), step);
    }

    /** @param video {@code [B, 3, T, H, W]} in -1..1 */
    public static Image of(Tensor video) {
        int frames = (int) video.size(2);
        int shown = Math.min(SHOWN, frames);
        int clips = (int) video.size(0);
        int w = (int) video.size(4);
        int h = (int) video.size(3);
        int columns = 2 * shown;
        int rows = (clips + 1) / 2;
        byte[] rgb = new byte[columns * w * rows * h * 3];
        for (int i = 0; i < clips; i++) {
            Clip clip = VideoTensors.toClip(video.select(0, i), ANY_RATE);
            for (int k = 0; k < shown; k++) {
                byte[] frame = clip.frames().get(k * frames / shown).rgb();
                int left = (i % 2 * shown + k) * w;
                for (int y = 0; y < h; y++) {
                    int row = i / 2 * h + y;
                    System.arraycopy(frame, y * w * 3, rgb, (row * columns * w + left) * 3, w * 3);
                }
            }
        }
        return new Image(columns * w, rows * h, rgb);
    }
}
