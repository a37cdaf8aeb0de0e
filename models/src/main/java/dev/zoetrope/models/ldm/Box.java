package dev.zoetrope.models.ldm;

import dev.zoetrope.tensor.UserError;

/** Where a phrase shall be seen; edges in 0..1 of the picture, from its upper left corner. */
public record Box(String phrase, double left, double top, double right, double bottom) {
    public Box {
        if (phrase.isBlank()) {
            throw new UserError("a box needs a phrase that says what it shows, such as \"a dog:0.1,0.2,0.5,0.9\"");
        }
        if (!(0 <= left && left < right && right <= 1 && 0 <= top && top < bottom && bottom <= 1)) {
            throw new UserError("box of '" + phrase + "': " + left + "," + top + "," + right + "," + bottom
                    + " are not left,top,right,bottom within 0..1");
        }
    }
}
