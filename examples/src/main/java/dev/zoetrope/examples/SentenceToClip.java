package dev.zoetrope.examples;

import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.TextToVideo;
import java.nio.file.Path;

/** A sentence becomes two clips: one with the defaults, one with every choice made. */
public final class SentenceToClip {
    private SentenceToClip() {}

    /** @param arguments the folder to write to; the current one if there is none */
    public static void main(String... arguments) {
        Path folder = Path.of(arguments.length == 0 ? "." : arguments[0]);
        try (var model = TextToVideo.builtIn()) {
            model.generate("a fox bouncing on a blue background").save(folder.resolve("fox.mp4"));

            var request = TextToVideo.Request.of("a red car driving to the left on a green background")
                    .withFrames(8)
                    .withSize(96, 64)
                    .withGuidanceScale(3)
                    .withSeed(7);
            GeneratedVideo car = model.generate(request, (step, steps) -> {
                System.err.printf("step %d of %d%n", step, steps);
                return true; // false stops
            });
            if (!car.unknownWords().isEmpty()) {
                System.err.println("the model does not know: " + car.unknownWords());
            }
            car.save(folder.resolve("car.gif"));
        }
    }
}
