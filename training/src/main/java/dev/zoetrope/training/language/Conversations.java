package dev.zoetrope.training.language;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Conversations as LLaVA and its kin publish them: a JSON list of {@code {"id", "image", "conversations": [{"from":
 * "human", "value"}, {"from": "gpt", "value"}]}}.
 */
public final class Conversations {
    /**
     * @param image file name beside the list; null for a conversation without a picture
     */
    public record Conversation(String id, @Nullable String image, List<Turn> turns) {}

    private Conversations() {}

    /** Reads a file; an answer before the first question is left out. */
    public static List<Conversation> read(Path file) {
        Json json;
        try {
            json = Json.parse(file.toString(), "{\"list\":" + Files.readString(file) + "}");
        } catch (IOException e) {
            throw new UserError(file + ": cannot read: " + e, e);
        }
        return json.list("list").stream().map(Conversations::of).toList();
    }

    private static Conversation of(Json j) {
        List<Json> said = new ArrayList<>(j.list("conversations"));
        if (!said.isEmpty() && said.get(0).get("from", "").equals("gpt")) {
            said.remove(0);
        }
        List<Turn> turns = new ArrayList<>();
        for (int i = 0; i < said.size(); i += 2) {
            speaks(said.get(i), "human");
            if (i + 1 == said.size()) {
                throw new UserError(said.get(i).name() + ": the question has no answer");
            }
            speaks(said.get(i + 1), "gpt");
            turns.add(new Turn(said.get(i).require("value"), said.get(i + 1).require("value")));
        }
        if (turns.isEmpty()) {
            throw new UserError(j.name() + ": conversations is empty");
        }
        return new Conversation(j.get("id", ""), j.has("image") ? j.require("image") : null, List.copyOf(turns));
    }

    private static void speaks(Json j, String who) {
        if (!j.require("from").equals(who)) {
            throw j.unsupported("from", '"' + who + "\": human and gpt speak in turn");
        }
    }
}
