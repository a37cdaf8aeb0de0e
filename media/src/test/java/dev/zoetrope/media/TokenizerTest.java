package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Tokenizer.Batch;
import dev.zoetrope.media.Tokenizer.Pair;
import dev.zoetrope.media.Tokenizer.Side;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {

    private static Path resource(String name) throws URISyntaxException {
        return Path.of(TokenizerTest.class.getResource(name).toURI());
    }

    private static Tokenizer bert(Path folder) throws IOException {
        Files.writeString(
                folder.resolve("vocab.txt"), "[PAD] [UNK] [CLS] [SEP] a red cir ##cle moves !".replace(' ', '\n'));
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"tokenizer_class\": \"BertTokenizer\", \"pad_token\": {\"content\": \"[PAD]\"}, \"model_max_length\": 1e30}");
        return Tokenizer.open(folder);
    }

    @Test
    void wordPiecesFromVocabTxt(@TempDir Path folder) throws IOException {
        try (Tokenizer tokenizer = bert(folder)) {
            assertThat(tokenizer.encode("A Red circle moves?")).containsExactly(2, 4, 5, 6, 7, 8, 1, 3);
            assertThat(tokenizer.encodePlain("red!")).containsExactly(5, 9);
            assertThat(tokenizer.decode(new long[] {2, 4, 6, 7, 9, 3}, true)).isEqualTo("a circle!");
            assertThat(tokenizer.maxLength()).isEqualTo(Integer.MAX_VALUE);
            assertThat(tokenizer.id("##cle")).isEqualTo(7);
            assertThatThrownBy(() -> tokenizer.id("blue"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("'blue'");
        }
    }

    @Test
    void cutsTextsButNeverSpecialTokens(@TempDir Path folder) throws IOException {
        try (Tokenizer tokenizer = bert(folder)) {
            assertThat(tokenizer.encode("a red circle moves", 5)).containsExactly(2, 4, 5, 6, 3);
            Pair pair = tokenizer.encodePair("a red circle moves", "red a", 8);
            assertThat(pair.ids()).containsExactly(2, 4, 5, 6, 3, 5, 4, 3);
            assertThat(pair.typeIds()).containsExactly(0, 0, 0, 0, 0, 1, 1, 1);
            assertThatThrownBy(() -> tokenizer.encode("a", 1))
                    .hasMessageContaining("2 special tokens stand around them");
        }
    }

    @Test
    void padsOnEitherSide(@TempDir Path folder) throws IOException {
        try (Tokenizer tokenizer = bert(folder)) {
            List<long[]> rows = List.of(new long[] {4, 5}, new long[] {6});
            Batch left = tokenizer.pad(rows, Side.LEFT);
            assertThat(left.ids()).isDeepEqualTo(new long[][] {{4, 5}, {0, 6}});
            assertThat(left.mask()).isDeepEqualTo(new long[][] {{1, 1}, {0, 1}});
            assertThat(tokenizer.pad(rows, 3, Side.RIGHT).ids()).isDeepEqualTo(new long[][] {{4, 5, 0}, {6, 0, 0}});
        }
    }

    /** Ids as SentencePiece itself gives them, with the start token in front. */
    @Test
    void sentencePieceByPairs() throws URISyntaxException {
        try (Tokenizer tokenizer = Tokenizer.open(resource("sentencepiece-bpe"))) {
            assertThat(tokenizer.encode("The drum spins, and it's 1834!"))
                    .containsExactly(1, 335, 340, 267, 374, 262, 366, 379, 285, 359, 290, 389, 366, 323, 347, 36);
            assertThat(tokenizer.encode("  two  spaces "))
                    .containsExactly(1, 359, 359, 330, 362, 359, 267, 374, 363, 376, 264, 359);
            String text = "naïve 😀 日本";
            assertThat(tokenizer.encodePlain(text))
                    .containsExactly(
                            359, 367, 363, 198, 178, 380, 360, 359, 243, 162, 155, 131, 359, 233, 154, 168, 233, 159,
                            175);
            assertThat(tokenizer.decode(tokenizer.encode(text), true)).isEqualTo(text);
        }
    }

    /** Ids as SentencePiece itself gives them, with the end token behind. */
    @Test
    void sentencePieceByUnigrams() throws URISyntaxException {
        try (Tokenizer tokenizer = Tokenizer.open(resource("sentencepiece-unigram"))) {
            assertThat(tokenizer.encode("a photo of a cat")).containsExactly(4, 11, 27, 30, 18, 16, 4, 73, 17, 1);
            assertThat(tokenizer.encode("  two  spaces ")).containsExactly(67, 10, 25, 48, 15, 85, 19, 1);
            assertThat(tokenizer.id("<extra_id_0>")).isEqualTo(112);
        }
    }

    @Test
    void saysWhatIsMissingOrDamaged(@TempDir Path folder) throws IOException {
        assertThatThrownBy(() -> Tokenizer.open(folder))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no tokenizer: expected tokenizer.json");
        Files.writeString(folder.resolve("spiece.model"), "nothing");
        assertThatThrownBy(() -> Tokenizer.open(folder))
                .hasMessageContaining("spiece.model: is no SentencePiece model");
        Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": 5}");
        assertThatThrownBy(() -> Tokenizer.open(folder)).hasMessageContaining("the tokenizer cannot be opened");
    }
}
