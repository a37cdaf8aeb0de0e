package dev.zoetrope.server;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;

/**
 * Fetches pictures by https from public places only. A name is resolved once, all of its addresses must be public, and the
 * connection goes to the address that was looked at, not to the name again; every redirection is treated like the first
 * address. So nobody reaches what only this machine can reach. It speaks just enough HTTP for that, because Java's clients
 * resolve names themselves.
 */
final class RemoteImages {
    private static final int PORT = 443;
    private static final int HOPS = 5;
    private static final int MILLIS = 10_000;
    private static final int LONGEST_LINE = 8192;
    private static final int MOST_LINES = 100;

    private final int mostBytes;
    private final Resolver resolver;

    /** How names become addresses; a test has its own. */
    @FunctionalInterface
    interface Resolver {
        InetAddress[] resolve(String host) throws UnknownHostException;
    }

    RemoteImages(int mostBytes) {
        this(mostBytes, InetAddress::getAllByName);
    }

    RemoteImages(int mostBytes, Resolver resolver) {
        this.mostBytes = mostBytes;
        this.resolver = resolver;
    }

    /** @throws ApiError 400 for whatever is not fetched; it does not tell why an address did not answer */
    byte[] fetch(String url) {
        long until = System.currentTimeMillis() + MILLIS;
        String next = url;
        for (int hop = 0; hop < HOPS; hop++) {
            URI uri = uri(next);
            try {
                Response r = get(uri, address(uri.getHost()), until);
                if (r.location == null) {
                    return r.body;
                }
                next = uri.resolve(r.location).toString();
            } catch (IOException | IllegalArgumentException e) {
                throw refused("it does not answer with a picture");
            }
        }
        throw refused("it leads from one place to the next");
    }

    private static ApiError refused(String why) {
        return ApiError.bad("image_url: cannot be fetched: " + why, "image_url");
    }

    private static URI uri(String url) {
        URI uri;
        try {
            uri = URI.create(url);
        } catch (IllegalArgumentException e) {
            throw refused("it is not an address");
        }
        boolean plain = "https".equalsIgnoreCase(uri.getScheme())
                && uri.getHost() != null
                && uri.getUserInfo() == null
                && (uri.getPort() == -1 || uri.getPort() == PORT);
        if (!plain) {
            throw refused("only https addresses without a port and a user are");
        }
        return uri;
    }

    private InetAddress address(String host) throws UnknownHostException {
        InetAddress[] all = resolver.resolve(host);
        for (InetAddress a : all) {
            if (!isPublic(a)) {
                throw refused("its place is not public");
            }
        }
        return all[0];
    }

    /** Whether an address belongs to the public internet. */
    static boolean isPublic(InetAddress a) {
        if (a.isAnyLocalAddress()
                || a.isLoopbackAddress()
                || a.isLinkLocalAddress()
                || a.isSiteLocalAddress()
                || a.isMulticastAddress()) {
            return false;
        }
        byte[] b = a.getAddress();
        int first = b[0] & 0xff;
        int second = b[1] & 0xff;
        if (a instanceof Inet4Address) {
            return first != 0
                    && first < 240
                    && !(first == 100 && second >= 64 && second < 128) // shared by providers
                    && !(first == 192 && second == 0) // protocols, documentation
                    && !(first == 198 && (second == 18 || second == 19 || second == 51)) // benchmarks, documentation
                    && !(first == 203 && second == 0 && (b[2] & 0xff) == 113); // documentation
        }
        if (a instanceof Inet6Address v6) {
            boolean global = (first & 0xe0) == 0x20; // 2000::/3
            boolean teredo = first == 0x20 && second == 1 && (b[2] & 0xff) < 2; // and other protocols: 2001::/23
            boolean documentation = first == 0x20 && second == 1 && (b[2] & 0xff) == 0x0d && (b[3] & 0xff) == 0xb8;
            boolean sixToFour = first == 0x20 && second == 2; // carries an IPv4 address
            return global && !teredo && !documentation && !sixToFour && !v6.isIPv4CompatibleAddress();
        }
        return false;
    }

    @SuppressWarnings("ArrayRecordComponent")
    private record Response(byte[] body, @Nullable String location) {}

    private Response get(URI uri, InetAddress address, long until) throws IOException {
        try (Socket plain = new Socket()) {
            plain.connect(new InetSocketAddress(address, PORT), left(until));
            plain.setSoTimeout(left(until));
            SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
            try (SSLSocket socket = (SSLSocket) factory.createSocket(plain, uri.getHost(), PORT, true)) {
                SSLParameters parameters = socket.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                parameters.setServerNames(List.of(new SNIHostName(uri.getHost())));
                socket.setSSLParameters(parameters);
                String path = uri.getRawPath() == null || uri.getRawPath().isEmpty() ? "/" : uri.getRawPath();
                String query = uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery();
                String request = "GET " + path + query + " HTTP/1.0\r\nHost: " + uri.getHost()
                        + "\r\nAccept: image/*\r\nUser-Agent: Zoetrope\r\nConnection: close\r\n\r\n";
                socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
                return response(new BufferedInputStream(socket.getInputStream()), until);
            }
        }
    }

    private Response response(InputStream in, long until) throws IOException {
        String[] status = line(in, until).split(" ", 3);
        Map<String, String> headers = new LinkedHashMap<>();
        for (int i = 0; ; i++) {
            String line = line(in, until);
            if (line.isEmpty()) {
                break;
            }
            int colon = line.indexOf(':');
            if (colon < 1 || i == MOST_LINES) {
                throw new IOException("bad header");
            }
            headers.put(
                    line.substring(0, colon).toLowerCase(Locale.ROOT),
                    line.substring(colon + 1).strip());
        }
        String location = headers.get("location");
        if (status.length > 1 && status[1].startsWith("3") && location != null) {
            return new Response(new byte[0], location);
        }
        if (status.length < 2 || !status[1].equals("200") || headers.containsKey("transfer-encoding")) {
            throw new IOException("no plain 200");
        }
        return new Response(body(in, until), null);
    }

    private byte[] body(InputStream in, long until) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] some = new byte[1 << 16];
        for (int n = in.read(some); n >= 0; n = in.read(some)) {
            out.write(some, 0, n);
            if (out.size() > mostBytes) {
                throw refused("it has more than " + mostBytes + " bytes");
            }
            left(until);
        }
        return out.toByteArray();
    }

    private static String line(InputStream in, long until) throws IOException {
        byte[] line = new byte[LONGEST_LINE];
        for (int n = 0; n < LONGEST_LINE; n++) {
            left(until);
            int b = in.read();
            if (b < 0) {
                throw new IOException("ends in its head");
            }
            if (b == '\n') {
                int end = n > 0 && line[n - 1] == '\r' ? n - 1 : n;
                return new String(Arrays.copyOf(line, end), StandardCharsets.ISO_8859_1);
            }
            line[n] = (byte) b;
        }
        throw new IOException("long line");
    }

    private static int left(long until) throws IOException {
        long left = until - System.currentTimeMillis();
        if (left <= 0) {
            throw new IOException("late");
        }
        return (int) left;
    }
}
