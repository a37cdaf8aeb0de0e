package dev.zoetrope.server;

import io.javalin.http.Context;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The studio's own files: those of the list and no others, whatever a path says. */
final class StudioFiles {
    private static final List<String> NAMES = List.of(
            "index.html",
            "style.css",
            "app.js",
            "api.js",
            "dom.js",
            "make.js",
            "gallery.js",
            "chat.js",
            "search.js",
            "annotate.js",
            "training.js",
            "icon.svg");

    private final Map<String, byte[]> files = new LinkedHashMap<>();

    StudioFiles() {
        NAMES.forEach(n -> files.put(n, Server.resource("studio/" + n)));
    }

    void index(Context ctx) {
        send(ctx, "index.html");
    }

    void file(Context ctx) {
        send(ctx, ctx.pathParam("file"));
    }

    private void send(Context ctx, String name) {
        byte[] content = files.get(name);
        if (content == null) {
            throw ApiError.notFound("not_found", "there is no such file");
        }
        ctx.contentType(type(name)).header("Cache-Control", "no-cache").result(content);
    }

    private static String type(String name) {
        return switch (name.substring(name.lastIndexOf('.') + 1)) {
            case "html" -> "text/html; charset=utf-8";
            case "css" -> "text/css; charset=utf-8";
            case "js" -> "text/javascript; charset=utf-8";
            default -> "image/svg+xml";
        };
    }
}
