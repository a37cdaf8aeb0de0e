package dev.zoetrope.tensor;

import org.bytedeco.pytorch.global.torch;

/** Where a tensor lives: {@code cpu}, or {@code cuda:0} in a build with the gpu profile. */
public record Device(Kind kind, int index) {
    public enum Kind {
        CPU,
        CUDA
    }

    public static final Device CPU = new Device(Kind.CPU, 0);

    public static Device cuda(int index) {
        return new Device(Kind.CUDA, index);
    }

    /** {@code cpu}, {@code cuda} or {@code cuda:N}. */
    public static Device of(String name) {
        if (name.equals("cpu")) {
            return CPU;
        }
        if (name.equals("cuda")) {
            return cuda(0);
        }
        if (name.matches("cuda:\\d{1,3}")) {
            return cuda(Integer.parseInt(name.substring(5)));
        }
        throw new UserError("unknown device '" + name + "'; expected cpu, cuda or cuda:N");
    }

    /** Whether this machine has a CUDA device that this build can use. */
    public static boolean hasCuda() {
        Engine.load();
        return torch.cuda_is_available();
    }

    @Override
    public String toString() {
        return kind == Kind.CPU ? "cpu" : "cuda:" + index;
    }

    org.bytedeco.pytorch.Device engine() {
        return new org.bytedeco.pytorch.Device(kind == Kind.CPU ? torch.DeviceType.CPU : torch.DeviceType.CUDA, (byte)
                (kind == Kind.CPU ? -1 : index));
    }
}
