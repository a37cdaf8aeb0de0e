package dev.zoetrope.parity;

import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Keeps what the steps of a pipeline make. */
final class Trace implements Denoising.Observer, AutoCloseable {
    private final List<Tensor> predictions = new ArrayList<>();
    private final List<Tensor> samples = new ArrayList<>();

    @Override
    public boolean step(Denoising.Step step) {
        predictions.add(Scope.detach(step.prediction().alias()));
        samples.add(Scope.detach(step.sample().alias()));
        return true;
    }

    /** What the schedulers got, {@code [step, ...]}. */
    Tensor predictions() {
        return Tensor.stack(0, predictions);
    }

    /** What the schedulers made of it, {@code [step, ...]}. */
    Tensor samples() {
        return Tensor.stack(0, samples);
    }

    /** Under the names that the outputs of pipelines have, the picture with its channels last. */
    void answer(Answers answers, Tensor picture) {
        answers.put("model_outputs", predictions());
        answers.put("latents_steps", samples());
        answers.put("image", picture.permute(0, 2, 3, 1).contiguous());
    }

    @Override
    public void close() {
        predictions.forEach(Tensor::close);
        samples.forEach(Tensor::close);
    }
}
