package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.ImageSearch;
import io.javalin.http.Context;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Search in folders of pictures by what they show. */
final class SearchApi {
    private static final int MOST = 200;

    private final Models models;
    private final Pictures pictures;
    private final Inputs inputs;
    private final Path indexes;

    /** @param indexes folder of the indexes */
    SearchApi(Models models, Pictures pictures, Inputs inputs, Path indexes) {
        this.models = models;
        this.pictures = pictures;
        this.inputs = inputs;
        this.indexes = indexes;
    }

    void folders(Context ctx) {
        List<Map<String, Object>> all = pictures.all().stream()
                .map(f -> Map.<String, Object>of(
                        "id", f.id(), "name", f.name(), "pictures", f.files().size()))
                .toList();
        Answers.json(ctx, Map.of("folders", all));
    }

    /** All pictures of a folder, for want of a question. */
    void browse(Context ctx) {
        Pictures.Folder folder = pictures.folder(ctx.pathParam("folder"));
        List<Map<String, Object>> all = folder.files().entrySet().stream()
                .limit(MOST)
                .map(e -> Map.<String, Object>of(
                        "id", e.getKey(), "name", String.valueOf(e.getValue().getFileName())))
                .toList();
        Answers.json(ctx, Map.of("pictures", all));
    }

    void picture(Context ctx) {
        Path file = pictures.file(ctx.pathParam("folder"), ctx.pathParam("id"));
        String side = ctx.queryParam("side");
        int most = side != null && side.matches("\\d{2,4}") ? Integer.parseInt(side) : 1600;
        ctx.header("Cache-Control", "private, max-age=300");
        ctx.contentType("image/jpeg").result(Pictures.jpeg(file, most));
    }

    /** By {@code text}, or by a picture: {@code image}, or {@code like}, one of the folder. */
    void find(Context ctx) {
        Json body = inputs.body(ctx);
        Pictures.Folder folder = pictures.folder(ctx.pathParam("folder"));
        Model model = models.require(body.get("model", ""), Ability.EMBEDDING);
        int limit = Math.max(1, Math.min(MOST, body.get("limit", 60)));
        String text = body.get("text", "");
        @Nullable Image image = body.has("image") ? inputs.image(body.require("image"), "image") : null;
        if (body.has("like")) {
            image = Images.read(pictures.file(folder.id(), body.require("like")));
        }
        if (image == null && text.isBlank()) {
            throw ApiError.bad("neither text nor image is there", "text");
        }
        @Nullable Image like = image;
        Path index = indexes.resolve(Pictures.id(folder.path() + "\n" + model.folder()));
        List<ImageSearch.Hit> hits = model.lane()
                .submit(flag -> models.use(model, Embed.class, m -> {
                    try (ImageSearch search = ImageSearch.with(folder.path(), index, m)) {
                        search.update((step, steps) -> flag.wanted());
                        return like == null ? search.find(text, limit) : search.find(like, limit);
                    }
                }))
                .await(new Presence(ctx));
        List<Map<String, Object>> found = new ArrayList<>();
        for (ImageSearch.Hit h : hits) {
            String id = folder.of(h.file());
            if (folder.files().containsKey(id)) {
                found.add(
                        Map.of("id", id, "name", String.valueOf(h.file().getFileName()), "similarity", h.similarity()));
            }
        }
        Answers.json(ctx, Map.of("pictures", found, "model", model.id()));
    }
}
