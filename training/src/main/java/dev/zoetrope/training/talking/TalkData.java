package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.LlavaProcessor;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.language.Conversations;
import dev.zoetrope.training.language.Conversations.Conversation;
import dev.zoetrope.training.language.Packing;
import dev.zoetrope.training.seeing.WorldPictures;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Question;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Timbre;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** What a stage learns from. A batch follows from its number alone, so that a resumed run draws what it would have drawn. */
interface TalkData {
    /** How captions are asked for. */
    List<String> CAPTION = List.of(
            "describe this picture in one sentence", "describe the picture", "what do you see in this picture?");

    /**
     * A conversation, in whose questions {@link LlavaProcessor#IMAGE} stands for the picture.
     *
     * @param image null for a conversation without
     */
    record Sample(List<Turn> turns, @Nullable Supplier<Image> image) {}

    /** @param place number of the batch */
    List<Sample> batch(long place, int size);

    /** What is asked about the built-in world. */
    enum Kind {
        /** Without pictures: captions, and how objects sound. */
        WORDS,
        CAPTIONS,
        /** Several questions about a picture, often for its caption in the end. */
        CONVERSATIONS
    }

    /**
     * What a stage of a recipe names: {@code data}, a {@link Kind}, or {@code conversations}, a file as LLaVA publishes them,
     * with {@code images}, the folder of its pictures.
     *
     * @param length of a sample in tokens
     */
    static TalkData of(Json stage, World world, ToIntFunction<Sample> length) {
        int turns = stage.get("turns", 5);
        Check.positive(turns, "turns");
        return stage.has("conversations")
                ? new OfFile(
                        Path.of(stage.require("conversations")),
                        Path.of(stage.get("images", ".")),
                        length,
                        stage.get("seed", 0L))
                : new OfWorld(world, stage.get("data", Kind.CONVERSATIONS), turns, stage.get("words_share", 0.));
    }

    /**
     * The built-in world.
     *
     * @param turns most questions of a conversation
     * @param wordsShare share of samples without a picture, whatever the kind
     */
    record OfWorld(World world, Kind kind, int turns, double wordsShare) implements TalkData {
        private static final long SCENES = 999_999_000; // a split has a milliard

        @Override
        public List<Sample> batch(long place, int size) {
            Random random = new Random(place);
            return IntStream.range(0, size)
                    .mapToObj(i -> sample(world.scene((place * size + i) % SCENES), random))
                    .toList();
        }

        private Sample sample(Scene scene, Random random) {
            Kind asked = random.nextDouble() < wordsShare ? Kind.WORDS : kind;
            List<Turn> said = turns(asked, scene, random);
            if (asked == Kind.WORDS) {
                return new Sample(said, null);
            }
            Turn first = said.get(0);
            said.set(0, new Turn(LlavaProcessor.IMAGE + "\n" + first.question(), first.answer()));
            return new Sample(said, () -> scene.render().frames().get(0));
        }

        private List<Turn> turns(Kind kind, Scene scene, Random random) {
            int variant = random.nextInt(1 << 16);
            String wording = CAPTION.get(random.nextInt(CAPTION.size()));
            Turn caption = new Turn(wording, scene.caption(Caption.Length.FULL, variant));
            if (kind == Kind.WORDS && random.nextBoolean()) {
                return new ArrayList<>(List.of(known(WorldPictures.object(scene))));
            }
            if (kind != Kind.CONVERSATIONS || random.nextInt(6) == 0) {
                return new ArrayList<>(List.of(caption));
            }
            List<Question> questions = new ArrayList<>(scene.questions(variant));
            Collections.shuffle(questions, random);
            questions
                    .subList(Math.min(questions.size(), 1 + random.nextInt(turns)), questions.size())
                    .clear();
            // What names an object comes after what asks for one: an answer must not be read off an earlier question.
            questions.sort(Comparator.comparing(q -> q.kind() == Question.Kind.PLACE));
            List<Turn> said = new ArrayList<>();
            questions.forEach(q -> said.add(new Turn(q.text(), q.answer().toLowerCase(Locale.ROOT))));
            if (said.size() < turns && random.nextInt(3) == 0) {
                said.add(caption);
            }
            return said;
        }

        /** A question that needs no picture. */
        static Turn known(WorldObject object) {
            WorldObject.Name name = object.names().get(0);
            String does = name.number() == WorldObject.Number.MANY ? "do" : "does";
            return new Turn(
                    "what sound " + does + " the " + name.text() + " make?",
                    Timbre.of(object).word());
        }
    }

    /** Conversations of a file, those of like length together. */
    final class OfFile implements TalkData {
        private final List<Sample> samples = new ArrayList<>();
        private final int[] lengths;
        private final boolean[] pictured;
        private final long seed;
        private long epoch = -1;
        private List<int[]> batches = List.of();

        OfFile(Path file, Path images, ToIntFunction<Sample> length, long seed) {
            this.seed = seed;
            for (Conversation c : Conversations.read(file)) {
                samples.add(sample(file, images, c));
            }
            if (samples.isEmpty()) {
                throw new UserError(file + ": it has no conversations");
            }
            lengths = samples.stream().mapToInt(length).toArray();
            pictured = new boolean[lengths.length];
            for (int i = 0; i < lengths.length; i++) {
                pictured[i] = samples.get(i).image() != null;
            }
        }

        private static Sample sample(Path file, Path images, Conversation c) {
            int places = c.turns().stream()
                    .mapToInt(t -> t.question().split(LlavaProcessor.IMAGE, -1).length - 1)
                    .sum();
            if (places != (c.image() == null ? 0 : 1)) {
                throw new UserError(file + ": conversation " + c.id() + " has " + (c.image() == null ? "no" : "a")
                        + " picture and " + places + " places for it; write " + LlavaProcessor.IMAGE
                        + " once in its first question");
            }
            if (c.image() == null) {
                return new Sample(c.turns(), null);
            }
            Path picture = images.resolve(c.image());
            if (!Files.isRegularFile(picture)) {
                throw new UserError(file + ": conversation " + c.id() + ": its picture " + picture
                        + " is not there; images names the folder of the pictures");
            }
            return new Sample(c.turns(), () -> Images.read(picture));
        }

        @Override
        public synchronized List<Sample> batch(long place, int size) {
            int inEpoch = batches(true, size) + batches(false, size);
            return Arrays.stream(packed(place / inEpoch, size).get((int) (place % inEpoch)))
                    .mapToObj(samples::get)
                    .toList();
        }

        private int batches(boolean withPicture, int size) {
            int n = (int) IntStream.range(0, pictured.length)
                    .filter(i -> pictured[i] == withPicture)
                    .count();
            return (n + size - 1) / size;
        }

        private List<int[]> packed(long number, int size) {
            if (number != epoch) {
                try (RandomSource random = RandomSource.of(seed + number)) {
                    batches = Packing.batches(lengths, pictured, size, random);
                }
                epoch = number;
            }
            return batches;
        }
    }
}
