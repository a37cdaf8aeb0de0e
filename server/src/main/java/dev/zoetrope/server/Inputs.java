package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tensor.UserError;
import io.javalin.http.Context;
import io.javalin.http.UploadedFile;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What comes in, within the limits. */
final class Inputs {
    private static final String BODY = "the request";
    /** After this time whoever sends slower than that is cut off. */
    private static final double PATIENCE_SECONDS = 5;

    private static final double BYTES_A_SECOND = 1000;
    /** Fields that are numbers, which forms can only send as text. */
    private static final Set<String> WHOLE = Set.of("n", "seed", "steps", "frames", "top");

    private static final Set<String> NUMBERS = Set.of("guidance_scale", "fps", "strength", "seconds");

    private final Limits limits;
    private final @Nullable RemoteImages remote;

    /** @param remote fetches pictures by address; null where that is not allowed */
    Inputs(Limits limits, @Nullable RemoteImages remote) {
        this.limits = limits;
        this.remote = remote;
    }

    /** The body as an object: JSON, or the fields of a form. */
    Json body(Context ctx) {
        if (ctx.isMultipartFormData()) {
            return form(ctx);
        }
        String text = utf8(bytes(ctx));
        if (ctx.isFormUrlencoded() && !text.startsWith("{")) { // curl -d without a type sends JSON under that name
            throw ApiError.bad("the request is neither JSON nor multipart/form-data");
        }
        try {
            return Json.parse(BODY, text);
        } catch (UserError e) {
            throw ApiError.bad(String.valueOf(e.getMessage()));
        }
    }

    private byte[] bytes(Context ctx) {
        int most = limits.bodyBytes();
        if (ctx.req().getContentLengthLong() > most) {
            throw large();
        }
        long begun = System.nanoTime();
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] some = new byte[1 << 16];
        try (InputStream in = ctx.req().getInputStream()) {
            for (int n = in.read(some); n >= 0; n = in.read(some)) {
                all.write(some, 0, n);
                if (all.size() > most) {
                    throw large();
                }
                double seconds = (System.nanoTime() - begun) / 1e9;
                if (seconds > PATIENCE_SECONDS && all.size() < seconds * BYTES_A_SECOND) {
                    throw ApiError.of(408, "the request's body comes too slowly");
                }
            }
            return all.toByteArray();
        } catch (IOException e) {
            throw ApiError.bad("the request's body cannot be read");
        }
    }

    private ApiError large() {
        return ApiError.tooLarge("the request's body has more than " + limits.bodyBytes() + " bytes");
    }

    private static String utf8(byte[] bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw ApiError.bad("the request's body is not UTF-8");
        }
    }

    private Json form(Context ctx) {
        if (ctx.req().getContentLengthLong() > limits.bodyBytes()) {
            throw large();
        }
        Map<String, Object> values = new LinkedHashMap<>();
        Map<String, List<String>> fields;
        try {
            fields = ctx.formParamMap();
        } catch (RuntimeException e) {
            throw ApiError.bad("the form cannot be read, or has more than " + limits.bodyBytes() + " bytes");
        }
        fields.forEach((name, all) -> {
            if (!all.isEmpty()) {
                values.put(name, value(name, all.get(0)));
            }
        });
        return Json.of(BODY, values);
    }

    private static Object value(String name, String text) {
        try {
            if (WHOLE.contains(name)) {
                return Long.valueOf(text.strip());
            }
            return NUMBERS.contains(name) ? (Object) Double.valueOf(text.strip()) : text;
        } catch (NumberFormatException e) {
            throw ApiError.bad(name + " '" + text + "' is not a number", name);
        }
    }

    /** A picture that came as a file of a form; null where there is none. */
    @Nullable
    Image uploaded(Context ctx, String... names) {
        if (!ctx.isMultipartFormData()) {
            return null;
        }
        for (String name : names) {
            List<UploadedFile> files;
            try {
                files = ctx.uploadedFiles(name);
            } catch (RuntimeException e) {
                throw ApiError.bad("the form cannot be read, or has more than " + limits.bodyBytes() + " bytes");
            }
            if (!files.isEmpty()) {
                try (InputStream in = files.get(0).content()) {
                    return picture(in.readNBytes(limits.bodyBytes()), name);
                } catch (IOException e) {
                    throw ApiError.bad(name + " cannot be read", name);
                }
            }
        }
        return null;
    }

    /**
     * A picture by its address: {@code data:image/...;base64,...}, or https where the server fetches such.
     *
     * @param name of the field, for messages
     */
    Image image(String url, String name) {
        if (url.startsWith("data:")) {
            int comma = url.indexOf(',');
            if (comma < 0 || !url.substring(0, comma).endsWith(";base64")) {
                throw ApiError.bad(name + ": expected data:image/png;base64,...", name);
            }
            return picture(base64(url.substring(comma + 1), name), name);
        }
        if (url.startsWith("http://") || url.startsWith("https://")) {
            if (remote == null) {
                throw ApiError.bad(
                        name + ": this server fetches no pictures from other places (it would with "
                                + "--remote-images); send it as data:image/png;base64,...",
                        name);
            }
            return picture(remote.fetch(url), name);
        }
        throw ApiError.bad(name + ": expected data:image/png;base64,...", name);
    }

    /** A picture in base64 without an address around it, or with one. */
    Image base64Image(String text, String name) {
        return text.startsWith("data:") || text.startsWith("http")
                ? image(text, name)
                : picture(base64(text, name), name);
    }

    private static byte[] base64(String text, String name) {
        try {
            return Base64.getDecoder().decode(text);
        } catch (IllegalArgumentException e) {
            throw ApiError.bad(name + ": bad base64: " + e.getMessage(), name);
        }
    }

    private Image picture(byte[] data, String name) {
        try {
            return Images.within(limits.pixels(), () -> Images.read(data, name));
        } catch (UserError e) {
            throw ApiError.bad(String.valueOf(e.getMessage()), name);
        }
    }
}
