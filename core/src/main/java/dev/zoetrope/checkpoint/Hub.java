package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Published checkpoints by name, in the cache that the other tools of the field share (folders {@code
 * models--ORG--NAME} with {@code blobs}, {@code refs} and {@code snapshots}). What the cache holds is used without
 * asking the network; the rest is downloaded, resumed where it was cut, checked against its hash, and appears in the
 * cache complete or not at all.
 */
public final class Hub {
    private static final Pattern REPOSITORY =
            Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?");
    private static final Pattern REVISION =
            Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*");
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

    private static final Pattern TEXT = Pattern.compile(".*\\.(json|txt|model|jinja|ya?ml)");
    private static final Pattern PICKLE = Pattern.compile(".*\\.(bin|pt|pth|ckpt)");

    /** The same weights again in another precision, and what a trainer leaves. */
    private static final Pattern NOT_NEEDED =
            Pattern.compile("(.*/)?([^/]*[._-](fp16|bf16|fp32|non_ema|ema|ema_only|pruned|emaonly)[._-][^/]*"
                    + "|optimizer\\.[^/]*|scheduler\\.pt|training_args\\.bin|rng_state[^/]*)");

    /** Told now and then how many bytes of a file have arrived. */
    @FunctionalInterface
    public interface Progress {
        void at(String file, long done, long total);
    }

    /**
     * @param cache folder of the {@code models--...} folders
     * @param endpoint where names are looked up
     * @param token sent to the endpoint and to nobody else; null for none
     * @param offline never asks the network
     * @param symlinks whether snapshots link to blobs, else they hold the files themselves
     */
    public record Settings(Path cache, URI endpoint, @Nullable String token, boolean offline, boolean symlinks) {
        /** {@code HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_DISABLE_SYMLINKS}. */
        public static Settings of(Map<String, String> environment) {
            Path home = path(environment, "HF_HOME", () -> path(
                            environment, "XDG_CACHE_HOME", () -> Path.of(System.getProperty("user.home"), ".cache"))
                    .resolve("huggingface"));
            String endpoint = environment.getOrDefault("HF_ENDPOINT", "");
            return new Settings(
                    path(environment, "HF_HUB_CACHE", () -> home.resolve("hub")),
                    endpoint(endpoint.isBlank() ? "https://huggingface.co" : endpoint.strip()),
                    token(environment, home),
                    isSet(environment, "HF_HUB_OFFLINE"),
                    !isSet(environment, "HF_HUB_DISABLE_SYMLINKS"));
        }

        private static Path path(Map<String, String> environment, String key, Supplier<Path> otherwise) {
            String value = environment.getOrDefault(key, "").strip();
            if (value.isEmpty()) {
                return otherwise.get();
            }
            return value.equals("~") || value.startsWith("~/")
                    ? Path.of(System.getProperty("user.home") + value.substring(1))
                    : Path.of(value);
        }

        private static URI endpoint(String text) {
            try {
                URI uri = URI.create(text.replaceAll("/+$", ""));
                if (uri.getHost() != null && List.of("http", "https").contains(uri.getScheme())) {
                    return uri;
                }
            } catch (IllegalArgumentException e) {
                throw new UserError("HF_ENDPOINT " + text + " is not an address: " + e.getMessage(), e);
            }
            throw new UserError("HF_ENDPOINT " + text + " is not an address such as https://host");
        }

        private static @Nullable String token(Map<String, String> environment, Path home) {
            String token = environment.getOrDefault("HF_TOKEN", "").strip();
            if (token.isEmpty()) {
                Path file = path(environment, "HF_TOKEN_PATH", () -> home.resolve("token"));
                try {
                    token = Files.isRegularFile(file) ? Files.readString(file).strip() : "";
                } catch (IOException e) {
                    throw new UserError(file + ": cannot read the token: " + e, e);
                }
            }
            return token.isEmpty() ? null : token;
        }

        private static boolean isSet(Map<String, String> environment, String key) {
            return List.of("1", "on", "yes", "true")
                    .contains(environment.getOrDefault(key, "").strip().toLowerCase(Locale.ROOT));
        }

        /** Without the token. */
        @Override
        public String toString() {
            return "cache " + cache + ", endpoint " + endpoint + (offline ? ", offline" : "");
        }
    }

    private final Settings settings;
    private final Progress progress;
    private @Nullable HubClient client;

    public Hub(Settings settings, Progress progress) {
        this.settings = settings;
        this.progress = progress;
    }

    /** With the settings of the environment, silent. */
    public static Hub ofEnvironment() {
        return new Hub(Settings.of(System.getenv()), (file, done, total) -> {});
    }

    /** The newest revision, with all that loading a model needs. */
    public Path resolve(String nameOrFolder) {
        return resolve(nameOrFolder, "main");
    }

    /**
     * A folder that holds the wanted files: the one that was given, or the snapshot of {@code ORG/NAME} in the cache.
     *
     * @param revision branch, tag or commit
     * @param files names, which must all be there, or patterns ({@code *.json}, {@code **.safetensors}); none for
     *     texts and weights, as safetensors where there are any
     */
    public Path resolve(String nameOrFolder, String revision, String... files) {
        if (isFolder(nameOrFolder)) {
            return local(Path.of(nameOrFolder), files);
        }
        return repository(nameOrFolder, revision, files).resolve(List.of(files));
    }

    /** Resolves again by asking the network for the revision's newest commit, whatever the cache holds. */
    public Path update(String name, String revision, String... files) {
        if (isFolder(name) || settings.offline()) {
            return resolve(name, revision, files);
        }
        Repository r = repository(name, revision, files);
        return r.download(r.list(), List.of(files));
    }

    private synchronized HubClient client() {
        if (client == null) {
            client = new HubClient(settings, progress);
        }
        return client;
    }

    private Repository repository(String name, String revision, String... files) {
        if (!REPOSITORY.matcher(name).matches() || name.contains("..") || name.contains("--")) {
            throw new UserError(name + ": there is no such folder, and it is not a name like org/model");
        }
        if (!REVISION.matcher(revision).matches() || revision.contains("..")) {
            throw new UserError(name + ": '" + revision + "' is not a revision");
        }
        for (String f : files) {
            safe(name, f.replace('*', 'x'));
        }
        return new Repository(name, revision);
    }

    private static boolean isFolder(String name) {
        try {
            return !name.isEmpty()
                    && (name.startsWith(".") || name.startsWith("/") || Files.isDirectory(Path.of(name)));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static Path local(Path folder, String... files) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + ": there is no such folder");
        }
        for (String f : files) {
            if (!f.contains("*") && !Files.isRegularFile(folder.resolve(f))) {
                throw new UserError(folder + ": " + f + " is missing");
            }
        }
        return folder;
    }

    /** A server's or a user's file name must stay inside the snapshot on every system. */
    private static String safe(String repository, String file) {
        for (String part : file.split("/", -1)) {
            boolean bad = part.isEmpty()
                    || part.equals(".")
                    || part.equals("..")
                    || part.length() > 255
                    || part.chars().anyMatch(c -> c < ' ' || c == '\\' || c == ':' || c == 0x7f);
            if (bad) {
                throw new UserError(repository + ": refused: the file name '" + file.replaceAll("\\p{Cntrl}", "?")
                        + "' would leave its folder");
            }
        }
        return file;
    }

    /** {@code *} within a folder, {@code **} across folders and at the top too. */
    private static PathMatcher matcher(String pattern) {
        return FileSystems.getDefault().getPathMatcher("glob:" + pattern.replaceAll("[\\[\\]{}?]", "\\\\$0"));
    }

    /** The commit that a revision stands for and the names of its files. */
    record Listing(String commit, List<String> files) {}

    /** One name at one revision. */
    private final class Repository {
        private final String name;
        private final String revision;
        private final Path folder;

        Repository(String name, String revision) {
            this.name = name;
            this.revision = revision;
            this.folder = settings.cache().resolve("models--" + name.replace("/", "--"));
        }

        Path resolve(List<String> wanted) {
            String commit = cachedCommit();
            Listing known = commit == null ? null : cachedListing(commit);
            if (known != null && isComplete(commit, select(known, wanted))) {
                return snapshot(commit);
            }
            if (settings.offline()) {
                return cachedOr(
                        commit,
                        wanted,
                        new UserError(name + " (" + revision + "): not all of "
                                + (wanted.isEmpty() ? "it" : wanted) + " is in the cache " + settings.cache()
                                + ", and HF_HUB_OFFLINE forbids to download the rest"));
            }
            Listing listing;
            try {
                listing = list();
            } catch (HubClient.Unreachable e) {
                return cachedOr(commit, wanted, e);
            }
            return download(listing, wanted);
        }

        /** Other tools fill the cache without a list of what belongs to it: then what is there has to do. */
        private Path cachedOr(@Nullable String commit, List<String> wanted, UserError otherwise) {
            if (commit == null || !Files.isDirectory(snapshot(commit))) {
                throw otherwise;
            }
            Path snapshot = snapshot(commit);
            try (Stream<Path> walk = Files.walk(snapshot)) {
                List<String> present = walk.filter(Files::isRegularFile)
                        .map(f -> snapshot.relativize(f).toString().replace('\\', '/'))
                        .toList();
                boolean all = wanted.stream().map(Hub::matcher).allMatch(m -> present.stream()
                        .anyMatch(f -> m.matches(Path.of(f))));
                if (!all || present.isEmpty()) {
                    throw otherwise;
                }
                return snapshot;
            } catch (IOException e) {
                throw new UserError(snapshot + ": cannot read the folder: " + e, e);
            }
        }

        Listing list() {
            Listing listing = client().list(name, revision);
            if (!COMMIT.matcher(listing.commit()).matches()) {
                throw new UserError(name + ": the server's commit '" + listing.commit() + "' is not one");
            }
            listing.files().forEach(f -> safe(name, f));
            return listing;
        }

        Path download(Listing listing, List<String> wanted) {
            String commit = listing.commit();
            for (String file : select(listing, wanted)) {
                if (!Files.exists(snapshot(commit).resolve(file))) {
                    downloadFile(commit, file);
                }
            }
            if (!COMMIT.matcher(revision).matches()) {
                write(folder.resolve("refs").resolve(revision), commit);
            }
            write(listingFile(commit), String.join("\n", listing.files()));
            return snapshot(commit);
        }

        private void downloadFile(String commit, String file) {
            Path pointer = snapshot(commit).resolve(file);
            Path blob = client().download(
                            name,
                            commit,
                            file,
                            folder.resolve("blobs"),
                            settings.cache().resolve(".locks").resolve(folder.getFileName()));
            Path temporary = pointer.resolveSibling("." + UUID.randomUUID() + ".tmp");
            try {
                Files.createDirectories(pointer.getParent());
                if (!settings.symlinks()) {
                    Files.move(blob, pointer, StandardCopyOption.REPLACE_EXISTING);
                    return;
                }
                try {
                    Files.createSymbolicLink(
                            temporary, pointer.getParent().toAbsolutePath().relativize(blob.toAbsolutePath()));
                } catch (UnsupportedOperationException | FileSystemException e) {
                    Files.copy(blob, temporary); // file systems and accounts that have no links
                }
                Files.move(temporary, pointer, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                throw new UserError(pointer + ": cannot write: " + e, e);
            }
        }

        /** Names of the listing that are wanted. */
        private List<String> select(Listing listing, List<String> wanted) {
            if (wanted.isEmpty()) {
                return listing.files().stream()
                        .filter(f -> TEXT.matcher(f).matches() || isNeededWeight(f, listing.files()))
                        .toList();
            }
            for (String w : wanted) {
                if (!w.contains("*") && !listing.files().contains(w)) {
                    throw new UserError(name + " (" + revision + ") has no file " + w + "; it has "
                            + listing.files().stream().limit(30).toList());
                }
            }
            List<PathMatcher> matchers = wanted.stream().map(Hub::matcher).toList();
            return listing.files().stream()
                    .filter(f -> matchers.stream().anyMatch(m -> m.matches(Path.of(f))))
                    .toList();
        }

        /** One set of weights a folder: as safetensors where there are any; in a pipeline none at the top. */
        private static boolean isNeededWeight(String file, List<String> all) {
            String folder = file.substring(0, file.lastIndexOf('/') + 1);
            if (NOT_NEEDED.matcher(file).matches() || (folder.isEmpty() && all.contains("model_index.json"))) {
                return false;
            }
            return file.endsWith(".safetensors")
                    || (PICKLE.matcher(file).matches()
                            && all.stream().noneMatch(f -> f.startsWith(folder) && f.endsWith(".safetensors")));
        }

        private boolean isComplete(String commit, List<String> files) {
            return files.stream().allMatch(f -> Files.exists(snapshot(commit).resolve(f)));
        }

        private Path snapshot(String commit) {
            return folder.resolve("snapshots").resolve(commit);
        }

        /** Beside what other tools keep: which files a commit has, so that a complete snapshot is known as such. */
        private Path listingFile(String commit) {
            return folder.resolve(".zoetrope").resolve(commit);
        }

        private @Nullable String cachedCommit() {
            if (COMMIT.matcher(revision).matches()) {
                return revision;
            }
            String text = read(folder.resolve("refs").resolve(revision));
            return text != null && COMMIT.matcher(text.strip()).matches() ? text.strip() : null;
        }

        private @Nullable Listing cachedListing(String commit) {
            String text = read(listingFile(commit));
            return text == null
                    ? null
                    : new Listing(commit, text.lines().map(f -> safe(name, f)).toList());
        }

        private static @Nullable String read(Path file) {
            try {
                return Files.isRegularFile(file) ? Files.readString(file) : null;
            } catch (IOException e) {
                throw new UserError(file + ": cannot read: " + e, e);
            }
        }

        private static void write(Path file, String text) {
            AtomicFile.write(file, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
        }
    }
}
