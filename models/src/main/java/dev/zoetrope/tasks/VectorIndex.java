package dev.zoetrope.tasks;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
 * Vectors of unit length on disk, each under a key and with a stamp of what it was made from, found by their likeness
 * (HNSW, arXiv:1603.09320, by Apache Lucene). What is written in one go appears together or not at all.
 */
final class VectorIndex implements AutoCloseable {
    private static final Logger LUCENE = Logger.getLogger("org.apache.lucene");

    static {
        LUCENE.setLevel(Level.SEVERE); // it would print a line about a JVM option that makes it somewhat faster
    }

    private static final String KEY = "key";
    private static final String STAMP = "stamp";
    private static final String VECTOR = "vector";
    private static final String OWNER = "owner";
    private static final int WIDEST = 4096;

    /** @param product of the two vectors, -1 to 1 */
    record Found(String key, double product) {}

    private final FSDirectory directory;
    private final String owner;

    private VectorIndex(FSDirectory directory, String owner) {
        this.directory = directory;
        this.owner = owner;
    }

    /**
     * Opens an index, or begins one.
     *
     * @param owner what made the vectors; those of one owner are of no use to another
     */
    static VectorIndex open(Path folder, String owner) {
        try {
            VectorIndex index = new VectorIndex(FSDirectory.open(folder), owner);
            index.read(null, reader -> {
                String made = reader.getIndexCommit().getUserData().get(OWNER);
                if (!owner.equals(made)) {
                    throw new UserError(folder + ": the index was made by " + made + ", not by " + owner
                            + "; name another index, or remove this one");
                }
                return null;
            });
            return index;
        } catch (IOException e) {
            throw new UserError(folder + ": the index cannot be opened: " + e.getMessage(), e);
        }
    }

    private interface Reading<T> {
        T of(DirectoryReader reader) throws IOException;
    }

    private <T> T read(T empty, Reading<T> reading) {
        try {
            if (!DirectoryReader.indexExists(directory)) {
                return empty;
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                return reading.of(reader);
            }
        } catch (IOException | IllegalArgumentException e) { // the latter where the index is of another version
            throw new UserError(
                    directory.getDirectory() + ": the index cannot be read: " + e.getMessage()
                            + "; remove it to have it made again",
                    e);
        }
    }

    /** All keys with their stamps. */
    Map<String, String> stamps() {
        return read(new LinkedHashMap<>(), reader -> {
            Map<String, String> r = new LinkedHashMap<>();
            StoredFields stored = reader.storedFields();
            int most = Math.max(1, reader.maxDoc());
            for (ScoreDoc hit : new IndexSearcher(reader).search(new MatchAllDocsQuery(), most).scoreDocs) {
                Document d = stored.document(hit.doc);
                r.put(d.get(KEY), d.get(STAMP));
            }
            return r;
        });
    }

    int size() {
        return read(0, DirectoryReader::numDocs);
    }

    /** The most alike first; as far as the graph finds them, which is nearly always. */
    List<Found> find(float[] vector, int k) {
        return read(List.of(), reader -> {
            List<Found> r = new ArrayList<>();
            StoredFields stored = reader.storedFields();
            int n = Math.min(k, Math.max(1, reader.numDocs()));
            for (ScoreDoc hit :
                    new IndexSearcher(reader).search(new KnnFloatVectorQuery(VECTOR, vector, n), n).scoreDocs) {
                // Lucene's score of a product p is (1 + p) / 2.
                r.add(new Found(stored.document(hit.doc).get(KEY), 2.0 * hit.score - 1));
            }
            return r;
        });
    }

    /** Changes, which appear when {@link Changes#commit} is called; without it they never were. */
    Changes change() {
        try {
            IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig().setCodec(new WideCodec()));
            writer.setLiveCommitData(Map.of(OWNER, owner).entrySet());
            return new Changes(writer);
        } catch (LockObtainFailedException e) {
            throw new UserError(directory.getDirectory() + ": another process is writing to this index", e);
        } catch (IOException e) {
            throw new UserError(directory.getDirectory() + ": the index cannot be written: " + e.getMessage(), e);
        }
    }

    /** A change of the index; there is one at a time. */
    static final class Changes implements AutoCloseable {
        private final IndexWriter writer;

        private Changes(IndexWriter writer) {
            this.writer = writer;
        }

        /** Adds a vector, or replaces the one under this key. */
        void put(String key, String stamp, float[] vector) throws IOException {
            Document d = new Document();
            d.add(new StringField(KEY, key, Field.Store.YES));
            d.add(new StoredField(STAMP, stamp));
            d.add(new KnnFloatVectorField(VECTOR, vector, VectorSimilarityFunction.DOT_PRODUCT));
            writer.updateDocument(new Term(KEY, key), d);
        }

        void remove(String key) throws IOException {
            writer.deleteDocuments(new Term(KEY, key));
        }

        void commit() throws IOException {
            writer.commit();
        }

        @Override
        public void close() throws IOException {
            writer.rollback(); // drops what was not committed, and closes
        }
    }

    @Override
    public void close() {
        try {
            directory.close();
        } catch (IOException e) {
            throw new UserError(directory.getDirectory() + ": the index cannot be closed: " + e.getMessage(), e);
        }
    }

    /** Lucene's own format, whose limit of 1024 numbers a vector is one of writing only: SigLIP's have 1152. */
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
