package dev.zoetrope.tensor;

import org.bytedeco.pytorch.global.torch;

/**
 * Mixed precision on the CPU for the current thread: while open, products and convolutions run in bfloat16 and the rest
 * stays in float32. Wins two to four times on processors with bfloat16 instructions and loses on others; ask
 * {@link Engine} or measure.
 */
public final class Autocast implements AutoCloseable {
    private final boolean before;

    private Autocast(boolean on) {
        Engine.load();
        before = torch.is_autocast_enabled(torch.DeviceType.CPU);
        if (on) {
            torch.set_autocast_dtype(torch.DeviceType.CPU, torch.ScalarType.BFloat16);
            // The cache of converted weights can only be cleared by a call that the bindings lack.
            torch.set_autocast_cache_enabled(false);
        }
        if (before != on) {
            torch.set_autocast_enabled(torch.DeviceType.CPU, on);
        }
    }

    public static Autocast bfloat16() {
        return new Autocast(true);
    }

    public static Autocast off() {
        return new Autocast(false);
    }

    /** bfloat16 or nothing at all. */
    public static Autocast bfloat16If(boolean on) {
        return new Autocast(on);
    }

    @Override
    public void close() {
        if (torch.is_autocast_enabled(torch.DeviceType.CPU) != before) {
            torch.set_autocast_enabled(torch.DeviceType.CPU, before);
        }
    }
}
