package dev.zoetrope.curation.spark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** The convention of WebDataset: the first dot of a member's name parts the sample's key from what the member is. */
final class TarNames {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private TarNames() {}

    private static int dot(String name) {
        int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
        return dot < 0 ? name.length() : dot;
    }

    static String key(String name) {
        return name.substring(0, dot(name));
    }

    /** Without the dot. */
    static String ending(String name) {
        return name.substring(Math.min(name.length(), dot(name) + 1));
    }

    record Numbers(long id, double similarity) {}

    /**
     * What a sample's metadata say.
     *
     * @param name what messages call the sample
     * @param idKey null where it is not wanted
     * @param similarityKey null where it is not wanted
     */
    static Numbers numbers(
            String name, byte @Nullable [] json, @Nullable String idKey, @Nullable String similarityKey) {
        if (idKey == null && similarityKey == null) {
            return new Numbers(0, Double.NaN);
        }
        if (json == null) {
            throw new UserError(name + " has no .json with " + (idKey != null ? idKey : similarityKey));
        }
        try {
            JsonNode node = MAPPER.readTree(json);
            if (idKey != null && !node.path(idKey).canConvertToLong()) {
                throw new UserError(name + ".json: " + idKey + " " + node.path(idKey) + " is no whole number");
            }
            return new Numbers(
                    idKey == null ? 0 : node.path(idKey).longValue(),
                    similarityKey == null
                            ? Double.NaN
                            : node.path(similarityKey).asDouble(Double.NaN));
        } catch (JsonProcessingException e) {
            throw new UserError(name + ".json: bad JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new UserError(name + ".json: cannot be read: " + e, e);
        }
    }
}
