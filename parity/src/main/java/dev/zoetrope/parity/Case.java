package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** One case: a folder with case.json, inputs and expected outputs, and the checkpoint as people publish it. */
final class Case {
    /** An output that is asked for; {@code tolerance} is 0 for what must be equal. */
    record Output(String name, String dtype, double tolerance) {}

    private final Path folder;
    private final Json json;
    private @Nullable Map<String, Tensor> inputs;

    private Case(Path folder, Json json) {
        this.folder = folder;
        this.json = json;
    }

    static Case read(Path file) {
        return new Case(file.toAbsolutePath().getParent(), Json.read(file));
    }

    String system() {
        return json.require("system");
    }

    /** {@code system/case}. */
    String name() {
        return system() + "/" + json.require("case");
    }

    String entry() {
        return json.require("entry");
    }

    Json params() {
        return json.at("params");
    }

    List<Output> outputs() {
        List<Output> r = new ArrayList<>();
        Json outputs = json.at("outputs");
        for (String name : outputs.keys()) {
            Json o = outputs.at(name);
            r.add(new Output(name, o.require("dtype"), o.get("tolerance", 0.0)));
        }
        return r;
    }

    /** Expected outputs by name, owned by the innermost scope. */
    Map<String, Tensor> expected() {
        return Safetensors.read(folder.resolve("outputs.safetensors"));
    }

    /** All inputs by name, owned by the scope that was open at the first call. */
    Map<String, Tensor> inputs() {
        Map<String, Tensor> r = inputs;
        if (r == null) {
            Path file = folder.resolve("inputs.safetensors");
            r = Files.exists(file) ? Safetensors.read(file) : new LinkedHashMap<>();
            inputs = r;
        }
        return r;
    }

    Tensor input(String name) {
        Tensor t = inputs().get(name);
        if (t == null) {
            throw new UserError(name() + ": no input " + name + "; present: " + inputs().keySet());
        }
        return t;
    }

    @Nullable
    Tensor optionalInput(String name) {
        return inputs().get(name);
    }

    /** The folder of the checkpoint. */
    Path model() {
        return folder.resolve("model");
    }

    /** A file beside case.json that a parameter names. */
    Path file(String parameter) {
        return folder.resolve(params().require(parameter));
    }

    Path beside(String fileName) {
        return folder.resolve(fileName);
    }

    /** {@code [row, longest]}, filled up at the end. */
    static Tensor rows(Collection<long[]> rows, long fill) {
        int width = rows.stream().mapToInt(r -> r.length).max().orElse(0);
        long[] all = new long[rows.size() * width];
        Arrays.fill(all, fill);
        int at = 0;
        for (long[] row : rows) {
            System.arraycopy(row, 0, all, at, row.length);
            at += width;
        }
        return Tensor.of(all, rows.size(), width);
    }
}
