package dev.zoetrope.curation;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Recipe;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A mix of conversations from several files, in their order: shuffling is left to who trains on it. Bunny-695K is
 * SVIT-mix-665K without its conversations that have no picture, and WizardLM-evol-instruct-70K behind it.
 *
 * @param parts one file each
 */
public record Mix(List<Part> parts) {
    /** How the records of a file look. */
    public enum Format {
        /** {@code {"id", "image", "conversations"}}. */
        LLAVA,
        /** {@code {"instruction", "output"}}: becomes a question and an answer without a picture. */
        INSTRUCTION
    }

    /** Which records of a file are taken. */
    public enum Which {
        ALL,
        WITH_IMAGE,
        TEXT_ONLY
    }

    /**
     * @param name what ids of converted records begin with
     */
    public record Part(Path file, Format format, Which which, String name) {}

    /**
     * A record on its way into the mix.
     *
     * @param part from 0
     * @param row its number in its file, from 0
     */
    public record Mixed(int part, long row, JsonNode record) {}

    /**
     * How many records of a part there are, and how many of them went into the mix.
     */
    public record Count(String name, long read, long taken) {}

    public Mix {
        parts = List.copyOf(parts);
        if (parts.isEmpty()) {
            throw new UserError("a mix needs at least one part");
        }
    }

    /** The mix of Bunny's fine-tuning. */
    public static Mix bunny(Path svitMix, Path wizardLm) {
        return new Mix(List.of(
                new Part(svitMix, Format.LLAVA, Which.WITH_IMAGE, "svit"),
                new Part(wizardLm, Format.INSTRUCTION, Which.ALL, "wizardlm")));
    }

    /**
     * Reads a recipe: a list {@code parts} of {@code file}, {@code format} (llava or instruction), {@code which} (all,
     * with_image, text_only) and {@code name}.
     *
     * @param folder what the files' names are relative to
     * @param changed {@code parts} cannot be changed, other keys can
     */
    public static Mix read(Path recipe, Path folder, Map<String, String> changed) {
        Json json = Recipe.read(recipe, changed).settings();
        List<Part> parts = new ArrayList<>();
        for (Json p : json.list("parts")) {
            parts.add(new Part(
                    folder.resolve(p.require("file")),
                    p.get("format", Format.LLAVA),
                    p.get("which", Which.ALL),
                    p.get("name", "part" + parts.size())));
        }
        return new Mix(parts);
    }

    /** What is done with each record of the mix. */
    @FunctionalInterface
    public interface Sink {
        void accept(Mixed mixed) throws IOException;
    }

    /** Hands over the records of the mix in their order. */
    public List<Count> each(Sink sink) {
        List<Count> r = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            int number = i;
            long[] counts = new long[2];
            RecordFile.each(part.file, (record, row) -> {
                counts[0]++;
                if (wanted(record, part.which)) {
                    counts[1]++;
                    try {
                        sink.accept(new Mixed(
                                number, row, part.format == Format.LLAVA ? record : converted(record, row, part)));
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                }
            });
            r.add(new Count(part.name, counts[0], counts[1]));
        }
        return r;
    }

    private static boolean wanted(JsonNode record, Which which) {
        return which == Which.ALL || record.hasNonNull("image") == (which == Which.WITH_IMAGE);
    }

    private static JsonNode converted(JsonNode record, long row, Part part) {
        JsonNode question = record.path("instruction");
        JsonNode answer = record.path("output");
        if (!question.isTextual() || !answer.isTextual()) {
            throw new UserError(part.file + ": record " + row + " is no pair of instruction and output, both texts");
        }
        ObjectNode r = RecordFile.MAPPER.createObjectNode().put("id", part.name + "-" + row);
        r.putArray("conversations")
                .add(RecordFile.MAPPER.createObjectNode().put("from", "human").set("value", question))
                .add(RecordFile.MAPPER.createObjectNode().put("from", "gpt").set("value", answer));
        return r;
    }

    /** Writes the mix as one list, which appears complete or not at all. */
    public List<Count> write(Path file, Sink also) {
        List<Count> counts = new ArrayList<>();
        AtomicFile.write(file, out -> {
            try (JsonGenerator g = RecordFile.MAPPER.createGenerator(out, JsonEncoding.UTF8)) {
                g.disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
                g.writeStartArray();
                counts.addAll(each(m -> {
                    g.writeRaw("\n");
                    RecordFile.MAPPER.writeTree(g, m.record);
                    also.accept(m);
                }));
                g.writeRaw("\n");
                g.writeEndArray();
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
        });
        return counts;
    }
}
