package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.audioldm.AudioLdm;
import dev.zoetrope.models.imagebind.ImageBind;
import dev.zoetrope.models.imagebind.ImageBindInputs;
import dev.zoetrope.models.imagebind.Modality;
import dev.zoetrope.models.ldm.Guidance;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.models.nextgpt.NextGpt;
import dev.zoetrope.models.nextgpt.NextGpt.Kind;
import dev.zoetrope.models.nextgpt.NextGpt.Wish;
import dev.zoetrope.models.video.Frames;
import dev.zoetrope.models.zeroscope.Zeroscope;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Any mix of text, pictures, clips and sounds in, any mix out, by a NExT-GPT.
 *
 * <pre>{@code
 * try (AnyToAny model = AnyToAny.load(folder)) {
 *     var answer = model.answer(AnyToAny.Question.of("make a video of this").with(photo), AnyToAny.Options.DEFAULT);
 *     answer.clips().forEach(clip -> Clips.write(clip, file));
 * }
 * }</pre>
 *
 * A folder holds what {@link NextGpt} reads and, each needed only for what it does, {@code imagebind} (what is given
 * beside text) and the decoders {@code image_decoder} (a Stable Diffusion), {@code video_decoder} (a Zeroscope) and {@code
 * audio_decoder} (an AudioLDM). What the model wants to show without a decoder is told in words. Not safe for use by several
 * threads at once.
 */
public final class AnyToAny implements AutoCloseable {
    private static final String HUMAN = "### Human: ";
    private static final String TURN = "###";
    /** Clips of a recording, as the model was trained on them. */
    private static final ImageBindInputs.Clips OF_VIDEO = new ImageBindInputs.Clips(5, 2, false);

    private static final ImageBindInputs.Clips OF_SOUND = new ImageBindInputs.Clips(3, 2, false);
    private static final int CROPS = 3;
    private static final double VIDEO_GUIDANCE = 7.5;
    private static final double VIDEO_FPS = 8;

    /** What is asked, with any media. */
    public record Question(String text, List<Image> images, List<Clip> clips, List<Audio> sounds) {
        public Question {
            if (text.isBlank()) {
                throw new UserError("the question is empty; say what is wanted");
            }
            images = List.copyOf(images);
            clips = List.copyOf(clips);
            sounds = List.copyOf(sounds);
        }

        /** Text alone. */
        public static Question of(String text) {
            return new Question(text, List.of(), List.of(), List.of());
        }

        public Question with(Image image) {
            List<Image> all = new ArrayList<>(images);
            all.add(image);
            return new Question(text, all, clips, sounds);
        }

        private boolean hasMedia() {
            return !images.isEmpty() || !clips.isEmpty() || !sounds.isEmpty();
        }
    }

    /**
     * @param tokens most of an answer
     * @param seed of what is drawn
     * @param imageSteps of the decoder of pictures; videoSteps and audioSteps likewise
     */
    public record Options(int tokens, long seed, int imageSteps, int videoSteps, int audioSteps) {
        /** As the release's example: 150 tokens; 50, 40 and 40 steps. */
        public static final Options DEFAULT = new Options(150, 0, 50, 40, 40);

        public Options {
            Check.positive(tokens, "tokens");
            Check.positive(imageSteps, "image steps");
            Check.positive(videoSteps, "video steps");
            Check.positive(audioSteps, "audio steps");
        }

        public Options withTokens(int value) {
            return new Options(value, seed, imageSteps, videoSteps, audioSteps);
        }

        public Options withSeed(long value) {
            return new Options(tokens, value, imageSteps, videoSteps, audioSteps);
        }

        /** The same number for all decoders. */
        public Options withSteps(int value) {
            return new Options(tokens, seed, value, value, value);
        }
    }

    /**
     * What was said and shown.
     *
     * @param text without signal tokens
     * @param notes what the model wanted to show and could not
     */
    public record Answer(String text, List<Image> images, List<Clip> clips, List<Audio> sounds, List<String> notes) {
        public Answer {
            images = List.copyOf(images);
            clips = List.copyOf(clips);
            sounds = List.copyOf(sounds);
            notes = List.copyOf(notes);
        }
    }

    private final Path folder;
    private final NextGpt model;
    private @Nullable ImageBind senses;

    private AnyToAny(Path folder, NextGpt model) {
        this.folder = folder;
        this.model = model;
    }

    /** Whether a folder holds such a model. */
    public static boolean isIn(Path folder) {
        Path config = folder.resolve("config.json");
        if (!Files.isRegularFile(config) || !Files.isDirectory(folder.resolve("llm"))) {
            return false;
        }
        Json j = Json.read(config);
        return j.has("gen_img_token_idx") || j.has("num_gen_img_tokens");
    }

    public static AnyToAny load(Path folder) {
        return new AnyToAny(folder, NextGpt.load(folder));
    }

    public Answer answer(Question q, Options o) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            NextGpt.Answer said = model.answer(prompt(q), stops(), o.tokens());
            List<Image> images = new ArrayList<>();
            List<Clip> clips = new ArrayList<>();
            List<Audio> sounds = new ArrayList<>();
            List<String> notes = new ArrayList<>();
            long seed = o.seed();
            for (Wish wish : said.wishes()) {
                Path decoder = decoder(wish.kind());
                if (!Files.isDirectory(decoder)) {
                    String what = name(wish.kind());
                    notes.add("the model wants to show " + what + " here, but " + folder + " has no "
                            + decoder.getFileName() + "; put a decoder of " + what + " there");
                    continue;
                }
                try (Draws draws = Draws.ofSeed(seed++)) {
                    switch (wish.kind()) {
                        case IMAGE -> images.addAll(picture(wish, decoder, o, draws));
                        case VIDEO -> clips.add(clip(wish, decoder, o, draws));
                        case AUDIO -> sounds.add(sound(wish, decoder, o, draws));
                    }
                }
            }
            return new Answer(text(said.ids()), images, clips, sounds, notes);
        }
    }

    private static String name(Kind kind) {
        return switch (kind) {
            case IMAGE -> "a picture";
            case VIDEO -> "a video";
            case AUDIO -> "a sound";
        };
    }

    private Path decoder(Kind kind) {
        return folder.resolve(kind.name().toLowerCase(Locale.ROOT) + "_decoder");
    }

    // ---- in ----

    private Tensor prompt(Question q) {
        Tensor asked = model.prompt(q.hasMedia() ? q.text() : HUMAN + q.text());
        if (!q.hasMedia()) {
            return asked;
        }
        List<Tensor> parts = new ArrayList<>();
        parts.add(model.words(HUMAN, true));
        for (Image image : q.images()) {
            Tensor x =
                    ImageBindInputs.image(image, senses().config().imageSize()).unsqueeze(0);
            parts.add(wrapped(senses().embed(Modality.VISION, x)));
        }
        for (Clip clip : q.clips()) {
            parts.add(wrapped(senses().embed(Modality.VISION, frames(clip).unsqueeze(0))));
        }
        for (Audio audio : q.sounds()) {
            if (audio.length() == 0) {
                throw new UserError("the sound has no samples");
            }
            ImageBind.Config c = senses().config();
            ImageBindInputs.Bands p = ImageBindInputs.Bands.PUBLISHED;
            Tensor x = ImageBindInputs.audio(
                    audio,
                    OF_SOUND,
                    new ImageBindInputs.Bands(p.rate(), c.bands(), c.audioFrames(), p.mean(), p.std()));
            parts.add(wrapped(senses().embed(Modality.AUDIO, x.unsqueeze(0))));
        }
        parts.add(asked);
        return Tensor.cat(1, parts);
    }

    private Tensor wrapped(Tensor vector) { // [1, E] -> [1, T, L]
        return Tensor.cat(
                1, model.words("<Img>", false), model.media(vector).unsqueeze(1), model.words("</Img>", false));
    }

    private ImageBind senses() {
        @Nullable ImageBind open = senses;
        if (open == null) {
            Path file = folder.resolve("imagebind.pth");
            Path part = folder.resolve("imagebind");
            if (!Files.exists(file) && !Files.isDirectory(part)) {
                throw new UserError(
                        folder + ": pictures, clips and sounds are read by ImageBind, which is missing; put "
                                + "imagebind_huge.pth there as imagebind.pth, or a folder imagebind");
            }
            open = ImageBind.load(Files.exists(file) ? file : part);
            senses = open;
        }
        return open;
    }

    /** {@code [clips * crops, 3, frames, S, S]}. */
    private Tensor frames(Clip clip) {
        ImageBind.Config c = senses().config();
        List<Tensor> r = new ArrayList<>();
        for (double start : OF_VIDEO.starts(clip.seconds())) {
            int from = (int) Math.min(clip.frames().size() - 1L, Math.round(start * clip.fps()));
            int to = (int) Math.min(clip.frames().size(), Math.round((start + OF_VIDEO.seconds()) * clip.fps()));
            List<Image> images = clip.frames().subList(from, Math.max(from + 1, to));
            Tensor bytes = bytes(images); // [3, T, H, W]
            Tensor crops =
                    ImageBindInputs.crops(ImageBindInputs.scaled(bytes, c.imageSize(), c.videoFrames()), c.imageSize());
            for (int k = 0; k < CROPS; k++) {
                r.add(crops.select(0, k));
            }
        }
        return Tensor.stack(0, r);
    }

    private static Tensor bytes(List<Image> images) { // of 0..255
        Image first = images.get(0);
        return Frames.of(images, first.width(), first.height()).add(1).mul(127.5);
    }

    private List<List<Long>> stops() {
        List<Long> plain = ids(TURN);
        List<Long> behind = new ArrayList<>(ids("\n" + TURN));
        List<Long> line = ids("\n");
        if (behind.size() > line.size() && behind.subList(0, line.size()).equals(line)) {
            behind = behind.subList(line.size(), behind.size());
        }
        List<List<Long>> r = new ArrayList<>(List.of(plain, behind, List.of(model.pad())));
        r.removeIf(List::isEmpty);
        return r;
    }

    private List<Long> ids(String text) {
        return Arrays.stream(model.tokenizer().encodePlain(text)).boxed().toList();
    }

    private String text(List<Long> ids) {
        long[] words = ids.stream()
                .filter(id -> model.config().signals().values().stream().noneMatch(s -> s.contains(id)))
                .mapToLong(Long::longValue)
                .toArray();
        String text = model.tokenizer().decode(words, true);
        int end = text.indexOf(TURN);
        return (end < 0 ? text : text.substring(0, end)).strip();
    }

    // ---- out ----

    private static void fits(Wish wish, Path decoder, long width, long expected) {
        if (width != expected) {
            throw new UserError(decoder + ": takes conditions of width " + expected + ", but the model makes " + width
                    + " for " + name(wish.kind()) + "; put the decoder there that it was trained with");
        }
    }

    private static List<Image> picture(Wish wish, Path folder, Options o, Draws draws) {
        try (Scope s = Scope.open();
                StableDiffusion decoder = StableDiffusion.load(folder)) {
            Tensor empty = decoder.prompts().encode(List.of(""), 0).tokens();
            fits(wish, folder, wish.condition().size(2), empty.size(2));
            Tensor made =
                    decoder.generate(wish.condition(), Settings.of("").withSteps(o.imageSteps()), draws, step -> true);
            return VideoTensors.toClip(made.mul(2).sub(1).transpose(0, 1), 1).frames();
        }
    }

    private static Clip clip(Wish wish, Path folder, Options o, Draws draws) {
        try (Scope s = Scope.open();
                Zeroscope decoder = Zeroscope.load(folder)) {
            Tensor empty = decoder.encode(List.of(""));
            fits(wish, folder, wish.condition().size(2), empty.size(2));
            Zeroscope.Request p = Zeroscope.Request.of("");
            Zeroscope.Request r =
                    new Zeroscope.Request("", "", p.frames(), p.height(), p.width(), o.videoSteps(), VIDEO_GUIDANCE);
            Tensor made =
                    decoder.generate(Tensor.cat(0, empty, wish.condition()), r, draws, step -> true); // [1, 3, F, H, W]
            return VideoTensors.toClip(made.select(0, 0).mul(2).sub(1), VIDEO_FPS);
        }
    }

    private static Audio sound(Wish wish, Path folder, Options o, Draws draws) {
        try (Scope s = Scope.open();
                AudioLdm decoder = AudioLdm.load(folder)) {
            Tensor empty = decoder.encode(List.of(""));
            fits(wish, folder, wish.condition().size(1), empty.size(1));
            AudioLdm.Request p = AudioLdm.Request.of("");
            return decoder.generate(
                            Tensor.cat(0, empty, wish.condition()),
                            new Guidance(p.guidance(), 0),
                            p.seconds(),
                            o.audioSteps(),
                            draws,
                            step -> true)
                    .audio();
        }
    }

    @Override
    public void close() {
        model.close();
        if (senses != null) {
            senses.close();
        }
    }
}
