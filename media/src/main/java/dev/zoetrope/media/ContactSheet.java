package dev.zoetrope.media;

import java.util.List;

/** Pictures of one size beside and below each other. */
public final class ContactSheet {
    private static final int GAP = 4;
    private static final int GREY = 0x808080;

    private ContactSheet() {}

    /** About as many columns as rows; a single picture as it is. */
    public static Image of(List<Image> pictures) {
        if (pictures.size() == 1) {
            return pictures.get(0);
        }
        int columns = (int) Math.ceil(Math.sqrt(pictures.size()));
        int rows = (pictures.size() + columns - 1) / columns;
        Image first = pictures.get(0);
        int width = columns * (first.width() + GAP) - GAP;
        int height = rows * (first.height() + GAP) - GAP;
        Image sheet = Image.filled(width, height, GREY);
        for (int i = 0; i < pictures.size(); i++) {
            int left = i % columns * (first.width() + GAP);
            int top = i / columns * (first.height() + GAP);
            Image p = pictures.get(i);
            for (int y = 0; y < p.height(); y++) {
                System.arraycopy(
                        p.rgb(), y * p.width() * 3, sheet.rgb(), ((top + y) * width + left) * 3, p.width() * 3);
            }
        }
        return sheet;
    }
}
