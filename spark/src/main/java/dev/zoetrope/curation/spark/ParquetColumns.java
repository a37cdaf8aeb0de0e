package dev.zoetrope.curation.spark;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.LongStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.api.ReadSupport;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.hadoop.util.HadoopInputFile;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.jspecify.annotations.Nullable;

/** A few columns of a Parquet file in the order of its rows, for tasks that read other files of the same order beside it. */
final class ParquetColumns {
    private ParquetColumns() {}

    /**
     * @param ids empty where they were not asked for
     * @param similarities NaN where there is none; empty where they were not asked for
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Numbers(long[] ids, double[] similarities) {}

    static Numbers numbers(Path file, Configuration conf, @Nullable String id, @Nullable String similarity)
            throws IOException {
        List<Type> wanted = new ArrayList<>();
        MessageType schema;
        try (ParquetFileReader reader = ParquetFileReader.open(HadoopInputFile.fromPath(file, conf))) {
            schema = reader.getFileMetaData().getSchema();
        }
        for (String column : new @Nullable String[] {id, similarity}) {
            if (column != null) {
                if (!schema.containsField(column)) {
                    throw new UserError(file + ": there is no column " + column);
                }
                wanted.add(schema.getType(column));
            }
        }
        LongStream.Builder ids = LongStream.builder();
        DoubleStream.Builder similarities = DoubleStream.builder();
        Configuration projected = new Configuration(conf);
        projected.set(ReadSupport.PARQUET_READ_SCHEMA, new MessageType(schema.getName(), wanted).toString());
        long row = 0;
        try (ParquetReader<Group> reader = ParquetReader.builder(new GroupReadSupport(), file)
                .withConf(projected)
                .build()) {
            for (Group g = reader.read(); g != null; g = reader.read()) {
                if (id != null) {
                    if (g.getFieldRepetitionCount(id) == 0) {
                        throw new UserError(file + ": row " + row + " has no " + id);
                    }
                    ids.add(whole(g, id));
                }
                if (similarity != null) {
                    similarities.add(g.getFieldRepetitionCount(similarity) == 0 ? Double.NaN : number(g, similarity));
                }
                row++;
            }
        }
        return new Numbers(ids.build().toArray(), similarities.build().toArray());
    }

    private static PrimitiveTypeName type(Group g, String column) {
        return g.getType().getType(column).asPrimitiveType().getPrimitiveTypeName();
    }

    private static long whole(Group g, String column) {
        return type(g, column) == PrimitiveTypeName.INT32 ? g.getInteger(column, 0) : g.getLong(column, 0);
    }

    private static double number(Group g, String column) {
        return switch (type(g, column)) {
            case FLOAT -> g.getFloat(column, 0);
            case DOUBLE -> g.getDouble(column, 0);
            case INT32, INT64 -> whole(g, column);
            default -> throw new UserError("the column " + column + " has no numbers");
        };
    }
}
