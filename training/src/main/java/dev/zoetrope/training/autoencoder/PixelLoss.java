package dev.zoetrope.training.autoencoder;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;

/**
 * How far frames are from what they should be: a smooth L1 plus squares, heavier where something stands before the ground.
 *
 * @param objectWeight by how much heavier
 */
public record PixelLoss(double objectWeight) {
    private static final double SMOOTH = 1e-4;
    private static final double SQUARES = 5;
    private static final double DIFFERENT = .1;

    /**
     * @param made {@code [N, C, H, W]} in -1..1
     * @param frames like made
     * @param metrics told the PSNR
     * @return a number
     */
    public Tensor of(Tensor made, Tensor frames, Metrics metrics) {
        try (Scope s = Scope.open()) {
            Tensor squares = made.sub(frames).div(2).square(); // errors of pictures in 0..1
            metrics.add("psnr", -10 * Math.log10(squares.detach().mean().item()));
            Tensor smooth = squares.add(SMOOTH).sqrt();
            return s.keep(weight(frames).mul(smooth.add(squares.mul(SQUARES))).mean());
        }
    }

    /** 1 on the ground, more on what differs from the frame's corner; mean 1. */
    private Tensor weight(Tensor x) {
        Tensor corner = x.narrow(2, 0, 1).narrow(3, 0, 1);
        Tensor object = x.sub(corner).abs().gt(DIFFERENT).to(DType.FLOAT32);
        Tensor w = object.mul(objectWeight).add(1);
        return w.div(w.mean());
    }
}
