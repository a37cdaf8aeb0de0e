package dev.zoetrope.world;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The 120 objects of the world. Any first N of them are well apart and from many groups. */
public final class WorldObjects {
    private static final List<WorldObject> ALL = read();
    private static final Map<String, WorldObject> BY_NAME = byName();

    private WorldObjects() {}

    /** All 120, in the order of their ids. */
    public static List<WorldObject> all() {
        return ALL;
    }

    /** The first n. */
    public static List<WorldObject> first(int n) {
        if (n < 1 || n > ALL.size()) {
            throw new UserError("world: " + n + " objects asked for, there are 1 to " + ALL.size());
        }
        return ALL.subList(0, n);
    }

    /** The object of this name or synonym. */
    public static WorldObject named(String name) {
        WorldObject found = BY_NAME.get(name);
        if (found == null) {
            throw new UserError("world: no object is called '" + name + "'; there are: "
                    + String.join(", ", ALL.stream().map(WorldObject::name).toList()));
        }
        return found;
    }

    /** The objects of these names or synonyms. */
    public static List<WorldObject> named(Collection<String> names) {
        return names.stream().map(WorldObjects::named).toList();
    }

    /** The ten groups, in alphabetical order. */
    public static Set<String> groups() {
        Set<String> groups = new TreeSet<>();
        ALL.forEach(object -> groups.add(object.group()));
        return groups;
    }

    private static List<WorldObject> read() {
        try (InputStream in = WorldObjects.class.getResourceAsStream("objects.json")) {
            List<WorldObject> objects = new ArrayList<>();
            for (JsonNode entry : new ObjectMapper().readTree(in).get("objects")) {
                List<WorldObject.Name> names = new ArrayList<>();
                for (JsonNode name : entry.get("names")) {
                    names.add(
                            name.isTextual()
                                    ? name(name.asText(), "one")
                                    : name(
                                            name.get("text").asText(),
                                            name.get("number").asText()));
                }
                objects.add(new WorldObject(
                        objects.size(),
                        names,
                        entry.get("group").asText(),
                        entry.get("code").asText()));
            }
            return List.copyOf(objects);
        } catch (IOException e) {
            throw new UncheckedIOException("world: objects.json cannot be read from the library's own jar", e);
        }
    }

    private static WorldObject.Name name(String text, String number) {
        return new WorldObject.Name(text, WorldObject.Number.valueOf(number.toUpperCase(Locale.ROOT)));
    }

    private static Map<String, WorldObject> byName() {
        Map<String, WorldObject> byName = new HashMap<>();
        for (WorldObject object : ALL) {
            for (WorldObject.Name name : object.names()) {
                WorldObject other = byName.put(name.text(), object);
                if (other != null) {
                    throw new IllegalStateException(
                            "objects.json: both " + other + " and " + object + " are called " + name.text());
                }
            }
        }
        return byName;
    }
}
