package dev.zoetrope.server;

import io.javalin.http.Context;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.function.BooleanSupplier;
import org.eclipse.jetty.ee10.servlet.ServletContextRequest;
import org.jspecify.annotations.Nullable;

/**
 * Whether the client of a request is still there, while nothing is written to it. Jetty does not look at a connection whose
 * request is being answered, so this does: the end of what the client sends is the end of its interest. Should a client
 * send its next request before it has this answer, the byte that is read here is lost, so the connection ends with this
 * answer; such a client sends it again, as HTTP allows the server to do so.
 */
final class Presence implements BooleanSupplier {
    private final Context ctx;
    private final @Nullable SocketChannel channel;
    private boolean blind;

    Presence(Context ctx) {
        this.ctx = ctx;
        Object transport = ServletContextRequest.getServletContextRequest(ctx.req())
                .getConnectionMetaData()
                .getConnection()
                .getEndPoint()
                .getTransport();
        this.channel = transport instanceof SocketChannel c ? c : null;
    }

    @Override
    public boolean getAsBoolean() {
        if (channel == null || blind) {
            return true;
        }
        try {
            int n = channel.read(ByteBuffer.allocate(1));
            if (n > 0) {
                blind = true;
                ctx.header("Connection", "close");
            }
            return n >= 0;
        } catch (IOException e) {
            return false;
        }
    }
}
