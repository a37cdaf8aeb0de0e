package dev.zoetrope.schedulers;

/** A run of a solver in lambda, half the logarithm of the signal to noise ratio. */
abstract class SolverRun extends Run {
    private final SolverLevels config;
    private final double[] sigmas;

    SolverRun(SolverLevels config, SolverLevels.Levels levels, int begin) {
        super(levels.timesteps(), begin);
        this.config = config;
        this.sigmas = levels.sigmas();
    }

    @Override
    public double[] sigmas() {
        return sigmas.clone();
    }

    /** Before a call, or after the last. */
    final Level level(int call) {
        return config.level((float) sigmas[call]);
    }

    @Override
    Level level(double timestep) {
        return level(indexOf(timestep));
    }

    /** log(alpha / sigma): infinite where no noise is left. */
    static float lambda(Level l) {
        return (float) Math.log(l.alpha()) - (float) Math.log(l.sigma());
    }
}
