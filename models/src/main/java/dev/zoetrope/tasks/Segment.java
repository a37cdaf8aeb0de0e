package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Mask;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamMaskDecoder;
import dev.zoetrope.models.sam.SamProcessor;
import dev.zoetrope.models.sam.SamProcessor.Frame;
import dev.zoetrope.models.sam.SamPrompts;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Segments pictures by points, boxes and earlier masks. A picture is encoded once; then every prompt is cheap.
 *
 * <pre>{@code
 * try (var segment = Segment.builtIn(); var picture = segment.open(Images.read(file))) {
 *     Mask mask = picture.answer(Prompt.at(320, 200)).best().mask();
 * }
 * }</pre>
 *
 * <p>One thread at a time.
 */
public final class Segment implements AutoCloseable {
    /** How far above and below zero the logits of a mask lie that is given as a picture. */
    private static final double CERTAIN = 10;

    private final Sam sam;
    private final SamProcessor processor;

    public Segment(Sam sam, SamProcessor processor) {
        this.sam = sam;
        this.processor = processor;
    }

    /** The model trained on Carousel. */
    public static Segment builtIn() {
        return load(BuiltIn.folder(BuiltIn.SAM));
    }

    /** From a folder as published, or an original release (.pth). */
    public static Segment load(Path folderOrFile) {
        Sam sam = Sam.load(folderOrFile);
        try {
            return new Segment(sam, SamProcessor.of(folderOrFile, sam.config()));
        } catch (RuntimeException e) {
            sam.close();
            throw e;
        }
    }

    /** From a folder, a file, or the name of a model on the hub such as facebook/sam-vit-base. */
    public static Segment of(String nameOrFolder) {
        Path path = Path.of(nameOrFolder);
        return load(Files.exists(path) ? path : Hub.ofEnvironment().resolve(nameOrFolder));
    }

    public Sam model() {
        return sam;
    }

    public SamProcessor processor() {
        return processor;
    }

    /**
     * A click.
     *
     * @param x column in pixels of the picture, which count from 0
     * @param y row
     * @param foreground whether it is in the mask, or must not be
     */
    public record Point(double x, double y, boolean foreground) {}

    /**
     * What the decoder answered, as it goes in again to be refined: logits {@code [side, side]}.
     *
     * @param side of the square
     * @param values row by row
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Logits(int side, float[] values) {}

    /**
     * What is to be segmented. Coordinates are in pixels of the picture.
     *
     * @param points clicks, possibly none
     * @param box around it; null for none
     * @param earlier the answer to refine; null for none
     * @param ambiguous whether several masks are wanted: sub-part, part and whole
     */
    public record Prompt(List<Point> points, @Nullable Box box, @Nullable Logits earlier, boolean ambiguous) {
        public Prompt {
            points = List.copyOf(points);
            if (points.isEmpty() && box == null && earlier == null) {
                throw new UserError("a prompt needs a point, a box or an earlier mask");
            }
        }

        /** A click on it, which may mean a part or the whole: three masks come out. */
        public static Prompt at(double x, double y) {
            return new Prompt(List.of(new Point(x, y, true)), null, null, true);
        }

        /** Clicks; one alone is ambiguous. */
        public static Prompt of(List<Point> points) {
            return new Prompt(points, null, null, points.size() == 1);
        }

        public static Prompt of(Box box) {
            return new Prompt(List.of(), box, null, false);
        }

        public Prompt with(Box inside) {
            return new Prompt(points, inside, earlier, false);
        }

        public Prompt refining(Logits answer) {
            return new Prompt(points, box, answer, false);
        }

        public Prompt ambiguous(boolean value) {
            return new Prompt(points, box, earlier, value);
        }
    }

    /**
     * One mask.
     *
     * @param predictedIou how well the model thinks it fits, 0..1
     * @param logits to refine it by
     */
    public record Candidate(Mask mask, double predictedIou, Logits logits) {}

    /**
     * What a prompt gives.
     *
     * @param candidates three for an ambiguous prompt, else one, in the model's order
     */
    public record Answer(List<Candidate> candidates) {
        public Answer {
            candidates = List.copyOf(candidates);
        }

        /** The one that the model thinks best. */
        public Candidate best() {
            return candidates.stream()
                    .max(Comparator.comparingDouble(Candidate::predictedIou))
                    .orElseThrow();
        }
    }

    /** Encodes a picture. */
    public Picture open(Image image) {
        return open(List.of(image)).get(0);
    }

    /** Encodes several pictures in one pass. */
    public List<Picture> open(List<Image> images) {
        List<Picture> r = new ArrayList<>();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<SamProcessor.Input> inputs =
                    images.stream().map(processor::process).toList();
            Tensor embeddings = sam.encode(Tensor.cat(
                    0, inputs.stream().map(SamProcessor.Input::pixels).toList()));
            for (int i = 0; i < inputs.size(); i++) {
                Tensor own = embeddings.narrow(0, i, 1).copy();
                r.add(new Picture(inputs.get(i).frame(), Scope.detach(own)));
            }
        }
        return r;
    }

    /** An encoded picture, of which to ask; closing frees its embedding. */
    public final class Picture implements AutoCloseable {
        private final Frame frame;
        private final Tensor embedding;

        private Picture(Frame frame, Tensor embedding) {
            this.frame = frame;
            this.embedding = embedding;
        }

        public int width() {
            return frame.width();
        }

        public int height() {
            return frame.height();
        }

        /** How the picture lies in the square that the model sees. */
        public Frame frame() {
            return frame;
        }

        /** {@code [1, C, H, W]}; belongs to this picture. */
        public Tensor embedding() {
            return embedding;
        }

        public Answer answer(Prompt prompt) {
            return answer(List.of(prompt)).get(0);
        }

        /** Answers in the order of the prompts. */
        public List<Answer> answer(List<Prompt> prompts) {
            List<Answer> r = new ArrayList<>();
            for (Prompt p : prompts) {
                try (Autograd.Mode off = Autograd.off();
                        Scope s = Scope.open()) {
                    r.add(candidates(sam.decode(embedding, prompts(p), p.ambiguous)));
                }
            }
            return r;
        }

        private Answer candidates(SamMaskDecoder.Output o) { // [1, 1, M, h, w]
            Tensor low = o.masks().squeeze(0);
            byte[] bits = frame.masks(low).gt(0).to(DType.UINT8).toBytes();
            float[] iou = o.iou().toFloats();
            int side = (int) low.size(3);
            List<Candidate> r = new ArrayList<>();
            for (int i = 0; i < iou.length; i++) {
                int size = width() * height();
                byte[] own = new byte[size];
                System.arraycopy(bits, i * size, own, 0, size);
                Logits logits = new Logits(side, low.select(1, i).toFloats());
                r.add(new Candidate(new Mask(width(), height(), own), iou[i], logits));
            }
            return new Answer(r);
        }

        /**
         * A prompt as the model reads it, of shapes with B = P = 1; checked against the picture.
         *
         * @throws UserError for a point outside the picture, or a box that is none
         */
        public SamPrompts prompts(Prompt p) {
            Tensor points = null;
            Tensor labels = null;
            if (!p.points.isEmpty()) {
                float[] xy = new float[2 * p.points.size()];
                long[] kinds = new long[p.points.size()];
                for (int i = 0; i < kinds.length; i++) {
                    Point point = p.points.get(i);
                    check(point);
                    xy[2 * i] = (float) frame.x(point.x);
                    xy[2 * i + 1] = (float) frame.y(point.y);
                    kinds[i] = point.foreground ? 1 : 0;
                }
                points = Tensor.of(xy, 1, 1, kinds.length, 2);
                labels = Tensor.of(kinds, 1, 1, kinds.length);
            }
            Tensor box = null;
            if (p.box != null) {
                check(p.box);
                box = Tensor.of(
                        new float[] {
                            (float) frame.x(p.box.x0()), (float) frame.y(p.box.y0()),
                            (float) frame.x(p.box.x1()), (float) frame.y(p.box.y1())
                        },
                        1,
                        1,
                        4);
            }
            return new SamPrompts(points, labels, box, p.earlier == null ? null : mask(p.earlier));
        }

        private Tensor mask(Logits earlier) {
            int side = 4 * sam.config().vision().side();
            if (earlier.side != side) {
                throw new UserError("an earlier answer of " + earlier.side + "x" + earlier.side
                        + " logits, this model needs " + side + "x" + side + ": refine with the model that answered");
            }
            return Tensor.of(earlier.values, 1, 1, side, side);
        }

        private void check(Point p) {
            if (!(p.x >= 0 && p.x <= width() && p.y >= 0 && p.y <= height())) {
                throw new UserError("point " + p.x + "," + p.y + " lies outside the picture of " + width() + "x"
                        + height() + " pixels; columns count from 0 at the left, rows from 0 at the top");
            }
        }

        private void check(Box b) {
            if (!(b.x0() < b.x1() && b.y0() < b.y1())) {
                throw new UserError("box " + text(b) + " is empty: expected x0,y0,x1,y1 with x0 < x1 and y0 < y1");
            }
            if (!(b.x0() < width() && b.y0() < height() && b.x1() > 0 && b.y1() > 0)) {
                throw new UserError(
                        "box " + text(b) + " lies outside the picture of " + width() + "x" + height() + " pixels");
            }
        }

        private static String text(Box b) {
            return b.x0() + "," + b.y0() + "," + b.x1() + "," + b.y1();
        }

        /** A mask of the picture's size as an earlier answer, for masks that come from elsewhere. */
        public Logits logits(Mask mask) {
            if (mask.width() != width() || mask.height() != height()) {
                throw new UserError("a mask of " + mask.width() + "x" + mask.height()
                        + " pixels does not fit the picture of " + width() + "x" + height());
            }
            int side = 4 * sam.config().vision().side();
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                Tensor given = Tensor.of(mask.bits(), 1, 1, height(), width())
                        .to(DType.FLOAT32)
                        .mul(2 * CERTAIN)
                        .sub(CERTAIN);
                return new Logits(side, frame.prompt(given, side).toFloats());
            }
        }

        @Override
        public void close() {
            embedding.close();
        }
    }

    @Override
    public void close() {
        sam.close();
    }
}
