package dev.zoetrope.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** OpenAI's own clients, installed for the occasion. With {@code -Pclients}, which needs python3, npm and their registries. */
@Tag("clients")
class ClientsTest {
    private static final Path SCRIPTS = Path.of("src/test/clients").toAbsolutePath();

    @TempDir
    private Path folder;

    @Test
    void python() throws IOException, InterruptedException {
        run(folder, "python3", "-m", "venv", "python");
        run(folder, "python/bin/pip", "install", "-q", "openai");
        try (Fixture server = new Fixture(folder.resolve("data"))) {
            run(folder, "python/bin/python", SCRIPTS.resolve("client.py").toString(), server.server.address());
        }
    }

    @Test
    void node() throws IOException, InterruptedException {
        run(folder, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", "openai");
        Files.copy(SCRIPTS.resolve("client.mjs"), folder.resolve("client.mjs"));
        try (Fixture server = new Fixture(folder.resolve("data"))) {
            run(folder, "node", "client.mjs", server.server.address());
        }
    }

    static void run(Path in, String... command) throws IOException, InterruptedException {
        Path log = in.resolve("log.txt");
        int code = new ProcessBuilder(List.of(command))
                .directory(in.toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start()
                .waitFor();
        assertThat(code)
                .as(String.join(" ", command) + "\n" + Files.readString(log))
                .isZero();
    }
}
