package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.KnnVectorsReader;
import org.apache.lucene.codecs.KnnVectorsWriter;
import org.apache.lucene.codecs.lucene912.Lucene912Codec;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.SegmentReadState;
import org.apache.lucene.index.SegmentWriteState;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.index.Term;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.KnnFloatVectorQuery;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.store.LockObtainFailedException;

/**
 * Finds the pictures of a folder that fit a sentence or another picture. Their vectors are kept in an index on disk (HNSW,
 * arXiv:1603.09320, by Apache Lucene), so that only new and changed pictures are read again.
 *
 * <pre>{@code
 * try (var search = ImageSearch.open(Path.of("photos"), Path.of("photos.index"), Embed.load(folder))) {
 *     search.update(Progress.NONE);
 *     search.find("two dogs", 10).forEach(System.out::println);
 * }
 * }</pre>
 */
public final class ImageSearch implements AutoCloseable {
    private static final Logger LUCENE = Logger.getLogger("org.apache.lucene");

    static {
        LUCENE.setLevel(Level.SEVERE); // it would print a line about a JVM option that makes it somewhat faster
    }

    private static final int BATCH = 16;
    private static final String FILE = "file";
    private static final String STAMP = "stamp";
    private static final String VECTOR = "vector";
    private static final String MODEL = "model";
    private static final int WIDEST = 4096;

    /** @param similarity cosine of the angle between picture and question, -1 to 1 */
    public record Hit(Path file, double similarity) {}

    /** A picture that cannot be read, and why. */
    public record Failure(Path file, String reason) {}

    /** What an update did. */
    public record Update(int added, int removed, int unchanged, List<Failure> failures) {}

    private final Path folder;
    private final Embed model;
    private final FSDirectory directory;

    private ImageSearch(Path folder, Embed model, FSDirectory directory) {
        this.folder = folder;
        this.model = model;
        this.directory = directory;
    }

    /**
     * Opens the index of a folder, or begins one; it is not updated yet.
     *
     * @param index folder of the index
     * @param model is taken over and closed with the search
     * @throws UserError if the index was made by another model
     */
    public static ImageSearch open(Path folder, Path index, Embed model) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + ": there is no such folder to search in");
        }
        try {
            FSDirectory directory = FSDirectory.open(index);
            ImageSearch search = new ImageSearch(folder, model, directory);
            search.check(index);
            return search;
        } catch (IOException e) {
            throw new UserError(
                    index + ": the index cannot be opened: " + e.getMessage() + "; remove it to have it made again", e);
        }
    }

    private void check(Path index) throws IOException {
        if (!DirectoryReader.indexExists(directory)) {
            return;
        }
        try (DirectoryReader reader = DirectoryReader.open(directory)) {
            String made = reader.getIndexCommit().getUserData().get(MODEL);
            if (!signature().equals(made)) {
                throw new UserError(index + ": the index was made by the model " + made + ", not by " + signature()
                        + "; name another index, or remove this one");
            }
        }
    }

    private String signature() {
        return model.name() + " (" + model.width() + " numbers)";
    }

    /**
     * Brings the index up to date with the folder. A picture that cannot be read is reported and left out.
     *
     * @param progress told after each batch; when it says stop, what was done is kept
     * @throws CancellationException when progress says stop
     */
    public Update update(Progress progress) {
        List<Path> files = PictureFiles.below(folder);
        try {
            Map<String, String> gone = stamps();
            List<Path> fresh = new ArrayList<>();
            for (Path file : files) {
                String known = gone.remove(key(file));
                if (!stamp(file).equals(known)) {
                    fresh.add(file);
                }
            }
            return write(fresh, List.copyOf(gone.keySet()), files.size() - fresh.size(), progress);
        } catch (LockObtainFailedException e) {
            throw new UserError(directory.getDirectory() + ": another process is updating this index", e);
        } catch (IOException e) {
            throw new UserError(directory.getDirectory() + ": the index cannot be written: " + e.getMessage(), e);
        }
    }

    private Update write(List<Path> fresh, List<String> gone, int unchanged, Progress progress) throws IOException {
        List<Failure> failures = new ArrayList<>();
        if (fresh.isEmpty() && gone.isEmpty()) {
            return new Update(0, 0, unchanged, failures);
        }
        int done = 0;
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig().setCodec(new WideCodec()))) {
            writer.setLiveCommitData(Map.of(MODEL, signature()).entrySet());
            for (String key : gone) {
                writer.deleteDocuments(new Term(FILE, key));
            }
            for (int i = 0; i < fresh.size(); i += BATCH) {
                List<Path> batch = fresh.subList(i, Math.min(fresh.size(), i + BATCH));
                done += add(writer, batch, failures);
                if (!progress.step(i + batch.size(), fresh.size())) {
                    writer.commit();
                    throw new CancellationException("stopped after " + done + " pictures");
                }
            }
            writer.commit();
        }
        return new Update(done, gone.size(), unchanged, List.copyOf(failures));
    }

    private int add(IndexWriter writer, List<Path> batch, List<Failure> failures) throws IOException {
        Map<Path, Image> read = new LinkedHashMap<>();
        for (Path file : batch) {
            try {
                read.put(file, Images.read(file));
            } catch (UserError e) {
                failures.add(new Failure(file, String.valueOf(e.getMessage())));
                writer.deleteDocuments(new Term(FILE, key(file)));
            }
        }
        float[][] vectors = model.images(List.copyOf(read.values()));
        int row = 0;
        for (Path file : read.keySet()) {
            Document d = new Document();
            d.add(new StringField(FILE, key(file), Field.Store.YES));
            d.add(new StoredField(STAMP, stamp(file)));
            d.add(new KnnFloatVectorField(VECTOR, vectors[row++], VectorSimilarityFunction.DOT_PRODUCT));
            writer.updateDocument(new Term(FILE, key(file)), d);
        }
        return read.size();
    }

    /** What the index holds, key to the stamp that the file had. */
    private Map<String, String> stamps() throws IOException {
        Map<String, String> r = new LinkedHashMap<>();
        if (DirectoryReader.indexExists(directory)) {
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                StoredFields stored = reader.storedFields();
                for (ScoreDoc hit : new IndexSearcher(reader)
                        .search(new MatchAllDocsQuery(), Math.max(1, reader.maxDoc()))
                        .scoreDocs) {
                    Document d = stored.document(hit.doc);
                    r.put(d.get(FILE), d.get(STAMP));
                }
            }
        }
        return r;
    }

    private String key(Path file) {
        return folder.relativize(file).toString().replace('\\', '/');
    }

    private static String stamp(Path file) throws IOException {
        return Files.size(file) + " " + Files.getLastModifiedTime(file).toMillis();
    }

    /** How many pictures the index holds. */
    public int size() {
        try {
            if (!DirectoryReader.indexExists(directory)) {
                return 0;
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                return reader.numDocs();
            }
        } catch (IOException e) {
            throw broken(e);
        }
    }

    /** The pictures that fit a sentence best, the best first. */
    public List<Hit> find(String text, int k) {
        return find(model.text(text), k);
    }

    /** The pictures that are most alike, the most alike first. */
    public List<Hit> find(Image image, int k) {
        return find(model.image(image), k);
    }

    private List<Hit> find(float[] vector, int k) {
        Check.positive(k, "number of pictures asked for");
        List<Hit> r = new ArrayList<>();
        try {
            if (!DirectoryReader.indexExists(directory)) {
                return r;
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                StoredFields stored = reader.storedFields();
                int n = Math.min(k, Math.max(1, reader.numDocs()));
                for (ScoreDoc hit :
                        new IndexSearcher(reader).search(new KnnFloatVectorQuery(VECTOR, vector, n), n).scoreDocs) {
                    Path file = folder.resolve(stored.document(hit.doc).get(FILE));
                    r.add(new Hit(file, 2.0 * hit.score - 1)); // Lucene's score of a product p is (1 + p) / 2
                }
            }
        } catch (IOException e) {
            throw broken(e);
        }
        return r;
    }

    private UserError broken(IOException e) {
        return new UserError(
                directory.getDirectory() + ": the index cannot be read: " + e.getMessage()
                        + "; remove it to have it made again",
                e);
    }

    @Override
    public void close() {
        try {
            directory.close();
        } catch (IOException e) {
            throw broken(e);
        } finally {
            model.close();
        }
    }

    /** Lucene's own format, whose limit of 1024 numbers a vector is one of indexing only: SigLIP's have 1152. */
    private static final class WideCodec extends Lucene912Codec {
        @Override
        public KnnVectorsFormat getKnnVectorsFormatForField(String field) {
            return new Wide();
        }
    }

    private static final class Wide extends KnnVectorsFormat {
        private final KnnVectorsFormat format = new Lucene99HnswVectorsFormat();

        Wide() {
            super("Lucene99HnswVectorsFormat");
        }

        @Override
        public KnnVectorsWriter fieldsWriter(SegmentWriteState state) throws IOException {
            return format.fieldsWriter(state);
        }

        @Override
        public KnnVectorsReader fieldsReader(SegmentReadState state) throws IOException {
            return format.fieldsReader(state);
        }

        @Override
        public int getMaxDimensions(String field) {
            return WIDEST;
        }
    }
}
