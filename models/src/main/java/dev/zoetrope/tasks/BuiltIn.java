package dev.zoetrope.tasks;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The models that travel inside the jar. Weights are mapped from files, so a model is unpacked once, into the
 * {@link UserCache}.
 */
public final class BuiltIn {
    /** The text-to-video model of Carousel. */
    public static final String SORA = "carousel-sora";
    /** The ViT that names Carousel's objects in pictures. */
    public static final String VIT = "carousel-vit";
    /** The CLIP that brings Carousel's pictures and their captions together. */
    public static final String CLIP = "carousel-clip";
    /** Draws some object of Carousel, unasked. */
    public static final String DDPM = "carousel-ddpm";
    /** Draws what a sentence says of Carousel. */
    public static final String LDM = "carousel-ldm";
    /** Draws a named object of Carousel. */
    public static final String DIT = "carousel-dit";
    /** The classifier that names Carousel's objects in generated clips. */
    public static final String JUDGE = "carousel-judge";

    /** The LLaVA that describes Carousel's pictures and answers questions about them. */
    public static final String CHAT = "carousel-chat";

    /** Segment Anything, small, of Carousel. */
    public static final String SAM = "carousel-sam";

    /** The language model that turns wishes into captions of Carousel. */
    public static final String RECAPTION = "carousel-recaption";

    private static final String ROOT = "/dev/zoetrope/builtin/";
    private static final String INDEX = "FILES";

    private BuiltIn() {}

    /** Whether this build has the model. */
    public static boolean has(String model) {
        return BuiltIn.class.getResource(ROOT + model + "/" + INDEX) != null;
    }

    /** The folder of a built-in model, unpacked if it is not there yet. */
    public static Path folder(String model) {
        String index = new String(read(model, INDEX), StandardCharsets.UTF_8);
        Path folder = UserCache.folder()
                .resolve(model + "-"
                        + sha256(index.getBytes(StandardCharsets.UTF_8)).substring(0, 12));
        if (!Files.isDirectory(folder)) {
            try {
                unpack(model, index, folder);
            } catch (IOException e) {
                throw new UserError(
                        folder + ": the built-in model cannot be unpacked there: " + e.getMessage()
                                + "; name another folder with -Dzoetrope.cache=DIR",
                        e);
            }
        }
        return folder;
    }

    /** Aside first, then moved as a whole: another process may do the same at the same time. */
    private static void unpack(String model, String index, Path folder) throws IOException {
        Files.createDirectories(UserCache.folder());
        Path aside = Files.createTempDirectory(UserCache.folder(), "." + model);
        try {
            for (String line : index.lines().toList()) {
                String[] entry = line.split("  ", 2); // as sha256sum writes it
                byte[] content = read(model, entry[1]);
                if (!sha256(content).equals(entry[0])) {
                    throw new IOException(entry[1] + " is damaged in the jar");
                }
                Path file = aside.resolve(entry[1]);
                Files.createDirectories(file.getParent());
                Files.write(file, content);
            }
            try {
                Files.move(aside, folder, StandardCopyOption.ATOMIC_MOVE);
            } catch (IOException e) {
                if (!Files.isDirectory(folder)) {
                    throw e;
                }
            }
        } finally {
            delete(aside);
        }
    }

    private static byte[] read(String model, String name) {
        try (@Nullable InputStream in = BuiltIn.class.getResourceAsStream(ROOT + model + "/" + name)) {
            if (in == null) {
                throw new UserError("the built-in model " + model + " is not in this build (" + name
                        + " is missing); name another model");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String sha256(byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> all = Files.walk(folder)) {
                for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(p);
                }
            }
        }
    }
}
