package dev.zoetrope.cli;

import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.ImageSearch;
import dev.zoetrope.tasks.UserCache;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Finds pictures of a folder. */
@Command(
        name = "search",
        sortOptions = false,
        description = {
            "Find the pictures of a folder that fit a sentence, or another picture.",
            "The first search reads all pictures; later ones only what is new.",
            "  zoetrope search \"two dogs\" --in photos/",
            "  zoetrope search --image dog.jpg --in photos/"
        })
final class SearchPictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "TEXT", description = "What is to be seen.")
    private @Nullable String text;

    @Option(names = "--image", paramLabel = "FILE", description = "Find what is like this picture.")
    private @Nullable Path image;

    @Option(names = "--in", required = true, paramLabel = "DIR", description = "Folder of pictures.")
    private Path folder;

    @Option(
            names = {"-k", "--top"},
            paramLabel = "K",
            description = "Pictures shown (default: ${DEFAULT-VALUE}).")
    private int top = 10;

    @Option(
            names = "--index",
            paramLabel = "DIR",
            description = "Where the index is kept (default: in the user's cache, one for each folder and model).")
    private @Nullable Path index;

    @Option(names = "--no-update", description = "Search what the index holds, without looking for new pictures.")
    private boolean noUpdate;

    @Mixin
    private ModelOption model;

    @Option(names = "--json", description = "Print a line of JSON for each picture found.")
    private boolean json;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Override
    public Integer call() throws IOException {
        if ((text == null) == (image == null)) {
            throw new ParameterException(spec.commandLine(), "say what to find: either a TEXT or --image FILE");
        }
        if (top < 1) {
            throw new UserError("--top " + top + ": at least 1 is needed");
        }
        if (text != null && text.isBlank()) {
            throw new UserError("the text to search for is empty");
        }
        PrintWriter err = spec.commandLine().getErr();
        Path weights = model.folder(BuiltIn.CLIP, err);
        engine.start(err);
        try (Stop stop = new Stop("stopping, what was indexed is kept ...", err);
                ImageSearch search = ImageSearch.open(
                        folder, index == null ? cached(weights) : index, fast.load(() -> Embed.load(weights)))) {
            if (!noUpdate) {
                update(search, stop, err);
            }
            List<ImageSearch.Hit> hits =
                    image != null ? search.find(Images.read(image), top) : search.find(String.valueOf(text), top);
            print(hits);
        }
        return 0;
    }

    private static void update(ImageSearch search, Stop stop, PrintWriter err) {
        Bar[] bar = new Bar[1];
        try {
            ImageSearch.Update update = search.update((done, of) -> {
                if (bar[0] == null) {
                    bar[0] = new Bar("index", 0, of, err);
                }
                bar[0].step(done);
                return !stop.requested();
            });
            update.failures().forEach(f -> err.println("zoetrope: left out: " + f.reason()));
        } finally {
            if (bar[0] != null) {
                bar[0].close();
            }
        }
    }

    private Path cached(Path weights) throws IOException {
        String key = folder.toRealPath() + "\n" + weights.toRealPath();
        return UserCache.folder()
                .resolve("search")
                .resolve(UUID.nameUUIDFromBytes(key.getBytes(StandardCharsets.UTF_8))
                        .toString());
    }

    private void print(List<ImageSearch.Hit> hits) {
        PrintWriter out = spec.commandLine().getOut();
        for (ImageSearch.Hit hit : hits) {
            if (json) {
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("file", hit.file().toString());
                line.put("similarity", hit.similarity());
                out.println(Pictures.json(line));
            } else {
                out.printf(Locale.ROOT, "%7.4f  %s%n", hit.similarity(), hit.file());
            }
        }
        out.flush();
    }
}
