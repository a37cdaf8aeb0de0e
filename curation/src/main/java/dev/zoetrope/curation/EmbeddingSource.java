package dev.zoetrope.curation;

import java.io.Serializable;
import org.jspecify.annotations.Nullable;

/**
 * Where embeddings are: a folder as clip-retrieval and LAION lay it out ({@code img_emb/*.npy}, {@code text_emb/*.npy},
 * {@code metadata/*.parquet}), Parquet files with columns of numbers, or WebDataset tars with .npy members.
 *
 * @param location a path or URI of a file, a folder or a pattern
 * @param id the column of ids, whole numbers; null numbers the rows from 0 in the order of the files
 * @param image the column of the pictures' embeddings, or what a tar's members of them end in
 * @param text the column of the texts' embeddings, or what a tar's members end in; left out where it is not there
 * @param similarity the column of the cosine of picture and text, looked at where texts have no embeddings
 * @param picture the column with the picture's path, for the report; left out where it is not there
 */
public record EmbeddingSource(
        String location, @Nullable String id, String image, String text, String similarity, String picture)
        implements Serializable {
    /** The names that are customary. */
    public static EmbeddingSource of(String location) {
        return new EmbeddingSource(location, null, "img_emb", "text_emb", "similarity", "image_path");
    }

    public EmbeddingSource withId(@Nullable String column) {
        return new EmbeddingSource(location, column, image, text, similarity, picture);
    }

    public EmbeddingSource withColumns(String imageColumn, String textColumn, String similarityColumn) {
        return new EmbeddingSource(location, id, imageColumn, textColumn, similarityColumn, picture);
    }

    public EmbeddingSource withPicture(String column) {
        return new EmbeddingSource(location, id, image, text, similarity, column);
    }
}
