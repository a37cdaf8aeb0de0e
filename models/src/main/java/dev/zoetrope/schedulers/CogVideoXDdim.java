package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/** DDIM over the noise levels of CogVideoX-2b. */
public record CogVideoXDdim(CogVideoXTable table) implements Scheduler {
    public static CogVideoXDdim of(Json j) {
        return new CogVideoXDdim(CogVideoXTable.of(j));
    }

    @Override
    public Run start(Plan plan) {
        int stride = table.size() / plan.steps();
        return new Run(table.timesteps(plan), plan.begin()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                double t = timestep(index());
                double acp = table.alphaCumprod(t);
                double acpBefore = table.alphaCumprod(t - stride);
                double a = Math.sqrt((1 - acpBefore) / (1 - acp));
                double b = Math.sqrt(acpBefore) - Math.sqrt(acp) * a;
                return Weighted.sum(a, sample, b, table.clean(output, sample, t));
            }

            @Override
            Level level(double timestep) {
                return table.level(timestep);
            }
        };
    }
}
