package dev.zoetrope.world;

import java.awt.AlphaComposite;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;

/**
 * Lays the 64 px pictures of an emoji package out as one atlas, in the order of objects.json. Runs on its own, without the
 * build: {@code java AtlasBuilder.java objects.json FOLDER_OF_64PX_PNGS atlas.png}; see the package's README.
 */
public final class AtlasBuilder {
    private static final int CELL = 64;
    private static final int COLUMNS = 12;
    private static final Pattern CODE = Pattern.compile("\"code\"\\s*:\\s*\"([0-9a-f-]+)\"");

    private AtlasBuilder() {}

    /** Writes the atlas; arguments: list of objects, folder of pictures named by code point, atlas to write. */
    public static void main(String[] args) throws IOException {
        if (args.length != 3) {
            throw new IllegalArgumentException("expected: objects.json FOLDER_OF_64PX_PNGS atlas.png");
        }
        List<String> codes = CODE.matcher(Files.readString(Path.of(args[0])))
                .results()
                .map(found -> found.group(1))
                .toList();
        int rows = (codes.size() + COLUMNS - 1) / COLUMNS;
        BufferedImage atlas = new BufferedImage(COLUMNS * CELL, rows * CELL, BufferedImage.TYPE_INT_ARGB);
        Graphics2D pen = atlas.createGraphics();
        pen.setComposite(AlphaComposite.Src);
        for (int i = 0; i < codes.size(); i++) {
            Path file = Path.of(args[1], codes.get(i) + ".png");
            BufferedImage picture = ImageIO.read(file.toFile());
            if (picture.getWidth() != CELL || picture.getHeight() != CELL) {
                throw new IOException(file + ": " + picture.getWidth() + "x" + picture.getHeight() + ", expected "
                        + CELL + "x" + CELL);
            }
            pen.drawImage(picture, i % COLUMNS * CELL, i / COLUMNS * CELL, null);
        }
        pen.dispose();
        ImageIO.write(atlas, "png", Path.of(args[2]).toFile());
    }
}
