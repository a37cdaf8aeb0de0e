package dev.zoetrope.tasks;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Between clips of 8-bit frames and tensors of -1..1. */
public final class VideoTensors {
    private VideoTensors() {}

    /** @param video {@code [3, T, H, W]} in -1..1; what lies beyond is cut */
    public static Clip toClip(Tensor video, double fps) {
        int frames = (int) video.size(1);
        int height = (int) video.size(2);
        int width = (int) video.size(3);
        byte[] bytes;
        try (Scope s = Scope.open()) {
            bytes = video.add(1)
                    .mul(127.5)
                    .round()
                    .clamp(0, 255)
                    .permute(1, 2, 3, 0)
                    .to(DType.UINT8)
                    .contiguous()
                    .toBytes();
        }
        int size = height * width * 3;
        List<Image> images = new ArrayList<>(frames);
        for (int k = 0; k < frames; k++) {
            images.add(new Image(width, height, Arrays.copyOfRange(bytes, k * size, (k + 1) * size)));
        }
        return new Clip(images, fps);
    }

    /**
     * @param frames {@code [T, H, W, 3]} bytes of 0..255, one clip after the other
     * @return {@code [B, 3, T, H, W]} in -1..1
     */
    public static Tensor fromBytes(byte[] frames, int clips, int length, int height, int width) {
        try (Scope s = Scope.open()) {
            return s.keep(Tensor.of(frames, clips, length, height, width, 3)
                    .to(DType.FLOAT32)
                    .mulInPlace(1 / 127.5)
                    .addInPlace(-1)
                    .permute(0, 4, 1, 2, 3)
                    .contiguous());
        }
    }
}
