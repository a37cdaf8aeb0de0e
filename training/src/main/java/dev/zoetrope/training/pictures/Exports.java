package dev.zoetrope.training.pictures;

import dev.zoetrope.media.ContactSheet;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/** What a run leaves beside its checkpoints. */
final class Exports {
    private Exports() {}

    /** The run's {@code model} folder, made free for what the run has come to. */
    static Path freshModel(RunFolder folder) {
        Path model = folder.file("model");
        if (Files.exists(model)) {
            try (Stream<Path> files = Files.walk(model)) {
                for (Path f : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(f);
                }
            } catch (IOException e) {
                throw new UserError(model + ": cannot be replaced: " + e, e);
            }
        }
        return model;
    }

    /** What there is to tell of the data, to be put behind a message. */
    static String remarks(PictureData data) {
        StringBuilder b = new StringBuilder();
        data.remarks()
                .forEach((what, value) ->
                        b.append("; ").append(what).append(": ").append(value));
        return b.toString();
    }

    /** A sheet of pictures, {@code [B, 3, H, W]} in 0..1, as a file and for TensorBoard. */
    static void sheet(RunFolder folder, TensorBoard board, String stage, String name, Tensor pictures, long step) {
        Image sheet = ContactSheet.of(Pixels.images(pictures));
        Images.write(sheet, folder.file(name + ".png"));
        board.image(stage + "/" + name, Images.png(sheet, Map.of()), sheet.width(), sheet.height(), step);
    }
}
