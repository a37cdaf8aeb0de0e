package dev.zoetrope.checkpoint;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Objects;

/** Small files that Python's torch and safetensors wrote. */
final class Fixtures {
    private Fixtures() {}

    static Path file(String name) {
        try {
            URL url = Objects.requireNonNull(Fixtures.class.getResource(name), name);
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
