package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.ImageProcessor.CenterCrop;
import dev.zoetrope.media.ImageProcessor.Pixels;
import dev.zoetrope.media.ImageProcessor.ShortSide;
import dev.zoetrope.media.ImageProcessor.Size;
import dev.zoetrope.media.ImageProcessor.Squash;
import dev.zoetrope.tensor.UserError;
import org.junit.jupiter.api.Test;

class ImageProcessorTest {

    private static Json json(String text) {
        return Json.parse("preprocessor_config.json", text.replace('\'', '"'));
    }

    @Test
    void bareNumbersMeanWhatTheTypeMeans() {
        assertThat(ImageProcessor.of(json("{'size': 32, 'image_mean': [0.5, 0.5, 0.5]}"))
                        .steps())
                .containsExactly(new Squash(new Size(32, 32), Filter.BILINEAR));
        assertThat(ImageProcessor.of(
                                json("{'feature_extractor_type': 'CLIPFeatureExtractor', 'size': 32, 'crop_size': 28}"))
                        .steps())
                .containsExactly(new ShortSide(32, Filter.BICUBIC), new CenterCrop(new Size(28, 28)));
    }

    @Test
    void samPadsWithZerosBehindTheNormalisation() {
        Pixels pixels = ImageProcessor.of(
                        json("{'image_processor_type': 'SamImageProcessor', 'size': {'longest_edge': 8},"
                                + " 'pad_size': {'height': 8, 'width': 8}}"))
                .process(Image.filled(16, 6, 0xff0000));
        assertThat(pixels)
                .extracting(Pixels::contentHeight, Pixels::contentWidth)
                .containsExactly(3, 8);
        assertThat(pixels.values()[0]).isCloseTo((1 - 0.485f) / 0.229f, within(1e-6f));
        assertThat(pixels.values()[3 * 8]).isZero();
    }

    @Test
    void saysWhichValueIsNotSupported() {
        assertThatThrownBy(() -> ImageProcessor.of(json("{'image_processor_type': 'DetrImageProcessor'}")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("image_processor_type \"DetrImageProcessor\" is not supported");
        assertThatThrownBy(() -> ImageProcessor.of(json("{'size': {'shortest_edge': 3, 'longest_edge': 5}}")))
                .hasMessageContaining("size {\"shortest_edge\":3,\"longest_edge\":5} is not supported");
    }
}
