package dev.zoetrope.nn;

import dev.zoetrope.tensor.Tensor;

/** A part of a network with one tensor in and one out. Its weights are fields, made by its constructor. */
@FunctionalInterface
public interface Module {
    Tensor forward(Tensor x);
}
