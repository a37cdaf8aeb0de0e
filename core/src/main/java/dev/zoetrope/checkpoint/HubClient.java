package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What the hub's HTTP interface offers: lists of files and files. */
final class HubClient {
    private static final int MAX_HOPS = 5;
    private static final int TRIES = 5;
    private static final int MAX_LISTING = 32 << 20;
    private static final Pattern ETAG = Pattern.compile("(?:W/)?\"?([A-Za-z0-9._-]{1,128})\"?");
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-.*");
    private static final Map<Path, Object> LOCKS = new ConcurrentHashMap<>();

    /** The network or the server did not answer; what the cache holds may still do. */
    static final class Unreachable extends UserError {
        private static final long serialVersionUID = 1L;

        Unreachable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    private final Hub.Settings settings;
    private final Hub.Progress progress;
    private final HttpClient http = HttpClient.newBuilder()
            .connectTimeout(Duration.ofSeconds(10))
            .followRedirects(HttpClient.Redirect.NEVER) // each hop is looked at here, see below
            .build();

    HubClient(Hub.Settings settings, Hub.Progress progress) {
        this.settings = settings;
        this.progress = progress;
    }

    Hub.Listing list(String repository, String revision) {
        URI uri = URI.create(settings.endpoint() + "/api/models/" + repository + "/revision/" + encode(revision));
        try {
            HttpResponse<InputStream> response = send(uri, "GET", 0, true);
            try (InputStream body = response.body()) {
                check(response, repository + " (" + revision + ")");
                byte[] text = body.readNBytes(MAX_LISTING);
                Json json = Json.parse(uri.toString(), new String(text, StandardCharsets.UTF_8));
                return new Hub.Listing(
                        json.require("sha"),
                        json.list("siblings").stream()
                                .map(s -> s.require("rfilename"))
                                .toList());
            }
        } catch (IOException e) {
            throw unreachable(repository, e);
        }
    }

    /** What the server says about a file before sending it. */
    private record Head(String etag, long size) {}

    /**
     * Downloads a file into the folder of blobs and returns it there; one that is there already stays.
     *
     * @param locks folder for files that say which blob is being downloaded
     */
    Path download(String repository, String commit, String file, Path blobs, Path locks) {
        String what = repository + ": " + file;
        URI uri = URI.create(settings.endpoint() + "/" + repository + "/resolve/" + commit + "/"
                + Arrays.stream(file.split("/")).map(HubClient::encode).collect(Collectors.joining("/")));
        try {
            Head head = head(uri, what);
            Path blob = blobs.resolve(head.etag());
            Files.createDirectories(blobs);
            Files.createDirectories(locks);
            Path lock = locks.resolve(head.etag() + ".lock").toAbsolutePath();
            // One download of a blob at a time, among threads by the monitor and among processes by the file's lock.
            synchronized (LOCKS.computeIfAbsent(lock, l -> new Object())) {
                try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                        FileLock held = channel.lock()) {
                    if (!Files.exists(blob)) {
                        fetch(uri, what, head, blob);
                    }
                }
            }
            return blob;
        } catch (IOException e) {
            throw unreachable(what, e);
        }
    }

    private Head head(URI uri, String what) throws IOException {
        HttpResponse<InputStream> response = send(uri, "HEAD", 0, false);
        response.body().close();
        if (response.statusCode() >= 400) {
            check(response, what);
        }
        // Large files are redirected to where they lie; the answer before the redirect has their hash and size.
        String tag = response.headers()
                .firstValue("X-Linked-Etag")
                .or(() -> response.headers().firstValue("ETag"))
                .orElse("");
        Matcher m = ETAG.matcher(tag);
        if (!m.matches() || m.group(1).contains("..")) {
            throw new UserError(what + ": the server's ETag '" + tag + "' is not one");
        }
        long size = response.headers()
                .firstValueAsLong("X-Linked-Size")
                .orElseGet(() -> response.statusCode() == 200
                        ? response.headers().firstValueAsLong("Content-Length").orElse(-1)
                        : -1);
        return new Head(m.group(1), size);
    }

    private void fetch(URI uri, String what, Head head, Path blob) throws IOException {
        Path incomplete = blob.resolveSibling(blob.getFileName() + ".incomplete");
        for (int attempt = 1; ; attempt++) {
            try {
                fetchRest(uri, what, head, incomplete);
                break;
            } catch (IOException e) {
                if (attempt == TRIES) {
                    throw e;
                }
            }
        }
        long size = Files.size(incomplete);
        if (head.size() >= 0 && size != head.size()) {
            Files.delete(incomplete);
            throw new UserError(what + ": " + size + " bytes arrived, expected " + head.size() + "; try again");
        }
        if (!matchesHash(incomplete, head.etag())) {
            Files.delete(incomplete);
            throw new UserError(what + ": what arrived does not have the hash " + head.etag() + "; try again");
        }
        Files.move(incomplete, blob, StandardCopyOption.ATOMIC_MOVE);
    }

    private void fetchRest(URI uri, String what, Head head, Path incomplete) throws IOException {
        long have = Files.exists(incomplete) ? Files.size(incomplete) : 0;
        if (have > 0 && have == head.size()) {
            return;
        }
        HttpResponse<InputStream> response = send(uri, "GET", have, true);
        try (InputStream body = response.body();
                Watch watch = new Watch(body);
                FileChannel out = FileChannel.open(incomplete, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            if (response.statusCode() == 416) { // what is here is longer than the file
                out.truncate(0);
                throw new IOException("the server refused to go on at byte " + have);
            }
            check(response, what);
            // A server may ignore the range, or begin elsewhere: then all of it is coming, or nothing that fits.
            boolean continues = response.statusCode() == 206
                    && response.headers()
                            .firstValue("Content-Range")
                            .map(CONTENT_RANGE::matcher)
                            .filter(m -> m.matches() && Long.parseLong(m.group(1)) == have)
                            .isPresent();
            if (response.statusCode() == 206 && !continues) {
                out.truncate(0);
                throw new IOException("the server went on elsewhere than at byte " + have);
            }
            long at = continues ? have : 0;
            out.truncate(at);
            out.position(at);
            byte[] buffer = new byte[1 << 16];
            for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
                watch.progressed();
                if (head.size() >= 0 && at + n > head.size()) {
                    throw new UserError(
                            what + ": the server sends more than the " + head.size() + " bytes it announced");
                }
                write(out, buffer, n, incomplete);
                at += n;
                progress.at(what, at, head.size());
            }
            out.force(true);
            if (at < head.size()) {
                throw new IOException("the connection ended after " + at + " of " + head.size() + " bytes");
            }
        }
    }

    /** A full disk is no reason to try again. */
    private static void write(FileChannel out, byte[] buffer, int length, Path file) {
        try {
            out.write(ByteBuffer.wrap(buffer, 0, length));
        } catch (IOException e) {
            throw new UserError(file + ": cannot write: " + e.getMessage(), e);
        }
    }

    /** The hub names large files by SHA-256 and small ones as git does, by SHA-1 of a header and the content. */
    private static boolean matchesHash(Path file, String etag) throws IOException {
        try {
            MessageDigest digest;
            if (etag.matches("[0-9a-f]{64}")) {
                digest = MessageDigest.getInstance("SHA-256");
            } else if (etag.matches("[0-9a-f]{40}")) {
                digest = MessageDigest.getInstance("SHA-1");
                digest.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.US_ASCII));
            } else {
                return true;
            }
            try (InputStream in = Files.newInputStream(file)) {
                byte[] buffer = new byte[1 << 16];
                for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                    digest.update(buffer, 0, n);
                }
            }
            return HexFormat.of().formatHex(digest.digest()).equals(etag);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Follows redirects: within the host always, to other hosts only where a body is wanted, and never with the token. */
    private HttpResponse<InputStream> send(URI first, String method, long from, boolean anywhere) throws IOException {
        URI uri = first;
        for (int hop = 0; hop <= MAX_HOPS; hop++) {
            HttpRequest.Builder request = HttpRequest.newBuilder(uri)
                    .method(method, HttpRequest.BodyPublishers.noBody())
                    .timeout(Duration.ofSeconds(60))
                    .header("User-Agent", "zoetrope");
            if (from > 0) {
                request.header("Range", "bytes=" + from + "-");
            }
            if (settings.token() != null && isTrusted(uri)) {
                request.header("Authorization", "Bearer " + settings.token());
            }
            HttpResponse<InputStream> response;
            try {
                response = http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
            String location = response.headers().firstValue("Location").orElse("");
            if (response.statusCode() / 100 != 3 || location.isEmpty()) {
                return response;
            }
            URI next = uri.resolve(location);
            if (!anywhere && !sameHost(next, first)) {
                return response;
            }
            response.body().close();
            boolean sound = "https".equals(next.getScheme())
                    || ("http".equals(next.getScheme()) && "http".equals(uri.getScheme()));
            if (!sound || next.getHost() == null) {
                throw new UserError(first + " redirects to " + next + ", which is refused");
            }
            uri = next;
        }
        throw new IOException("more than " + MAX_HOPS + " redirects");
    }

    private boolean isTrusted(URI uri) {
        URI home = settings.endpoint();
        boolean secret = "https".equals(uri.getScheme())
                || List.of("localhost", "127.0.0.1", "[::1]").contains(uri.getHost());
        return secret && sameHost(uri, home);
    }

    private static boolean sameHost(URI a, URI b) {
        return a.getScheme().equals(b.getScheme())
                && a.getHost().equalsIgnoreCase(b.getHost())
                && a.getPort() == b.getPort();
    }

    private void check(HttpResponse<?> response, String what) throws IOException {
        int status = response.statusCode();
        if (status == 200 || status == 206) {
            return;
        }
        String reason = response.headers().firstValue("X-Error-Message").orElse("status " + status);
        switch (status) {
            case 401, 403 ->
                throw new UserError(what + ": the server refuses access (" + reason
                        + "). If it is private or asks to accept terms, do so on its page and set HF_TOKEN");
            case 404 ->
                throw new UserError(what + ": not found at " + settings.endpoint() + " (" + reason
                        + "); check the name and the revision");
            default -> throw new IOException(reason);
        }
    }

    private Unreachable unreachable(String what, IOException e) {
        String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return new Unreachable(
                what + ": cannot download from " + settings.endpoint() + ": " + reason
                        + "; check the network, set HF_ENDPOINT to a mirror, or give a local folder",
                e);
    }

    private static String encode(String part) {
        return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** Closes a body that has stood still, which the client itself would wait for without end. */
    private static final class Watch implements AutoCloseable {
        private static final Duration LIMIT = Duration.ofSeconds(60);

        private final Thread thread;
        private volatile long last = System.nanoTime();

        Watch(InputStream body) {
            thread = new Thread(() -> watch(body), "download-watch");
            thread.setDaemon(true);
            thread.start();
        }

        void progressed() {
            last = System.nanoTime();
        }

        private void watch(InputStream body) {
            try {
                while (System.nanoTime() - last < LIMIT.toNanos()) {
                    Thread.sleep(1000);
                }
                body.close();
            } catch (InterruptedException | IOException e) {
                // The download ended, one way or the other.
            }
        }

        @Override
        public void close() {
            thread.interrupt();
        }
    }
}
