package dev.zoetrope.tasks;

import dev.zoetrope.tensor.UserError;

/** Checks of what a user asks for. */
final class Limits {
    private Limits() {}

    static void between(String what, int value, int least, int most) {
        if (value < least || value > most) {
            throw new UserError(what + " " + value + " is not between " + least + " and " + most);
        }
    }
}
