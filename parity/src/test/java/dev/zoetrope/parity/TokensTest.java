package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Audio;
import dev.zoetrope.tasks.AudioTokenizer;
import dev.zoetrope.tasks.Tokens;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokensTest {
    private static final Path ENCODEC = Path.of("cases/videopoet/encodec-published-names/model");
    private static final Path DAC = Path.of("cases/videopoet/dac/model");

    private static Audio stereo(int rate) {
        float[] left = new float[rate];
        float[] right = new float[rate];
        for (int i = 0; i < rate; i++) {
            left[i] = (float) Math.sin(0.1 * i);
            right[i] = 0.5f * left[i];
        }
        return new Audio(new float[][] {left, right}, rate);
    }

    @Test
    void tokensOnDiskMakeTheSameSound(@TempDir Path folder) {
        for (Path model : new Path[] {ENCODEC, DAC}) {
            try (Scope s = Scope.open();
                    AudioTokenizer tokenizer = AudioTokenizer.load(model)) {
                Tokens tokens = tokenizer.encode(stereo(8000));
                Path file = folder.resolve("sound.tokens");
                tokens.write(file);
                Audio sound = tokenizer.decode(Tokens.read(file));
                assertThat(sound).isEqualTo(tokenizer.decode(tokens));
                assertThat(sound.rate()).isEqualTo(4000);
                assertThat(sound.channels()).isEqualTo(1);
                assertThat(sound.length()).isEqualTo(4000);
            }
        }
    }

    @Test
    void tokensOfAnotherTokenizerAreRefused() {
        try (Scope s = Scope.open();
                AudioTokenizer made = AudioTokenizer.load(ENCODEC);
                AudioTokenizer other = AudioTokenizer.load(DAC)) {
            Tokens tokens = made.encode(stereo(4000));
            assertThatThrownBy(() -> other.decode(tokens))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining(made.name())
                    .hasMessageContaining(other.name());
        }
    }
}
