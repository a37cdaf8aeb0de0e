package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResizeTest {

    /** Checksums of what Pillow 13 makes of the same picture: enlarged, shrunk, one side kept, both orders of passes. */
    @ParameterizedTest
    @CsvSource({
        "NEAREST, 97, 20, 5ccc55da",
        "NEAREST, 20, 97, 8a9e1106",
        "NEAREST, 7, 9, 47feda2f",
        "LANCZOS, 97, 20, 6d63aec0",
        "LANCZOS, 20, 97, 71873983",
        "LANCZOS, 200, 150, 61ce5146",
        "BILINEAR, 97, 20, 1d266dbf",
        "BILINEAR, 30, 45, 40682ceb",
        "BILINEAR, 1, 1, bff6cf7d",
        "BICUBIC, 97, 20, 5e06ae5f",
        "BICUBIC, 7, 9, 16226ce5",
        "BICUBIC, 200, 150, 9ea5fbf8",
        "BOX, 97, 20, 473115dd",
        "BOX, 20, 97, 76716429",
        "HAMMING, 97, 20, b857a896",
        "HAMMING, 7, 9, 40f6249a"
    })
    void equalsPillow(Filter filter, int width, int height, String checksum) {
        Image resized = Resize.to(Pictures.pattern(61, 45), width, height, filter);
        assertThat(Pictures.checksum(resized)).isEqualTo(checksum);
    }
}
