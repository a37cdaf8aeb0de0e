package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;

/**
 * The way from noise to a sample.
 *
 * <pre>{@code
 * try (Run run = Scheduler.of(Json.read(folder.resolve("scheduler_config.json"))).start(Plan.of(30))) {
 *     Tensor x = random.normal(shape).mul(run.initialScale());
 *     while (!run.done()) {
 *         Tensor output = network.forward(run.input(x), run.timestep());
 *         x = run.step(output, x, random::normal);
 *     }
 * }
 * }</pre>
 */
public interface Scheduler {
    /** A new run; any number of them may go on at once. */
    Run start(Plan plan);

    /** Calls of the network that a step takes, apart from the last. */
    default int callsPerStep() {
        return 1;
    }

    /** The scheduler that a scheduler_config.json names and describes. */
    static Scheduler of(Json j) {
        return switch (j.require("_class_name")) {
            case "DDPMScheduler" -> Ddpm.of(j);
            case "DDIMScheduler" -> Ddim.of(j);
            case "PNDMScheduler" -> Pndm.of(j);
            case "LCMScheduler" -> Lcm.of(j);
            case "LMSDiscreteScheduler" -> Lms.of(j);
            case "HeunDiscreteScheduler" -> Heun.of(j);
            case "EulerDiscreteScheduler" -> Euler.of(j);
            case "EulerAncestralDiscreteScheduler" -> EulerAncestral.of(j);
            case "DPMSolverMultistepScheduler" -> DpmSolver.of(j);
            case "DPMSolverSinglestepScheduler" -> DpmSolverSinglestep.of(j);
            case "UniPCMultistepScheduler" -> UniPc.of(j);
            case "FlowMatchEulerDiscreteScheduler" -> FlowMatchEuler.of(j);
            case "CogVideoXDDIMScheduler" -> CogVideoXDdim.of(j);
            case "CogVideoXDPMScheduler" -> CogVideoXDpm.of(j);
            default ->
                throw j.unsupported(
                        "_class_name",
                        "DDPMScheduler, DDIMScheduler, PNDMScheduler, LCMScheduler, LMSDiscreteScheduler, "
                                + "HeunDiscreteScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, "
                                + "DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler, UniPCMultistepScheduler, "
                                + "FlowMatchEulerDiscreteScheduler, CogVideoXDDIMScheduler, CogVideoXDPMScheduler");
        };
    }
}
