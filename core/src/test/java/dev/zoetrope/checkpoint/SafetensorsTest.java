package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
    @TempDir
    Path dir;

    @Test
    void readsEveryTypeThatPythonWrote() {
        try (Scope s = Scope.open();
                Checkpoint c = Checkpoint.open(Fixtures.file("dtypes.safetensors"))) {
            assertThat(c.metadata()).isEqualTo(Map.of("format", "pt", "note", "ü"));
            assertThat(c.keys()).hasSize(15);
            for (String name : c.keys()) {
                Tensor t = c.tensor(name);
                if (name.equals("scalar")) {
                    assertThat(t.item()).isEqualTo(3.5);
                } else if (name.equals("empty")) {
                    assertThat(t.shape()).containsExactly(0, 4);
                } else if (t.dtype() == DType.COMPLEX64) {
                    assertThat(t.viewAsReal().toFloats()).containsExactly(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0);
                } else if (t.dtype() == DType.BOOL) {
                    assertThat(t.toFloats()).containsExactly(0, 1, 1, 1, 1, 1);
                } else {
                    assertThat(t.toFloats()).as(name).containsExactly(0, 1, 2, 3, 4, 5);
                }
            }
        }
    }

    @Test
    void whatIsWrittenIsReadBackAndAligned() {
        Path file = dir.resolve("deeper/out.safetensors");
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(3)) {
            for (DType d : DType.values()) {
                Tensor t = random.normal(3, 5);
                tensors.put("t." + d, d == DType.BOOL ? t.gt(0) : t.to(d));
            }
            tensors.put("transposed", random.normal(4, 6).transpose(0, 1));
            tensors.put("scalar", Tensor.scalarOf(2));
            tensors.put("empty", Tensor.zeros(0, 7));
            tensors.put("bytes", Tensor.zeros(DType.UINT8, Device.CPU, 3));
            Safetensors.write(file, tensors);
            Map<String, Tensor> back = Safetensors.read(file);
            assertThat(back.keySet()).containsExactlyInAnyOrderElementsOf(tensors.keySet());
            tensors.forEach((name, t) -> {
                assertThat(back.get(name).dtype()).isEqualTo(t.dtype());
                assertThat(back.get(name).shape()).isEqualTo(t.shape());
                assertThat(back.get(name).toBytes()).as(name).isEqualTo(t.toBytes());
            });
        }
        assertThat(dir.resolve("deeper").toFile().list()).containsExactly("out.safetensors");
    }

    @Test
    void aFailedWriteLeavesTheOldFileAndNothingElse() throws IOException {
        Path file = dir.resolve("a.bin");
        Files.writeString(file, "old");
        assertThatThrownBy(() -> AtomicFile.write(file, out -> {
                    out.write(1);
                    throw new IOException("disk full");
                }))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(file + ": cannot write")
                .hasMessageContaining("disk full");
        assertThat(file).hasContent("old");
        assertThat(dir.toFile().list()).containsExactly("a.bin");
    }

    @Test
    void misalignedTensorsAreCopiedAndOtherBooleansNormalised() throws IOException {
        Path file = file(
                """
                {"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},\
                "b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}}""",
                new byte[] {0, 7, 1, 0, 0, (byte) 0x80, 0x3f});
        try (Scope s = Scope.open()) {
            Map<String, Tensor> t = Safetensors.read(file);
            assertThat(t.get("a").toBytes()).containsExactly(0, 1, 1);
            assertThat(t.get("b").toFloats()).containsExactly(1);
        }
    }

    @Test
    void filesOverTwoGigabytesAreMapped() throws IOException {
        Path file = dir.resolve("large.safetensors");
        long big = 2_200_000_000L;
        byte[] header = header(
                """
                {"big":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]},\
                "last":{"dtype":"I32","shape":[1],"data_offsets":[%d,%d]}}"""
                        .formatted(big, big, big, big + 4));
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) { // a hole, which takes no disk
            f.write(header);
            f.setLength(header.length + big + 4);
            f.seek(header.length + big);
            f.write(5);
        }
        try (Scope s = Scope.open()) {
            assertThat(Safetensors.read(file).get("last").item()).isEqualTo(5);
        }
    }

    @Test
    void writingToAMappedFileKeepsWhatWasRead() {
        Path file = dir.resolve("w.safetensors");
        try (Scope s = Scope.open()) {
            Safetensors.write(file, Map.of("w", Tensor.full(1, 1000)));
            Tensor old = Safetensors.read(file).get("w");
            old.fillInPlace(3); // never reaches the file
            Safetensors.write(file, Map.of("w", Tensor.full(2, 1000)));
            assertThat(old.toFloats()[999]).isEqualTo(3);
            assertThat(Safetensors.read(file).get("w").toFloats()[999]).isEqualTo(2);
        }
    }

    @Test
    void shardsAreFoundByTheirIndex() throws IOException {
        try (Scope s = Scope.open()) {
            Safetensors.write(dir.resolve("model-1.safetensors"), Map.of("a", Tensor.full(1, 2)));
            Safetensors.write(dir.resolve("model-2.safetensors"), Map.of("b", Tensor.full(2, 2)));
            Path index = dir.resolve("model.safetensors.index.json");
            Files.writeString(
                    index,
                    """
                    {"metadata":{},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}""");
            try (Checkpoint c = Checkpoint.open(dir)) {
                assertThat(c.tensor("b").toFloats()).containsExactly(2, 2);
                assertThat(c.unused()).containsExactly("a");
            }
            Files.writeString(
                    index,
                    """
                    {"weight_map":{"a":"model-1.safetensors","c":"model-2.safetensors"}}""");
            assertThatThrownBy(() -> Checkpoint.open(dir))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("puts tensor 'c' into model-2.safetensors, which does not hold it");
            for (String outside :
                    new String[] {"../x.safetensors", "/etc/x.safetensors", "a\\\\\\\\b.safetensors", ".."}) {
                Files.writeString(index, "{\"weight_map\":{\"a\":\"" + outside + "\"}}");
                assertThatThrownBy(() -> Checkpoint.open(dir))
                        .isInstanceOf(UserError.class)
                        .hasMessageContaining("is not a plain file name");
            }
        }
    }

    @Test
    void aFolderWithoutACheckpointSaysWhatWasExpected() throws IOException {
        assertThatThrownBy(() -> Checkpoint.open(dir))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(dir + ": no checkpoint found; expected one of [model.safetensors");
        assertThatThrownBy(() -> Checkpoint.open(dir.resolve("none.safetensors")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("none.safetensors: there is no such file");
        Files.writeString(dir.resolve("notes.txt"), "");
        assertThatThrownBy(() -> Checkpoint.open(dir.resolve("notes.txt")))
                .hasMessageContaining("unknown kind of checkpoint");
    }

    /** Each header stands before four bytes of data. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '\'',
            textBlock =
                    """
            []                                                                                  | should be an object
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}x                             | bad safetensors header
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}{}                            | follows the header
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}                               | bad safetensors header
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}                       | Duplicate
            {"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}                | Duplicate
            {"a":{"dtype":"Q4_0","shape":[1],"data_offsets":[0,4]}}                             | dtype Q4_0 is not supported
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}                        | unknown field
            {"a":{"dtype":"F32","shape":[1]}}                                                   | lacks one of
            {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}                              | needs 8 bytes
            {"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}                             | not between 0 and 2^63 - 1
            {"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}                            | found a fraction
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}                              | not a begin and an end
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}                            | not a begin and an end
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}                              | expected 0
            {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}                              | need 8 bytes of data, the file has 4
            {"a":{"dtype":"I16","shape":[1],"data_offsets":[0,2]}}                              | need 2 bytes of data, the file has 4
            {"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}          | overflows
            {"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}            | not between 0 and 2^63 - 1
            {"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}                             | not between 0 and 2^63 - 1
            {"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}} | without gap or overlap
            {"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}       | should be a string
            {"a":{"dtype":"F32","shape":[[[[[1]]]]],"data_offsets":[0,4]}}                      | whole number
            """)
    void badHeadersAreRefused(String header, String reason) throws IOException {
        Path file = file(header, new byte[4]);
        assertThatThrownBy(() -> Checkpoint.open(file))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith(file + ": ")
                .hasMessageContaining(reason);
    }

    @Test
    void badLengthsAndEncodingsAreRefused() throws IOException {
        Path file = dir.resolve("bad.safetensors");
        record Case(byte[] content, String reason) {}
        byte[] bom = "\ufeff{}".getBytes(StandardCharsets.UTF_8);
        for (Case c : new Case[] {
            new Case(new byte[3], "it has 3 bytes"),
            new Case(new byte[8], "header length 0"),
            new Case(length(-1), "header length 18446744073709551615"),
            new Case(length(99_000_000), "reaches past the end of the file (8 bytes)"),
            new Case(header(" {}"), "does not start with {"),
            new Case(join(length(bom.length), bom), "bad safetensors header"),
            new Case(join(length(4), "{}".getBytes(StandardCharsets.UTF_16LE)), "bad safetensors header"),
            new Case(join(length(6), new byte[] {'{', '"', (byte) 0xc3, '"', ' ', '}'}), "not UTF-8"),
        }) {
            Files.write(file, c.content());
            assertThatThrownBy(() -> Checkpoint.open(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageStartingWith(file + ": ")
                    .hasMessageContaining(c.reason());
        }
    }

    /** 100,000 damaged headers, in memory. */
    @Property(tries = 1000)
    void mutatedHeadersAreRefusedOrInsideTheFile(@ForAll long seed) throws IOException {
        byte[] whole = Files.readAllBytes(Fixtures.file("dtypes.safetensors"));
        int headerEnd =
                8 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong();
        Random random = new Random(seed);
        for (int i = 0; i < 100; i++) {
            byte[] header = Mutation.of(Arrays.copyOf(whole, headerEnd), random);
            byte[] file = join(header, Arrays.copyOfRange(whole, headerEnd, whole.length));
            try {
                SafetensorsHeader h = SafetensorsHeader.read(new ByteArrayInputStream(file), file.length, "f");
                h.tensors().values().forEach(slot -> {
                    long bytes =
                            slot.dtype().bytes() * Arrays.stream(slot.shape()).reduce(1, Math::multiplyExact);
                    assertThat(slot.begin).isNotNegative();
                    assertThat(slot.end - slot.begin).isEqualTo(bytes);
                    assertThat(h.dataStart() + slot.end).isLessThanOrEqualTo(file.length);
                });
            } catch (UserError e) {
                assertThat(e).hasMessageStartingWith("f: ");
            }
        }
    }

    // One seed, so that a build does not fail by chance; run it without to look for more.
    @Property(tries = 100, seed = "20261124")
    void mutatedFilesAreReadOrRefused(@ForAll long seed) throws IOException {
        byte[] whole = Files.readAllBytes(Fixtures.file("dtypes.safetensors"));
        Random random = new Random(seed);
        Path file = Files.createTempFile("mutated", ".safetensors");
        try {
            for (int i = 0; i < 25; i++) {
                Files.write(file, Mutation.of(whole, random));
                try (Scope s = Scope.open()) {
                    Safetensors.read(file).values().forEach(Tensor::toBytes);
                } catch (UserError e) {
                    assertThat(e).hasMessageStartingWith(file + ": ");
                }
            }
        } finally {
            Files.delete(file);
        }
    }

    @Test
    void metadataSurvivesAndIsOptional() {
        Path file = dir.resolve("m.safetensors");
        try (Scope s = Scope.open()) {
            Safetensors.write(file, Map.of("w", Tensor.zeros(1)), Map.of("step", "7", "note", "\"\n"));
            try (Checkpoint c = Checkpoint.open(file)) {
                assertThat(c.metadata()).isEqualTo(Map.of("step", "7", "note", "\"\n"));
            }
            Safetensors.write(file, Map.of(), Map.of());
            assertThatCode(() -> Safetensors.read(file)).doesNotThrowAnyException();
        }
    }

    private Path file(String header, byte[] data) throws IOException {
        return Files.write(dir.resolve("bad.safetensors"), join(header(header), data));
    }

    private static byte[] header(String json) {
        byte[] text = json.getBytes(StandardCharsets.UTF_8);
        return join(length(text.length), text);
    }

    private static byte[] length(long n) {
        return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(n).array();
    }

    private static byte[] join(byte[]... parts) {
        ByteBuffer r =
                ByteBuffer.allocate(Stream.of(parts).mapToInt(p -> p.length).sum());
        Stream.of(parts).forEach(r::put);
        return r.array();
    }
}
