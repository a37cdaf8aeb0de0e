package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class NpyTest {
    @Test
    void halvesAreExact() {
        // IEEE 754 binary16: one, the largest, the smallest normal, the smallest of all, -2, infinity
        short[] bits = {0x3c00, 0x7bff, 0x0400, 0x0001, (short) 0xc000, 0x7c00};
        float[] expected = {1, 65504, 0x1p-14f, 0x1p-24f, -2, Float.POSITIVE_INFINITY};
        for (int i = 0; i < bits.length; i++) {
            assertThat(Npy.half(bits[i])).isEqualTo(expected[i]);
        }
        assertThat(Npy.half((short) 0x7e00)).isNaN();
        assertThat(1 / Npy.half((short) 0x8000)).isEqualTo(Float.NEGATIVE_INFINITY);
    }

    @Test
    void rowsComeOneAfterTheOther() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(Npy.headerOf(4, 3, 2));
        out.write(Npy.bytesOf(1, 2, 3, 4, 5, 6));
        try (Npy npy = Npy.open("a.npy", new ByteArrayInputStream(out.toByteArray()))) {
            assertThat(npy.rows()).isEqualTo(3);
            assertThat(npy.columns()).isEqualTo(2);
            assertThat(npy.nextFloats(2)).containsExactly(1, 2, 3, 4);
            assertThat(npy.nextFloats(2)).containsExactly(5, 6);
            assertThat(npy.nextFloats(2)).isEmpty();
        }
    }

    @Test
    void whatIsNoArrayOfFloatsIsRefused() {
        assertThatThrownBy(() -> open("hello, this is text"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("x.npy: is no NumPy array");
        assertThatThrownBy(() -> open("\u0093NUMPY\u0001\u0000\u0003\u0000{}\n"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("one or two axes");
        String ints = "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }\n";
        assertThatThrownBy(() -> open("\u0093NUMPY\u0001\u0000" + (char) ints.length() + "\u0000" + ints))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("<i8 are not supported");
    }

    @Test
    void aFileThatIsCutOffSaysWhere() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(Npy.headerOf(2, 10, 4));
        out.write(new byte[20]);
        try (Npy npy = Npy.open("x.npy", new ByteArrayInputStream(out.toByteArray()))) {
            assertThatThrownBy(() -> npy.nextFloats(10))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cut off within the rows 0 to 10 of 10");
        }
    }

    private static void open(String latin) {
        Npy.open("x.npy", new ByteArrayInputStream(latin.getBytes(StandardCharsets.ISO_8859_1)))
                .close();
    }
}
