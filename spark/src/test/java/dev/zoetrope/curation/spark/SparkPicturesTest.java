package dev.zoetrope.curation.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.ScaleOut.PictureJob;
import dev.zoetrope.curation.ScaleOut.PictureSummary;
import dev.zoetrope.curation.ScaleOut.Work;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SparkPicturesTest {
    @Test
    void picturesAreEmbeddedAShardATaskAndARerunGoesOn(@TempDir Path folder) throws IOException {
        Path in = Files.createDirectories(folder.resolve("in"));
        for (int i = 0; i < 5; i++) {
            Images.write(Image.filled(20 + i, 16, 0x102030 * (i + 1)), in.resolve(i + ".png"));
            Files.writeString(in.resolve(i + ".txt"), "a red car");
        }
        Files.writeString(in.resolve("bad.jpg"), "no picture at all");
        Path out = folder.resolve("out");
        PictureJob job = new PictureJob(Work.EMBED, in.toString(), out.toString(), null, 2, 4, null);
        try (SparkScaleOut spark = SparkScaleOut.open("local[2]", m -> {})) {
            PictureSummary done = spark.pictures(job);
            assertThat(done.shards()).isEqualTo(2);
            assertThat(done.pictures()).isEqualTo(5);
            assertThat(done.bad()).isEqualTo(1);
            assertThat(done.firstBad().get(0)).contains("bad.jpg");
            try (Npy npy = Npy.open(out.resolve("img_emb/img_emb_00001.npy"));
                    Embed clip = Embed.builtIn()) {
                assertThat(npy.rows()).isEqualTo(1); // 4.png; the other of the shard is bad.jpg
                float[] expected = clip.image(Images.read(in.resolve("4.png")));
                assertThat(npy.nextFloats(1)).containsExactly(expected, Offset.offset(1e-3f));
            }
            assertThat(out.resolve("text_emb/text_emb_00000.npy")).exists();

            Files.delete(out.resolve("metadata/metadata_00001.parquet"));
            PictureSummary again = spark.pictures(job);
            assertThat(again.skipped()).isEqualTo(1);
            assertThat(again.pictures()).isEqualTo(1);

            PictureJob other = new PictureJob(Work.EMBED, in.toString(), out.toString(), null, 2, 3, null);
            assertThatThrownBy(() -> spark.pictures(other))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("was made from other pictures or by another model");
        }
    }
}
