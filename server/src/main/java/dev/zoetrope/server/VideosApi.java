package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.server.Job.Kind;
import dev.zoetrope.server.Job.Status;
import io.javalin.http.Context;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code /v1/videos}: jobs that make clips. */
final class VideosApi {
    private static final int MOST_LISTED = 100;
    private static final Pattern RANGE = Pattern.compile("bytes=(\\d{0,15})-(\\d{0,15})");

    private final Models models;
    private final Jobs jobs;
    private final Inputs inputs;
    private final Limits limits;

    VideosApi(Models models, Jobs jobs, Inputs inputs, Limits limits) {
        this.models = models;
        this.jobs = jobs;
        this.inputs = inputs;
        this.limits = limits;
    }

    void create(Context ctx) {
        Json body = inputs.body(ctx);
        Model model = models.require(body.get("model", ""), Ability.VIDEO);
        Job job = jobs.add(Kind.VIDEO, model, Wish.of(body, limits), reference(ctx, body), null, Guard.owner(ctx));
        Answers.json(ctx, json(job));
    }

    private @Nullable Image reference(Context ctx, Json body) {
        if (body.has("input_reference")) {
            String url = body.isObject("input_reference")
                    ? body.at("input_reference").require("image_url")
                    : body.require("input_reference");
            return inputs.base64Image(url, "input_reference");
        }
        return inputs.uploaded(ctx, "input_reference");
    }

    void list(Context ctx) {
        List<Job> found = page(ctx, jobs, Kind.VIDEO);
        Map<String, @Nullable Object> r = new LinkedHashMap<>();
        r.put("object", "list");
        r.put("data", found.stream().map(VideosApi::json).toList());
        r.put("first_id", found.isEmpty() ? null : found.get(0).id());
        r.put("last_id", found.isEmpty() ? null : found.get(found.size() - 1).id());
        r.put("has_more", found.size() == limit(ctx));
        Answers.json(ctx, r);
    }

    private static int limit(Context ctx) {
        String text = ctx.queryParam("limit");
        try {
            int n = text == null ? 20 : Integer.parseInt(text);
            if (n >= 1 && n <= MOST_LISTED) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw ApiError.bad("limit '" + text + "' is not a number", "limit");
        }
        throw ApiError.bad("limit " + text + " is not between 1 and " + MOST_LISTED, "limit");
    }

    /** The jobs that {@code limit} and {@code after} ask for. */
    static List<Job> page(Context ctx, Jobs jobs, @Nullable Kind kind) {
        @Nullable String after = ctx.queryParam("after");
        String owner = Guard.owner(ctx);
        return jobs.of(owner, kind, after == null || after.isEmpty() ? null : own(after, jobs, owner), limit(ctx));
    }

    /** A job of this key, or 404: others' jobs are not told from those that never were. */
    static Job own(String id, Jobs jobs, String owner) {
        return jobs.find(id)
                .filter(j -> j.owner().equals(owner))
                .orElseThrow(() -> ApiError.notFound("not_found", "there is no such job; perhaps it has expired"));
    }

    private Job own(Context ctx) {
        return own(ctx.pathParam("id"), jobs, Guard.owner(ctx));
    }

    void one(Context ctx) {
        Answers.json(ctx, json(own(ctx)));
    }

    void delete(Context ctx) {
        Job job = own(ctx);
        jobs.delete(job.id());
        Answers.json(ctx, Map.of("id", job.id(), "object", "video.deleted", "deleted", true));
    }

    void cancel(Context ctx) {
        Job job = own(ctx);
        jobs.cancel(job.id());
        Answers.json(ctx, json(own(ctx)));
    }

    /** The same again with another prompt. */
    void remix(Context ctx) {
        Job job = own(ctx);
        Json body = Json.parse("the job's settings", job.settings())
                .with("prompt", inputs.body(ctx).require("prompt"));
        @Nullable
        Image input = jobs.results()
                .existing(jobs.results().input(job.id()))
                .map(Images::read)
                .orElse(null);
        Job made =
                jobs.add(job.kind(), models.require(job.model()), Wish.of(body, limits), input, job.id(), job.owner());
        Answers.json(ctx, json(made));
    }

    void content(Context ctx) {
        Job job = own(ctx);
        if (job.status() != Status.COMPLETED) {
            throw ApiError.conflict(
                    "the job is " + job.status().label() + "; its result is there when it is completed");
        }
        String variant = ctx.queryParam("variant") == null ? "video" : String.valueOf(ctx.queryParam("variant"));
        Path file =
                switch (variant) {
                    case "video" -> jobs.results().made(job);
                    case "thumbnail" -> jobs.results().thumbnail(job);
                    case "spritesheet" -> jobs.results().sheet(job);
                    default -> throw ApiError.bad("variant is video, thumbnail or spritesheet", "variant");
                };
        send(ctx, file, job.id());
    }

    private static void send(Context ctx, Path file, String name) {
        String text = file.toString();
        String ending = text.substring(text.lastIndexOf('.') + 1);
        String type =
                switch (ending) {
                    case "mp4" -> "video/mp4";
                    case "png" -> "image/png";
                    default -> "image/jpeg";
                };
        ctx.header("Cache-Control", "private, max-age=86400, immutable");
        ctx.header("Content-Disposition", "inline; filename=\"" + name + "." + ending + "\"");
        ctx.header("Accept-Ranges", "bytes");
        try (FileChannel in = FileChannel.open(file)) {
            long[] part = part(ctx.header("Range"), in.size());
            ctx.res().setContentType(type);
            ctx.res().setContentLengthLong(part[1] - part[0]);
            if (part[1] - part[0] < in.size()) {
                ctx.status(206);
                ctx.header("Content-Range", "bytes " + part[0] + "-" + (part[1] - 1) + "/" + in.size());
            }
            WritableByteChannel out = Channels.newChannel(ctx.res().getOutputStream());
            for (long at = part[0]; at < part[1]; ) {
                at += in.transferTo(at, part[1] - at, out);
            }
        } catch (NoSuchFileException e) {
            throw ApiError.notFound("not_found", "the result is not there any more");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** From where to where, the end exclusive: the one range that is asked for, or all. */
    private static long[] part(@Nullable String range, long size) {
        Matcher m = RANGE.matcher(range == null ? "" : range);
        if (m.matches() && !(m.group(1).isEmpty() && m.group(2).isEmpty())) {
            boolean last = m.group(1).isEmpty(); // so many bytes at the end
            long from = last ? Math.max(0, size - Long.parseLong(m.group(2))) : Long.parseLong(m.group(1));
            long to = last || m.group(2).isEmpty() ? size : Math.min(size, Long.parseLong(m.group(2)) + 1);
            if (from < to) {
                return new long[] {from, to};
            }
        }
        return new long[] {0, size};
    }

    /** As OpenAI describes a video, and all settings beside. */
    static Map<String, Object> json(Job job) {
        Json s = Json.parse("settings", job.settings());
        Map<String, @Nullable Object> r = new LinkedHashMap<>();
        r.put("id", job.id());
        r.put("object", job.kind().label());
        r.put("created_at", job.created() / 1000);
        r.put(
                "status",
                job.status() == Status.CANCELLED ? "failed" : job.status().label());
        r.put("progress", job.progress());
        r.put("model", job.model());
        r.put("prompt", s.get("prompt", ""));
        r.put("size", s.get("size", ""));
        r.put("seconds", seconds(s));
        r.put("completed_at", job.completed() == 0 ? null : job.completed() / 1000);
        r.put("expires_at", job.expires() / 1000);
        r.put("remixed_from_video_id", job.source());
        r.put("error", error(job));
        Map<String, @Nullable Object> settings = new LinkedHashMap<>();
        s.keys().forEach(k -> settings.put(k, s.value(k)));
        r.put("settings", settings);
        @SuppressWarnings("unchecked")
        Map<String, Object> result = (Map<String, Object>) (Map<String, ?>) r;
        return result;
    }

    private static String seconds(Json settings) {
        double fps = settings.get("fps", 0.0);
        double seconds = fps == 0 ? 0 : settings.get("frames", 0) / fps;
        return seconds == Math.rint(seconds) ? Long.toString((long) seconds) : Double.toString(seconds);
    }

    private static @Nullable Map<String, String> error(Job job) {
        if (job.status() == Status.CANCELLED) {
            return Map.of("code", "cancelled", "message", "the job was cancelled");
        }
        @Nullable String error = job.error();
        return error == null ? null : Map.of("code", "failed", "message", error);
    }
}
