package dev.zoetrope.curation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.function.ObjLongConsumer;

/** A JSON list of records, read one by one: lists of conversations grow to gigabytes. */
final class RecordFile {
    static final ObjectMapper MAPPER = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private RecordFile() {}

    /** Hands over every record with its number, from 0. */
    static void each(Path file, ObjLongConsumer<JsonNode> record) {
        long row = 0;
        try (InputStream in = Files.newInputStream(file);
                var parser = MAPPER.createParser(in)) {
            if (parser.nextToken() != JsonToken.START_ARRAY) {
                throw new UserError(file + ": expected a list of records, [ ... ], at the top");
            }
            parser.nextToken();
            MappingIterator<JsonNode> records = MAPPER.readerFor(JsonNode.class).readValues(parser);
            while (records.hasNextValue()) {
                record.accept(records.nextValue(), row);
                row++;
            }
            if (parser.currentToken() != JsonToken.END_ARRAY && parser.nextToken() != null) {
                throw new UserError(file + ": the list ends behind record " + (row - 1) + " and something follows");
            }
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": there is no such file", e);
        } catch (JsonProcessingException e) {
            throw new UserError(file + ": record " + row + ": bad JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e, e);
        }
    }
}
