package dev.zoetrope.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamConfig;
import dev.zoetrope.models.sam.SamProcessor;
import dev.zoetrope.tasks.Segment.Prompt;
import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tasks.annotation.AnnotationSession.Annotation;
import dev.zoetrope.tasks.annotation.DataEngine;
import dev.zoetrope.tasks.annotation.Desk;
import dev.zoetrope.tasks.annotation.Sa1b;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Asking, on a model of random weights: what must hold whatever it answers. */
class SegmentTest {
    private static final String SMALL =
            """
            {"vision_config": {"image_size": 32, "patch_size": 8, "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "window_size": 3, "global_attn_indexes": [], "output_channels": 16,
              "num_pos_feats": 8},
             "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4},
             "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2,
              "iou_head_hidden_dim": 8}}
            """;

    @TempDir
    private Path folder;

    private static Segment segment;
    private static Image image;

    @BeforeAll
    static void draw() {
        SamConfig config = SamConfig.of(Json.parse("small", SMALL));
        try (RandomSource random = RandomSource.of(5)) {
            Sam sam = Sam.draw(config, random);
            segment = new Segment(sam, SamProcessor.of(Path.of("none"), config));
        }
        Image one = Image.filled(50, 30, 0x208040);
        image = new Mask(50, 30, disc(50, 30)).over(one, 0xf0c010, 1);
    }

    private static byte[] disc(int width, int height) {
        byte[] bits = new byte[width * height];
        for (int i = 0; i < bits.length; i++) {
            int x = i % width - 20;
            int y = i / width - 14;
            bits[i] = (byte) (x * x + y * y < 80 ? 1 : 0);
        }
        return bits;
    }

    @AfterAll
    static void close() {
        segment.close();
    }

    @Test
    void anAmbiguousPointGivesThreeMasksOfThePicturesSize() {
        try (Segment.Picture picture = segment.open(image)) {
            Segment.Answer answer = picture.answer(Prompt.at(20, 14));
            assertThat(answer.candidates()).hasSize(3).allSatisfy(c -> {
                assertThat(c.mask().width()).isEqualTo(50);
                assertThat(c.mask().height()).isEqualTo(30);
            });
            Prompt refined = Prompt.at(20, 14).refining(answer.best().logits());
            assertThat(picture.answer(refined).candidates()).hasSize(1);
        }
    }

    @Test
    void picturesInABatchAnswerAsAlone() {
        List<Segment.Picture> both = segment.open(List.of(image, Image.filled(16, 64, 0x804020)));
        try (Segment.Picture alone = segment.open(image);
                Segment.Picture first = both.get(0);
                Segment.Picture second = both.get(1)) {
            Prompt box = Prompt.of(new Box(5, 5, 15, 25));
            assertThat(first.answer(box).best().predictedIou())
                    .isCloseTo(alone.answer(box).best().predictedIou(), offset(1e-5));
            assertThat(second.answer(box).best().mask().height()).isEqualTo(64);
        }
    }

    @Test
    void whatIsNotInThePictureIsRefused() {
        try (Segment.Picture picture = segment.open(image)) {
            assertThatThrownBy(() -> picture.answer(Prompt.at(51, 3)))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("51.0,3.0")
                    .hasMessageContaining("50x30");
            assertThatThrownBy(() -> picture.answer(Prompt.at(Double.NaN, 3))).isInstanceOf(UserError.class);
            assertThatThrownBy(() -> picture.answer(Prompt.of(new Box(20, 5, 10, 9))))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("x0 < x1");
            assertThatThrownBy(() -> picture.answer(Prompt.of(new Box(60, 5, 70, 9))))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("outside");
            assertThatThrownBy(() -> picture.logits(new Mask(2, 2, new byte[4])))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("2x2");
            assertThatThrownBy(() -> new Prompt(List.of(), null, null, false)).isInstanceOf(UserError.class);
        }
    }

    @Test
    void cropsOverlapAndCoverThePicture() {
        var settings = AutomaticMasks.Settings.published().withCrops(1, 2);
        List<AutomaticMasks.Crop> crops = AutomaticMasks.crops(101, 67, settings);
        assertThat(crops).hasSize(5);
        assertThat(crops.get(4).box()).isEqualTo(new Box(40, 23, 101, 67));
        assertThat(AutomaticMasks.grid(crops.get(1), settings)).hasSize(16 * 16);
    }

    @Test
    void aSessionKeepsWhatIsAcceptedAndTheClicksThatLedToIt() {
        Path picture = folder.resolve("disc.png");
        Images.write(image, picture);
        Path file = folder.resolve("session.json");
        AnnotationSession session = AnnotationSession.create(file, List.of(picture));
        assertThatThrownBy(() -> AnnotationSession.create(file, List.of(picture)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("exists already");
        Annotation kept;
        try (Desk desk = new DataEngine(segment, session).open(0)) {
            assertThatThrownBy(desk::accept).isInstanceOf(UserError.class).hasMessageContaining("nothing is clicked");
            desk.click(20, 14, true);
            desk.click(45, 2, false);
            desk.undo();
            desk.choose(1);
            kept = desk.accept();
        }
        AnnotationSession again = AnnotationSession.open(file);
        assertThat(again.item(0).annotations()).containsExactly(kept);
        assertThat(kept.points()).containsExactly(new Segment.Point(20, 14, true));
        again.remove(0, kept.id());
        again.setDone(0, true);
        assertThat(AnnotationSession.open(file).item(0).annotations()).isEmpty();
        assertThat(AnnotationSession.open(file).item(0).done()).isTrue();
    }

    @Test
    void aFolderThatWasStoppedGoesOnAndABrokenPictureDoesNotEndIt() throws IOException {
        Path picture = folder.resolve("disc.png");
        Images.write(image, picture);
        Path broken = Files.writeString(folder.resolve("broken.png"), "no picture");
        Path output = folder.resolve("masks");
        var all = AutomaticMasks.Settings.published().withPointsPerSide(2).withThresholds(0, 0);
        DataEngine.Outcome first = DataEngine.folder(segment, List.of(broken, picture), output, all, Progress.NONE);
        assertThat(first.pictures()).isEqualTo(1);
        assertThat(first.failures()).singleElement().asString().contains("broken.png");
        Sa1b read = Sa1b.read(output.resolve("disc.png.json"));
        assertThat(output.resolve(read.fileName()).normalize()).isEqualTo(picture);
        assertThat(read.annotations()).hasSize((int) first.masks());
        DataEngine.Outcome second = DataEngine.folder(segment, List.of(broken, picture), output, all, Progress.NONE);
        assertThat(second.skipped()).isEqualTo(1);
        assertThat(second.pictures()).isZero();
    }
}
