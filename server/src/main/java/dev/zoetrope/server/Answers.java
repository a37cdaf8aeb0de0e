package dev.zoetrope.server;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.javalin.http.Context;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** How answers are written. */
final class Answers {
    private static final String ANSWERED = "answered";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Answers() {}

    /** JSON of maps, lists, texts and numbers. */
    static String text(Object value) {
        try {
            return MAPPER.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    static void json(Context ctx, Object value) {
        ctx.contentType("application/json").result(text(value));
    }

    /** Whether an error of this shape is the answer already. */
    static boolean isAnswered(Context ctx) {
        return ctx.attribute(ANSWERED) != null;
    }

    static void error(Context ctx, ApiError e) {
        ctx.attribute(ANSWERED, true);
        if (e.retryAfter() > 0) {
            ctx.header("Retry-After", Integer.toString(e.retryAfter()));
        }
        if (e.status() == 401) {
            ctx.header("WWW-Authenticate", "Bearer");
        }
        ctx.status(e.status());
        json(ctx, e.json());
    }

    /** As OpenAI's clients ask for vectors: little-endian floats in base64. */
    static String base64(float[] vector) {
        ByteBuffer b = ByteBuffer.allocate(4 * vector.length).order(ByteOrder.LITTLE_ENDIAN);
        b.asFloatBuffer().put(vector);
        return Base64.getEncoder().encodeToString(b.array());
    }

    /** Events that are sent as they come. */
    static final class Events {
        private final OutputStream out;

        /** Begins the answer. */
        Events(Context ctx) {
            ctx.res().setStatus(200);
            ctx.res().setContentType("text/event-stream; charset=utf-8");
            ctx.res().setHeader("Cache-Control", "no-store");
            ctx.res().setHeader("X-Accel-Buffering", "no");
            ctx.disableCompression();
            try {
                out = ctx.res().getOutputStream();
                ctx.res().flushBuffer();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        /** @throws UncheckedIOException when the client has left */
        void data(Object value) {
            write("data: " + (value instanceof String s ? s : text(value)) + "\n\n");
        }

        /** Says nothing, but finds out whether the client is there. */
        void heartbeat() {
            write(": \n\n");
        }

        private void write(String lines) {
            try {
                out.write(lines.getBytes(StandardCharsets.UTF_8));
                out.flush();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
