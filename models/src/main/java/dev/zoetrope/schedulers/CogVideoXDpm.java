package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/** Second-order DPM-Solver++ with fresh noise (arXiv:2211.01095) over the noise levels of CogVideoX-5b. */
public record CogVideoXDpm(CogVideoXTable table) implements Scheduler {
    public static CogVideoXDpm of(Json j) {
        return new CogVideoXDpm(CogVideoXTable.of(j));
    }

    @Override
    public Run start(Plan plan) {
        int stride = table.size() / plan.steps();
        return new Run(table.timesteps(plan), plan.begin()) {
            private final History cleans = new History(2);

            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                double t = timestep(index());
                boolean first = cleans.size() == 0;
                boolean last = t - stride < 0;
                cleans.add(table.clean(output, sample, t));
                double acpBefore = table.alphaCumprod(t - stride);
                double lambda = lambda(t);
                double h = lambda(t - stride) - lambda;
                double ofSample = Math.sqrt((1 - acpBefore) / (1 - table.alphaCumprod(t))) * Math.exp(-h);
                double ofClean = -Math.expm1(-2 * h) * Math.sqrt(acpBefore);
                double fresh = Math.sqrt(1 - acpBefore) * Math.sqrt(1 - Math.exp(-2 * h));
                Tensor drawn = noise.draw(sample.shape());
                Tensor clean = cleans.get(0);
                if (!first && !last) {
                    double r = (lambda - lambda(timestep(index() - 1))) / h;
                    clean = Weighted.sum(1 + 1 / (2 * r), clean, -1 / (2 * r), cleans.get(1));
                    drawn = noise.draw(sample.shape()); // the reference draws twice: a seed must mean the same here
                }
                return Weighted.sum(ofSample, sample, ofClean, clean, fresh, drawn);
            }

            /** Half the logarithm of the signal to noise ratio. */
            private double lambda(double t) {
                double acp = table.alphaCumprod(t);
                return Math.log(Math.sqrt(acp / (1 - acp)));
            }

            @Override
            Level level(double timestep) {
                return table.level(timestep);
            }

            @Override
            public void close() {
                cleans.close();
            }
        };
    }
}
