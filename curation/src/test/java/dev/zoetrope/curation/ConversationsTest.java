package dev.zoetrope.curation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConversationsTest {
    private static final String FINE =
            "{\"id\": \"%s\", \"image\": \"%s\", \"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nWhat?\"},"
                    + " {\"from\": \"gpt\", \"value\": \"A dog.\"}]}";

    @TempDir
    private Path folder;

    private Path write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    @Test
    void imagesThatAreNotThereAreListedById() throws IOException {
        Files.createDirectories(folder.resolve("images/coco"));
        Files.createFile(folder.resolve("images/coco/a.jpg"));
        Path file = write(
                "r.json", "[" + FINE.formatted("one", "coco/a.jpg") + "," + FINE.formatted("two", "coco/b.jpg") + "]");
        assertThat(ConversationCheck.file(file, folder.resolve("images")))
                .containsExactly(new ConversationCheck.Broken(1, "two", ConversationCheck.Rule.IMAGE_DANGLING));
        assertThat(ConversationCheck.file(file, null)).isEmpty();
    }

    @Test
    void aMixIsWrittenWholeOrNotAtAll() throws IOException {
        write("base.json", "[" + FINE.formatted("one", "a.jpg") + ", {\"id\": \"t\", \"conversations\": []}]");
        write("more.json", "[{\"instruction\": \"Add.\", \"output\": \"2\"}, {\"instruction\": \"Add.\"}]");
        Path recipe = write(
                "mix.yaml",
                """
                parts:
                  - {file: base.json, which: with_image, name: base}
                  - {file: more.json, format: instruction, name: more}
                """);
        Mix mix = Mix.read(recipe, folder, Map.of());
        Path out = folder.resolve("mix.json");
        assertThatThrownBy(() -> mix.write(out, m -> {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("more.json: record 1 is no pair of instruction and output");
        assertThat(folder).isDirectoryNotContaining("glob:**mix.json*");

        write("more.json", "[{\"instruction\": \"Add.\", \"output\": \"2\"}]");
        assertThat(mix.write(out, m -> {})).containsExactly(new Mix.Count("base", 2, 1), new Mix.Count("more", 1, 1));
        assertThat(ConversationCheck.file(out, null)).isEmpty();
        assertThat(Files.readString(out)).contains("\"more-0\"").doesNotContain("\"t\"");
    }

    @Test
    void badJsonIsNamedWithItsRecord() throws IOException {
        Path file = write("r.json", "[" + FINE.formatted("one", "a.jpg") + ", {\"id\": }]");
        assertThatThrownBy(() -> ConversationCheck.file(file, null))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("r.json: record 1: bad JSON");
        Path object = write("o.json", "{}");
        assertThatThrownBy(() -> ConversationCheck.file(object, null))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("expected a list of records");
    }
}
