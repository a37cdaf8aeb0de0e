package dev.zoetrope.server;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The keys that may ask, in a file of lines {@code NAME SHA256}. A key is 32 random bytes, so its plain hash cannot be
 * searched; the key itself is shown once and kept nowhere.
 */
public final class Keys {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}");
    private static final String PREFIX = "zt-";

    private final Map<String, byte[]> hashes;

    private Keys(Map<String, byte[]> hashes) {
        this.hashes = hashes;
    }

    /** Nobody is asked for a key. */
    public static Keys none() {
        return new Keys(Map.of());
    }

    /** @throws UserError if the file holds anything but names and hashes */
    public static Keys read(Path file) {
        Map<String, byte[]> all = new LinkedHashMap<>();
        int number = 0;
        for (String line : lines(file)) {
            number++;
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] words = line.strip().split("\\s+", 3);
            if (words.length != 2
                    || !NAME.matcher(words[0]).matches()
                    || !HASH.matcher(words[1]).matches()) {
                throw new UserError(file + ": line " + number
                        + " is not NAME and SHA-256; keys are made by zoetrope serve key NAME --api-key-file " + file);
            }
            all.put(words[0], HexFormat.of().parseHex(words[1]));
        }
        if (all.isEmpty()) {
            throw new UserError(file + ": no keys; make one by zoetrope serve key NAME --api-key-file " + file);
        }
        return new Keys(all);
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new UserError(file + ": the keys cannot be read: " + e, e);
        }
    }

    /** Adds a key to a file, which is made if it is not there. @return the key, which is not written anywhere */
    public static String add(Path file, String name) {
        if (!NAME.matcher(name).matches()) {
            throw new UserError("'" + name + "' cannot name a key: 1 to 64 letters, digits, dots, dashes, underscores");
        }
        List<String> all = new ArrayList<>(Files.exists(file) ? lines(file) : List.of());
        if (all.stream().anyMatch(l -> l.startsWith(name + " "))) {
            throw new UserError(file + ": there is a key '" + name + "' already; delete its line first");
        }
        byte[] random = new byte[32];
        new SecureRandom().nextBytes(random);
        String key = PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        all.add(name + " " + HexFormat.of().formatHex(hash(key)));
        byte[] text = (String.join("\n", all) + "\n").getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, out -> out.write(text));
        try {
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        } catch (IOException | UnsupportedOperationException e) {
            // a file system without such rights; hashes give no key away
            return key;
        }
        return key;
    }

    /** Whether keys are asked for. */
    public boolean required() {
        return !hashes.isEmpty();
    }

    /** The name of a key; every hash is looked at, so that the time says nothing. */
    Optional<String> name(String key) {
        byte[] hash = hash(key);
        String found = null;
        for (Map.Entry<String, byte[]> e : hashes.entrySet()) {
            if (MessageDigest.isEqual(e.getValue(), hash)) {
                found = e.getKey();
            }
        }
        return Optional.ofNullable(found);
    }

    private static byte[] hash(String key) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
