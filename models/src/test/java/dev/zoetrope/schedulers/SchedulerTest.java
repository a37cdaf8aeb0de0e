package dev.zoetrope.schedulers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SchedulerTest {
    private static Scheduler scheduler(String config) {
        return Scheduler.of(Json.parse("scheduler_config.json", "{" + config.replace('\'', '"') + "}"));
    }

    /** With a network that knows the noise, every deterministic way leads to the sample, however few its steps. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "'_class_name': 'DDIMScheduler', 'clip_sample': false",
                "'_class_name': 'EulerDiscreteScheduler'",
                "'_class_name': 'HeunDiscreteScheduler', 'timestep_spacing': 'trailing'",
                "'_class_name': 'LMSDiscreteScheduler', 'use_karras_sigmas': true",
                "'_class_name': 'DPMSolverMultistepScheduler', 'solver_order': 3",
                "'_class_name': 'DPMSolverSinglestepScheduler', 'lower_order_final': true",
                "'_class_name': 'UniPCMultistepScheduler'",
                "'_class_name': 'FlowMatchEulerDiscreteScheduler', 'shift': 3.0",
                "'_class_name': 'UniPCMultistepScheduler', 'use_flow_sigmas': true, 'prediction_type': 'flow_prediction'"
            })
    void aNetworkThatKnowsTheNoiseIsFollowedToTheSample(String config) {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(1);
                Run run = scheduler(config).start(Plan.of(6))) {
            Tensor clean = random.normal(2, 3, 4, 5);
            Tensor noise = random.normal(2, 3, 4, 5);
            double first = run.timestep();
            Tensor x = run.addNoise(clean, noise, first, first);
            boolean flow = config.contains("FlowMatch") || config.contains("flow_prediction");
            while (!run.done()) {
                x = run.step(flow ? noise.sub(clean) : noise, x, random::normal);
            }
            assertThat(x.sub(clean).abs().max().item()).isLessThan(2e-4);
        }
    }

    @Test
    void runsOfOneSchedulerDoNotDisturbEachOther() {
        Scheduler scheduler = scheduler("'_class_name': 'PNDMScheduler', 'skip_prk_steps': true");
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(2);
                Run a = scheduler.start(Plan.of(4));
                Run b = scheduler.start(Plan.of(4));
                Run c = scheduler.start(Plan.of(4))) {
            Tensor start = random.normal(1, 2, 3, 3);
            Tensor x = start;
            Tensor y = start;
            while (!a.done()) { // a and b in turn, c alone
                x = a.step(x.mul(0.5), x, random::normal);
                y = b.step(y.mul(0.5), y, random::normal);
            }
            Tensor z = start;
            while (!c.done()) {
                z = c.step(z.mul(0.5), z, random::normal);
            }
            assertThat(x.toFloats()).isEqualTo(y.toFloats()).isEqualTo(z.toFloats());
        }
    }

    @Test
    void refusesByName() {
        assertThatThrownBy(() -> scheduler("'_class_name': 'KDPM2DiscreteScheduler'"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("KDPM2DiscreteScheduler")
                .hasMessageContaining("EulerDiscreteScheduler");
        assertThatThrownBy(() -> scheduler("'_class_name': 'DDIMScheduler', 'prediction_type': 'flow_prediction'"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("prediction_type")
                .hasMessageContaining("v_prediction");
        assertThatThrownBy(() -> scheduler("'_class_name': 'DDIMScheduler'").start(Plan.of(2000)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("2000")
                .hasMessageContaining("1000");
        assertThatThrownBy(() -> scheduler(
                                "'_class_name': 'FlowMatchEulerDiscreteScheduler', " + "'use_dynamic_shifting': true")
                        .start(Plan.of(4)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("mu");
    }
}
