package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** Schedulers by the names that people call them by, over the noise that a model was trained with. */
public final class Samplers {
    private record Kind(String className, Map<String, Object> settings) {}

    private static final Map<String, Kind> KINDS = kinds();

    private Samplers() {}

    private static Map<String, Kind> kinds() {
        Map<String, Kind> r = new LinkedHashMap<>();
        r.put("ddim", new Kind("DDIMScheduler", Map.of()));
        r.put("ddpm", new Kind("DDPMScheduler", Map.of()));
        r.put("dpmpp", new Kind("DPMSolverMultistepScheduler", Map.of("algorithm_type", "dpmsolver++")));
        r.put(
                "dpmpp-karras",
                new Kind(
                        "DPMSolverMultistepScheduler",
                        Map.of("algorithm_type", "dpmsolver++", "use_karras_sigmas", true)));
        r.put("dpmpp-sde", new Kind("DPMSolverMultistepScheduler", Map.of("algorithm_type", "sde-dpmsolver++")));
        r.put("dpmpp-single", new Kind("DPMSolverSinglestepScheduler", Map.of("algorithm_type", "dpmsolver++")));
        r.put("euler", new Kind("EulerDiscreteScheduler", Map.of()));
        r.put("euler-a", new Kind("EulerAncestralDiscreteScheduler", Map.of()));
        r.put("heun", new Kind("HeunDiscreteScheduler", Map.of()));
        r.put("lms", new Kind("LMSDiscreteScheduler", Map.of()));
        r.put("pndm", new Kind("PNDMScheduler", Map.of()));
        r.put("unipc", new Kind("UniPCMultistepScheduler", Map.of()));
        r.put("lcm", new Kind("LCMScheduler", Map.of()));
        return r;
    }

    /** All names, for help texts. */
    public static String names() {
        return String.join(", ", KINDS.keySet());
    }

    /** Refuses a name that there is not. */
    public static void requireKnown(String name) {
        if (!KINDS.containsKey(name)) {
            throw new UserError("there is no scheduler '" + name + "'; there are: " + names());
        }
    }

    /** @param trained the scheduler_config.json that came with the model */
    public static Scheduler of(String name, Json trained) {
        requireKnown(name);
        Kind kind = Objects.requireNonNull(KINDS.get(name));
        if (trained.get("_class_name", "").startsWith("FlowMatch")) {
            throw new UserError("scheduler '" + name
                    + "' is for models of diffusion, and this one goes by flow matching; " + "leave the scheduler out");
        }
        Json j = trained.with("_class_name", kind.className());
        for (Map.Entry<String, Object> e : kind.settings().entrySet()) {
            j = j.with(e.getKey(), e.getValue());
        }
        return Scheduler.of(j);
    }
}
