package dev.zoetrope.nn;

import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * How learned positions lie on a grid of patches, and what they are for pictures of another size.
 *
 * @param leading tokens in front of the patches, such as a class token, whose positions never change
 * @param rows of the grid trained on
 * @param columns of the grid trained on
 */
public record PatchPositions(int leading, int rows, int columns) {
    /** How many positions were learned. */
    public int size() {
        return leading + rows * columns;
    }

    /**
     * Positions for another grid, by the bicubic interpolation of the published models, which does not smooth when it
     * shrinks.
     *
     * @param table {@code [leading + rows * columns, D]}, row by row
     * @return {@code [leading + newRows * newColumns, D]}
     */
    public Tensor resized(Tensor table, long newRows, long newColumns) {
        if (newRows == rows && newColumns == columns) {
            return table;
        }
        try (Scope s = Scope.open()) {
            Tensor grid = table.narrow(0, leading, (long) rows * columns)
                    .unflatten(0, rows, columns) // [rows, columns, D]
                    .permute(2, 0, 1)
                    .unsqueeze(0); // [1, D, rows, columns]
            Tensor resized = Functional.interpolate(grid, newRows, newColumns, Interpolation.BICUBIC, false, false);
            Tensor patches = resized.select(0, 0).flatten(1).transpose(0, 1); // [newRows * newColumns, D]
            return s.keep(leading == 0 ? patches : Tensor.cat(0, table.narrow(0, 0, leading), patches));
        }
    }
}
