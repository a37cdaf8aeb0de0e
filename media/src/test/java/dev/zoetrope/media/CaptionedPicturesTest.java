package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.parquet.io.api.Binary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CaptionedPicturesTest {
    @TempDir
    Path folder;

    private static byte[] png(int grey) {
        return Images.png(Image.filled(3, 2, grey * 0x010101), Map.of());
    }

    private static List<String> captions(Path path, long epoch) {
        List<String> r = new ArrayList<>();
        try (CaptionedPictures.Samples all = CaptionedPictures.open(path).samples(epoch)) {
            all.forEachRemaining(
                    s -> r.add(s.label() + "|" + s.caption() + "|" + (s.image().pixel(0, 0) & 0xff)));
        }
        return r;
    }

    @Test
    void aFolderWithItsListOfCaptions() throws IOException {
        Files.write(folder.resolve("a.png"), png(1));
        Files.write(Files.createDirectories(folder.resolve("sub")).resolve("b.png"), png(2));
        Files.writeString(
                folder.resolve("metadata.jsonl"),
                """
                {"file_name": "a.png", "text": "one"}

                {"file_name": "sub/b.png", "text": "two", "label": 7}
                """);

        assertThat(captions(folder, -1)).containsExactly("|one|1", "7|two|2");

        Files.writeString(folder.resolve("metadata.jsonl"), "{\"file_name\": \"../b.png\"}\n");
        assertThatThrownBy(() -> CaptionedPictures.open(folder))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("leaves the folder");
    }

    @Test
    void aFolderOfOneFolderAClass() throws IOException {
        Files.write(Files.createDirectories(folder.resolve("fox")).resolve("1.png"), png(1));
        Files.write(Files.createDirectories(folder.resolve("owl")).resolve("1.png"), png(2));

        assertThat(captions(folder, -1)).containsExactly("fox||1", "owl||2");
    }

    @Test
    void aTarOfSamplesWithLongNamesToo() throws IOException {
        String deep = "d".repeat(120) + "/000001";
        ByteArrayOutputStream tar = new ByteArrayOutputStream();
        member(tar, "000000.cls", '0', "3".getBytes(StandardCharsets.UTF_8));
        member(tar, "000000.png", '0', png(5));
        member(tar, "000000.txt", '0', "a fox\n".getBytes(StandardCharsets.UTF_8));
        member(tar, "././@LongLink", 'L', (deep + ".png\0").getBytes(StandardCharsets.UTF_8));
        member(tar, "short", '0', png(6));
        member(tar, "././@LongLink", 'L', (deep + ".json\0").getBytes(StandardCharsets.UTF_8));
        member(tar, "short", '0', "{\"caption\": \"an owl\"}".getBytes(StandardCharsets.UTF_8));
        tar.write(new byte[1024]);
        Path file = Files.write(folder.resolve("shard-000.tar"), tar.toByteArray());

        assertThat(captions(folder, -1)).containsExactly("3|a fox|5", "|an owl|6");
        assertThat(captions(file, 1)).containsExactlyInAnyOrder("3|a fox|5", "|an owl|6");

        Files.write(file, Arrays.copyOf(tar.toByteArray(), 700));
        assertThatThrownBy(() -> captions(file, -1))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("ends within a member");
    }

    private static void member(OutputStream out, String name, char type, byte[] content) throws IOException {
        byte[] header = new byte[512];
        put(header, 0, name);
        put(header, 124, String.format("%011o", content.length));
        header[156] = (byte) type;
        put(header, 257, "ustar");
        out.write(header);
        out.write(content);
        out.write(new byte[-content.length & 511]);
    }

    private static void put(byte[] header, int at, String text) {
        byte[] b = text.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(b, 0, header, at, b.length);
    }

    private record Picture(Binary bytes, String path) {}

    private record Row(Picture image, String text) {}

    @Test
    void aTableWithPicturesInIt() throws IOException {
        Path file = folder.resolve("train.parquet");
        try (Parquet.Writer<Row> w = Parquet.writer(Files.newOutputStream(file), Row.class)) {
            w.add(new Row(new Picture(Binary.fromConstantByteArray(png(9)), "x.png"), "nine"));
        }

        assertThat(captions(file, -1)).containsExactly("|nine|9");
    }

    @Test
    void nothingOfTheKindIsSaid() throws IOException {
        assertThatThrownBy(() -> CaptionedPictures.open(folder)).hasMessageContaining("no pictures, no metadata.jsonl");
        Path other = Files.writeString(folder.resolve("a.csv"), "x");
        assertThatThrownBy(() -> CaptionedPictures.open(other)).hasMessageContaining("expected a folder");
    }
}
