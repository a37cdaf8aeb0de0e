package dev.zoetrope.world;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads from pixels alone what a clip of one object on a plain ground shows. The ground is the median of the border; the
 * object is found as what differs from it; then its picture, which the evaluator knows, is fitted over place, size and angle
 * in every frame, and the motion is read from the track of poses. Shares no code with what draws scenes, only the pictures.
 */
public final class GeometryJudge {
    private static final int COARSE_ANGLES = 24;
    private static final int STARTS = 4;
    private static final int REFINEMENTS = 8;
    private static final int LONGLIST = 100;
    private static final int SHORTLIST = 8;
    private static final int CLUSTER_ROUNDS = 8;
    /** Mean square error below which no other start is tried: a fit this close is right. */
    private static final double EXACT = 2e-4;
    /** A start must be this much better than one before it, so that noise does not turn an object that is nearly symmetric. */
    private static final double BETTER = .97;

    private GeometryJudge() {}

    /**
     * What was found.
     *
     * @param ground the plain ground nearest in colour to the border
     * @param motion how the object moves, null if in none of the ten ways (or in a picture)
     * @param track its pose in each frame
     * @param identityError root mean square distance in colour (0..1 a channel) between the object as fitted and as seen, over
     *     the object's pixels
     * @param flicker mean absolute change of colour (0..1 a channel) between neighbouring frames on the object itself, after its
     *     motion is taken out; 0 for a picture
     */
    public record Verdict(
            Ground ground, @Nullable Motion motion, List<Pose> track, double identityError, double flicker) {

        public Verdict {
            track = List.copyOf(track);
        }
    }

    /** Judges a clip that should show this object. */
    public static Verdict judge(Clip clip, WorldObject object, Style style) {
        return new Reading(clip).fit(Picture.of(object, style));
    }

    /**
     * What was found of two objects.
     *
     * @param first verdict on the first
     * @param second verdict on the second
     * @param relation of the first to the second, by the axis on which they are further apart; null unless it holds in every frame
     */
    public record PairVerdict(Verdict first, Verdict second, @Nullable Relation relation) {}

    /** Judges a clip that should show these two objects apart from each other. */
    public static PairVerdict judge(
            Clip clip, WorldObject first, Style firstStyle, WorldObject second, Style secondStyle) {
        Reading whole = new Reading(clip);
        Picture a = Picture.of(first, firstStyle);
        Picture b = Picture.of(second, secondStyle);
        double[][] centres = whole.centres();
        Reading here = whole.near(centres, 0);
        Reading there = whole.near(centres, 1);
        int middle = clip.frames().size() / 2;
        double straight = here.best(middle, a) + there.best(middle, b);
        double crossed = there.best(middle, a) + here.best(middle, b);
        Reading ofA = straight <= crossed ? here : there;
        Reading ofB = straight <= crossed ? there : here;
        List<Fit> fitsA = ofA.fits(a);
        List<Fit> fitsB = ofB.fits(b);
        whole.together(a, fitsA, b, fitsB);
        Relation relation = Tracks.relation(fitsA, fitsB);
        boolean beside = relation == Relation.LEFT_OF || relation == Relation.RIGHT_OF;
        return new PairVerdict(whole.verdict(a, fitsA, beside), whole.verdict(b, fitsB, beside), relation);
    }

    /** The ground alone. */
    public static Ground ground(Clip clip) {
        return new Reading(clip).ground();
    }

    /**
     * The object of these whose picture fits best, in any of the styles. Only the frame in the middle is looked at, so that
     * the answer does not depend on how the object moves.
     */
    public static WorldObject identify(Clip clip, List<WorldObject> among, List<Style> styles) {
        Reading reading = new Reading(clip);
        float[] frame = reading.frames[clip.frames().size() / 2];
        record Guess(WorldObject object, Picture picture, Fit fit) {}
        Comparator<Guess> byError = Comparator.comparingDouble(guess -> guess.fit.error);
        List<Guess> guesses = new ArrayList<>();
        for (WorldObject object : among) {
            for (Style style : styles) {
                Picture picture = Picture.of(object, style);
                for (Fit start : reading.starts(frame, picture)) {
                    guesses.add(new Guess(object, picture, start));
                }
            }
        }
        return guesses.stream()
                .sorted(byError)
                .limit(LONGLIST)
                .map(guess -> new Guess(
                        guess.object, guess.picture, reading.refine(frame, guess.picture, guess.fit, 2, REFINEMENTS)))
                .sorted(byError)
                .limit(SHORTLIST)
                .map(guess -> new Guess(
                        guess.object, guess.picture, reading.refine(frame, guess.picture, guess.fit, 1, REFINEMENTS)))
                .min(byError)
                .orElseThrow(() -> new IllegalArgumentException("world: no objects or no styles to choose from"))
                .object;
    }

    /** The clip as numbers, with its ground and what differs from it. */
    private static final class Reading {
        private final int width;
        private final int height;
        private final double shorter;
        private final float[][] frames; // [T][H * W * 3]
        private final float[] ground;
        private final double floor;

        Reading(Clip clip) {
            width = clip.width();
            height = clip.height();
            shorter = Math.min(width, height);
            frames = clip.frames().stream().map(Reading::floats).toArray(float[][]::new);
            ground = borderMedian();
            floor = .02 + 2 * borderNoise();
        }

        /** The same clip with other frames. */
        private Reading(Reading other, float[][] frames) {
            width = other.width;
            height = other.height;
            shorter = other.shorter;
            ground = other.ground;
            floor = other.floor;
            this.frames = frames;
        }

        /** Centres of two clusters of what differs from the ground, [T][x0, y0, x1, y1]; a cluster keeps its number. */
        double[][] centres() {
            double[][] centres = new double[frames.length][];
            double[] at = null;
            for (int k = 0; k < frames.length; k++) {
                double[] mask = new double[width * height];
                for (int i = 0; i < mask.length; i++) {
                    mask[i] = soft(distance(frames[k], i % width, i / width));
                }
                if (at == null) {
                    at = ends(mask);
                }
                for (int round = 0; round < CLUSTER_ROUNDS; round++) {
                    at = means(mask, at);
                }
                centres[k] = at;
            }
            return centres;
        }

        /** Two points on the long axis of the mask, one at either side of its middle. */
        private double[] ends(double[] mask) {
            double mass = 1e-9;
            double x = 0;
            double y = 0;
            double xx = 0;
            double xy = 0;
            double yy = 0;
            for (int i = 0; i < mask.length; i++) {
                double px = i % width + .5 - width / 2.;
                double py = i / width + .5 - height / 2.;
                mass += mask[i];
                x += mask[i] * px;
                y += mask[i] * py;
                xx += mask[i] * px * px;
                xy += mask[i] * px * py;
                yy += mask[i] * py * py;
            }
            x /= mass;
            y /= mass;
            double axis = .5 * Math.atan2(2 * (xy / mass - x * y), xx / mass - x * x - yy / mass + y * y);
            double dx = Math.cos(axis) * shorter / 4;
            double dy = Math.sin(axis) * shorter / 4;
            double cx = x + width / 2.;
            double cy = y + height / 2.;
            return new double[] {cx - dx, cy - dy, cx + dx, cy + dy};
        }

        private double[] means(double[] mask, double[] at) {
            double[] sums = new double[6];
            for (int i = 0; i < mask.length; i++) {
                int nearest = nearest(at, i);
                sums[nearest * 3] += mask[i];
                sums[nearest * 3 + 1] += mask[i] * (i % width + .5);
                sums[nearest * 3 + 2] += mask[i] * (i / width + .5);
            }
            double[] means = at.clone();
            for (int c = 0; c < 2; c++) {
                if (sums[c * 3] > 1) {
                    means[c * 2] = sums[c * 3 + 1] / sums[c * 3];
                    means[c * 2 + 1] = sums[c * 3 + 2] / sums[c * 3];
                }
            }
            return means;
        }

        private int nearest(double[] at, int pixel) {
            double x = pixel % width + .5;
            double y = pixel / width + .5;
            return Math.hypot(x - at[0], y - at[1]) <= Math.hypot(x - at[2], y - at[3]) ? 0 : 1;
        }

        /** The clip with only what is near one of the centres; elsewhere there is ground. */
        Reading near(double[][] centres, int which) {
            float[][] cut = new float[frames.length][];
            for (int k = 0; k < frames.length; k++) {
                cut[k] = frames[k].clone();
                for (int i = 0; i < width * height; i++) {
                    if (nearest(centres[k], i) != which) {
                        System.arraycopy(ground, 0, cut[k], i * 3, 3);
                    }
                }
            }
            return new Reading(this, cut);
        }

        private static float[] floats(Image image) {
            byte[] rgb = image.rgb();
            float[] out = new float[rgb.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (rgb[i] & 0xff) / 255f;
            }
            return out;
        }

        private float[] borderMedian() {
            int border = 2 * (width + height) - 4;
            float[] median = new float[3];
            for (int c = 0; c < 3; c++) {
                float[] values = new float[border * frames.length];
                int n = 0;
                for (float[] frame : frames) {
                    for (int y = 0; y < height; y++) {
                        for (int x = 0; x < width; x += y == 0 || y == height - 1 ? 1 : width - 1) {
                            values[n++] = frame[(y * width + x) * 3 + c];
                        }
                    }
                }
                Arrays.sort(values);
                median[c] = values[n / 2];
            }
            return median;
        }

        /** Median distance of the smoothed border from the ground: how large a difference means nothing. */
        private double borderNoise() {
            List<Double> distances = new ArrayList<>();
            for (float[] frame : frames) {
                for (int x = 1; x < width - 1; x++) {
                    distances.add(distance(frame, x, 1));
                    distances.add(distance(frame, x, height - 2));
                }
                for (int y = 1; y < height - 1; y++) {
                    distances.add(distance(frame, 1, y));
                    distances.add(distance(frame, width - 2, y));
                }
            }
            distances.sort(Comparator.naturalOrder());
            return distances.get(distances.size() / 2);
        }

        /** Distance of the mean of 3 x 3 pixels from the ground. */
        private double distance(float[] frame, int x, int y) {
            int left = Math.max(0, x - 1);
            int right = Math.min(width - 1, x + 1);
            int top = Math.max(0, y - 1);
            int bottom = Math.min(height - 1, y + 1);
            double sum = 0;
            for (int c = 0; c < 3; c++) {
                double mean = 0;
                for (int row = top; row <= bottom; row++) {
                    for (int column = left; column <= right; column++) {
                        mean += frame[(row * width + column) * 3 + c];
                    }
                }
                mean = mean / ((right - left + 1) * (bottom - top + 1)) - ground[c];
                sum += mean * mean;
            }
            return Math.sqrt(sum);
        }

        Ground ground() {
            return Ground.allPlain().stream()
                    .min(Comparator.comparingDouble(this::distanceTo))
                    .orElseThrow();
        }

        private double distanceTo(Ground plain) {
            double red = (plain.rgb() >> 16) / 255. - ground[0];
            double green = (plain.rgb() >> 8 & 0xff) / 255. - ground[1];
            double blue = (plain.rgb() & 0xff) / 255. - ground[2];
            return red * red + green * green + blue * blue;
        }

        Verdict fit(Picture picture) {
            List<Fit> fits = fits(picture);
            double size = fits.stream().mapToDouble(Fit::size).average().orElseThrow();
            // How far an object alone on the canvas goes, by the size it has.
            double roomX = Math.max(.3 * width, 1.24 * (width - size));
            double roomY = Math.max(.3 * height, 1.24 * (height - size));
            return verdict(picture, fits, new Tracks.Usual(roomX, roomY, Math.log(3)));
        }

        /** Of one of two objects: it goes less far towards the other. */
        Verdict verdict(Picture picture, List<Fit> fits, boolean beside) {
            double size = fits.stream().mapToDouble(Fit::size).average().orElseThrow();
            double roomX = beside ? .24 * width : Math.max(.3 * width, .9 * (width - size));
            double roomY = beside ? Math.max(.3 * height, .9 * (height - size)) : .24 * height;
            return verdict(picture, fits, new Tracks.Usual(roomX, roomY, Math.log(1.4 / .6)));
        }

        private Verdict verdict(Picture picture, List<Fit> fits, Tracks.Usual usual) {
            Motion motion = frames.length > 1 ? Tracks.motion(fits, usual) : null;
            List<Pose> track = fits.stream()
                    .map(fit -> new Pose((float) fit.x, (float) fit.y, (float) fit.size(), (float) fit.angle))
                    .toList();
            return new Verdict(ground(), motion, track, identityError(picture, fits), flicker(picture, fits));
        }

        List<Fit> fits(Picture picture) {
            List<Fit> fits = new ArrayList<>();
            for (float[] frame : frames) {
                fits.add(best(frame, picture, fits));
            }
            return fits;
        }

        /** Error of the best fit in one frame. */
        double best(int k, Picture picture) {
            return best(frames[k], picture, List.of()).error;
        }

        private Fit best(float[] frame, Picture picture, List<Fit> before) {
            List<Fit> starts = new ArrayList<>();
            if (before.size() > 1) {
                starts.add(before.get(before.size() - 2).towards(before.get(before.size() - 1)));
            }
            if (!before.isEmpty()) {
                starts.add(before.get(before.size() - 1));
            }
            starts.addAll(starts(frame, picture));
            Fit best = new Fit(width / 2., height / 2., Math.log(shorter / 2), 0, Double.POSITIVE_INFINITY);
            for (Fit start : starts) {
                Fit refined = refine(frame, picture, start, 1, REFINEMENTS);
                if (refined.error < BETTER * best.error) {
                    best = refined;
                }
                if (best.error < EXACT) {
                    break;
                }
            }
            return best;
        }

        /** Poses at which centre and area of what differs agree with the picture's, for the angles that look best. */
        private List<Fit> starts(float[] frame, Picture picture) {
            double mass = 0;
            double cx = 0;
            double cy = 0;
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    double m = soft(distance(frame, x, y));
                    mass += m;
                    cx += m * (x + .5);
                    cy += m * (y + .5);
                }
            }
            List<Fit> starts = new ArrayList<>();
            if (mass < 4) {
                return starts;
            }
            double[] shape = picture.moments(ground, this);
            double size = Math.max(4, Math.min(1.5 * shorter, Math.sqrt(mass / Math.max(1e-3, shape[0]))));
            for (int a = 0; a < COARSE_ANGLES; a++) {
                double angle = 2 * Math.PI * a / COARSE_ANGLES;
                double dx = size * (shape[1] * Math.cos(angle) - shape[2] * Math.sin(angle));
                double dy = size * (shape[1] * Math.sin(angle) + shape[2] * Math.cos(angle));
                Fit fit = new Fit(cx / mass - dx, cy / mass - dy, Math.log(size), angle, 0);
                double[] residual = residuals(frame, picture, fit, 2);
                starts.add(fit.withError(dot(residual, residual) / residual.length));
            }
            starts.sort(Comparator.comparingDouble(Fit::error));
            return apart(starts);
        }

        private static List<Fit> apart(List<Fit> sorted) {
            List<Fit> kept = new ArrayList<>();
            for (Fit fit : sorted) {
                if (kept.size() < STARTS
                        && kept.stream().allMatch(other -> Math.abs(turn(fit.angle - other.angle)) > .4)) {
                    kept.add(fit);
                }
            }
            return kept;
        }

        double soft(double distance) {
            return Math.max(0, Math.min(1, (distance - floor) / .12));
        }

        private Fit refine(float[] frame, Picture picture, Fit start, int step, int times) {
            return refine(frame, List.of(picture), List.of(start), step, times).get(0);
        }

        private double[] residuals(float[] frame, Picture picture, Fit fit, int step) {
            return residuals(frame, List.of(picture), List.of(fit), step);
        }

        /** Levenberg-Marquardt over (x, y, log size, angle) of each picture, with numeric derivatives. */
        private List<Fit> refine(float[] frame, List<Picture> pictures, List<Fit> start, int step, int times) {
            List<Fit> at = start;
            double[] residual = residuals(frame, pictures, at, step);
            double cost = dot(residual, residual);
            double damping = 1e-2;
            for (int i = 0; i < times; i++) {
                double[][] slopes = new double[4 * at.size()][];
                for (int p = 0; p < slopes.length; p++) {
                    double[] nudge = new double[slopes.length];
                    nudge[p] = Fit.STEP[p % 4];
                    slopes[p] = residuals(frame, pictures, moved(at, nudge), step);
                    for (int j = 0; j < residual.length; j++) {
                        slopes[p][j] = (slopes[p][j] - residual[j]) / nudge[p];
                    }
                }
                List<Fit> next = moved(at, normalStep(slopes, residual, damping));
                if (next.stream().anyMatch(fit -> fit.size() < 3 || fit.size() > 2 * shorter)) {
                    break;
                }
                double[] nextResidual = residuals(frame, pictures, next, step);
                double nextCost = dot(nextResidual, nextResidual);
                if (nextCost < cost) {
                    boolean settled = nextCost > .999 * cost;
                    at = next;
                    residual = nextResidual;
                    cost = nextCost;
                    damping *= .3;
                    if (settled) {
                        break;
                    }
                } else {
                    damping *= 8;
                }
            }
            double error = cost / residual.length;
            return at.stream().map(fit -> fit.withError(error)).toList();
        }

        private static List<Fit> moved(List<Fit> fits, double[] by) {
            List<Fit> moved = new ArrayList<>();
            for (int i = 0; i < fits.size(); i++) {
                moved.add(fits.get(i).moved(Arrays.copyOfRange(by, 4 * i, 4 * i + 4)));
            }
            return moved;
        }

        /** Difference between the pictures, laid over the ground from the first to the last, and the frame, at every step-th pixel. */
        private double[] residuals(float[] frame, List<Picture> pictures, List<Fit> fits, int step) {
            Picture.View[] views = new Picture.View[fits.size()];
            for (int i = 0; i < views.length; i++) {
                views[i] = pictures.get(i).view(fits.get(i));
            }
            double[] rgba = new double[4];
            double[] colour = new double[3];
            double[] residuals = new double[(width / step) * (height / step) * 3];
            int n = 0;
            for (int y = step / 2; y < height; y += step) {
                for (int x = step / 2; x < width; x += step) {
                    for (int c = 0; c < 3; c++) {
                        colour[c] = ground[c];
                    }
                    for (Picture.View view : views) {
                        view.sample(x + .5, y + .5, rgba);
                        for (int c = 0; c < 3; c++) {
                            colour[c] = rgba[c] + colour[c] * (1 - rgba[3]);
                        }
                    }
                    int at = (y * width + x) * 3;
                    for (int c = 0; c < 3; c++) {
                        residuals[n++] = colour[c] - frame[at + c];
                    }
                }
            }
            return residuals;
        }

        private static double[] normalStep(double[][] slopes, double[] residual, double damping) {
            int n = slopes.length;
            double[][] a = new double[n][n + 1];
            for (int p = 0; p < n; p++) {
                for (int q = p; q < n; q++) {
                    a[p][q] = dot(slopes[p], slopes[q]);
                    a[q][p] = a[p][q];
                }
                a[p][n] = -dot(slopes[p], residual);
            }
            for (int p = 0; p < n; p++) {
                a[p][p] = a[p][p] * (1 + damping) + 1e-9;
            }
            for (int p = 0; p < n; p++) { // positive definite: elimination needs no pivoting
                for (int row = p + 1; row < n; row++) {
                    double f = a[row][p] / a[p][p];
                    for (int q = p; q <= n; q++) {
                        a[row][q] -= f * a[p][q];
                    }
                }
            }
            double[] step = new double[n];
            for (int p = n - 1; p >= 0; p--) {
                double v = a[p][n];
                for (int q = p + 1; q < n; q++) {
                    v -= a[p][q] * step[q];
                }
                step[p] = v / a[p][p];
            }
            return step;
        }

        /**
         * Fits two pictures at once, from fits of each by itself. Where those were wrong, the frame before or after knows better: so
         * each frame also starts from its neighbours, once forward and once backward.
         */
        void together(Picture a, List<Fit> fitsA, Picture b, List<Fit> fitsB) {
            boolean inFront = misfit(fitsA, fitsB, List.of(b, a), true) < misfit(fitsA, fitsB, List.of(a, b), false);
            List<Picture> layers = inFront ? List.of(b, a) : List.of(a, b);
            List<Fit> back = inFront ? fitsB : fitsA;
            List<Fit> front = inFront ? fitsA : fitsB;
            for (int k = 0; k < frames.length; k++) {
                improve(k, layers, back, front, back.get(k), front.get(k), true);
            }
            for (int way = 1; way >= -1; way -= 2) {
                for (int k = way > 0 ? 1 : frames.length - 2; k >= 0 && k < frames.length; k += way) {
                    Fit nearBack = back.get(k - way);
                    Fit nearFront = front.get(k - way);
                    improve(k, layers, back, front, back.get(k), nearFront, false);
                    improve(k, layers, back, front, nearBack, front.get(k), false);
                    improve(k, layers, back, front, nearBack, nearFront, false);
                    if (k - 2 * way >= 0 && k - 2 * way < frames.length) {
                        Fit onBack = back.get(k - 2 * way).towards(nearBack);
                        Fit onFront = front.get(k - 2 * way).towards(nearFront);
                        improve(k, layers, back, front, onBack, onFront, false);
                    }
                }
            }
        }

        private double misfit(List<Fit> fitsA, List<Fit> fitsB, List<Picture> layers, boolean inFront) {
            double sum = 0;
            for (int k = 0; k < frames.length; k++) {
                List<Fit> fits = inFront ? List.of(fitsB.get(k), fitsA.get(k)) : List.of(fitsA.get(k), fitsB.get(k));
                double[] residual = residuals(frames[k], layers, fits, 1);
                sum += dot(residual, residual);
            }
            return sum;
        }

        private void improve(
                int k,
                List<Picture> layers,
                List<Fit> back,
                List<Fit> front,
                Fit startBack,
                Fit startFront,
                boolean first) {
            if (!first && back.get(k).error < EXACT) {
                return;
            }
            List<Fit> refined = refine(frames[k], layers, List.of(startBack, startFront), 1, REFINEMENTS);
            if (first || refined.get(0).error < BETTER * back.get(k).error) {
                back.set(k, refined.get(0));
                front.set(k, refined.get(1));
            }
        }

        private static double dot(double[] a, double[] b) {
            double sum = 0;
            for (int i = 0; i < a.length; i++) {
                sum += a[i] * b[i];
            }
            return sum;
        }

        private double identityError(Picture picture, List<Fit> fits) {
            double sum = 0;
            int n = 0;
            double[] rgba = new double[4];
            for (int k = 0; k < frames.length; k++) {
                Picture.View view = picture.view(fits.get(k));
                for (int y = 0; y < height; y++) {
                    for (int x = 0; x < width; x++) {
                        view.sample(x + .5, y + .5, rgba);
                        if (rgba[3] > .5) {
                            for (int c = 0; c < 3; c++) {
                                double e = rgba[c] + ground[c] * (1 - rgba[3]) - frames[k][(y * width + x) * 3 + c];
                                sum += e * e;
                            }
                            n += 3;
                        }
                    }
                }
            }
            return n == 0 ? 1 : Math.sqrt(sum / n);
        }

        /** Looks both frames up at the same points of the object, and compares. */
        private double flicker(Picture picture, List<Fit> fits) {
            double sum = 0;
            int n = 0;
            double[] now = new double[3];
            double[] next = new double[3];
            for (int k = 0; k + 1 < frames.length; k++) {
                for (int v = 1; v < Picture.CELL; v += 2) {
                    for (int u = 1; u < Picture.CELL; u += 2) {
                        if (picture.alpha(u, v) > .95
                                && look(frames[k], fits.get(k), u, v, now)
                                && look(frames[k + 1], fits.get(k + 1), u, v, next)) {
                            for (int c = 0; c < 3; c++) {
                                sum += Math.abs(now[c] - next[c]);
                            }
                            n += 3;
                        }
                    }
                }
            }
            return n == 0 ? 0 : sum / n;
        }

        private boolean look(float[] frame, Fit fit, int u, int v, double[] colour) {
            double tu = ((u + .5) / Picture.CELL - .5) * fit.size();
            double tv = ((v + .5) / Picture.CELL - .5) * fit.size();
            double x = fit.x + Math.cos(fit.angle) * tu - Math.sin(fit.angle) * tv - .5;
            double y = fit.y + Math.sin(fit.angle) * tu + Math.cos(fit.angle) * tv - .5;
            int column = (int) Math.floor(x);
            int row = (int) Math.floor(y);
            if (column < 0 || row < 0 || column + 1 >= width || row + 1 >= height) {
                return false;
            }
            double fx = x - column;
            double fy = y - row;
            for (int c = 0; c < 3; c++) {
                int at = (row * width + column) * 3 + c;
                double top = frame[at] * (1 - fx) + frame[at + 3] * fx;
                double bottom = frame[at + width * 3] * (1 - fx) + frame[at + width * 3 + 3] * fx;
                colour[c] = top * (1 - fy) + bottom * fy;
            }
            return true;
        }
    }

    /** A pose with how far the picture is from the frame there (mean square). */
    record Fit(double x, double y, double logSize, double angle, double error) {
        static final double[] STEP = {.4, .4, .02, .04};

        double size() {
            return Math.exp(logSize);
        }

        Fit withError(double value) {
            return new Fit(x, y, logSize, angle, value);
        }

        Fit moved(double[] by) {
            return new Fit(x + by[0], y + by[1], logSize + by[2], angle + by[3], error);
        }

        /** Where this pose would be next if it went on from here to there. */
        Fit towards(Fit last) {
            return new Fit(
                    2 * last.x - x,
                    2 * last.y - y,
                    2 * last.logSize - logSize,
                    last.angle + turn(last.angle - angle),
                    last.error);
        }
    }

    /** The shortest turn with the same effect, within half a turn. */
    static double turn(double angle) {
        return angle - 2 * Math.PI * Math.rint(angle / (2 * Math.PI));
    }

    /** The object's picture, as the judge samples it: levels of half size, bilinear, the level nearest to the screen's. */
    private static final class Picture {
        static final int CELL = Atlas.CELL;
        private static final Map<String, Picture> KNOWN = new ConcurrentHashMap<>();
        private final double[][] levels; // [level][n * n * 4], premultiplied

        private Picture(float[] rimmed) {
            levels = new double[5][];
            levels[0] = new double[CELL * CELL * 4];
            for (int y = 0; y < CELL; y++) {
                for (int i = 0; i < CELL * 4; i++) {
                    levels[0][y * CELL * 4 + i] = rimmed[(y + 1) * (CELL + 2) * 4 + 4 + i];
                }
            }
            for (int level = 1; level < levels.length; level++) {
                int n = CELL >> level;
                levels[level] = new double[n * n * 4];
                for (int i = 0; i < levels[level].length; i++) {
                    int c = i % 4;
                    int x = i / 4 % n * 2;
                    int y = i / 4 / n * 2;
                    double[] finer = levels[level - 1];
                    double sum = 0;
                    for (int sub = 0; sub < 4; sub++) {
                        sum += finer[((y + sub / 2) * 2 * n + x + sub % 2) * 4 + c];
                    }
                    levels[level][i] = sum / 4;
                }
            }
        }

        static Picture of(WorldObject object, Style style) {
            return KNOWN.computeIfAbsent(
                    object.name() + style,
                    key -> new Picture(Atlas.texture(object, style).texels(0)));
        }

        double alpha(int u, int v) {
            return levels[0][(v * CELL + u) * 4 + 3];
        }

        /** Area, and centre relative to the middle, of what differs from the ground, in edges of the picture. */
        double[] moments(float[] ground, Reading reading) {
            double mass = 0;
            double cx = 0;
            double cy = 0;
            for (int i = 0; i < CELL * CELL; i++) {
                double sum = 0;
                for (int c = 0; c < 3; c++) {
                    double d = levels[0][i * 4 + c] - ground[c] * levels[0][i * 4 + 3];
                    sum += d * d;
                }
                double m = reading.soft(Math.sqrt(sum));
                mass += m;
                cx += m * (i % CELL + .5);
                cy += m * (i / CELL + .5);
            }
            double n = CELL;
            return mass < 1
                    ? new double[] {.3, 0, 0}
                    : new double[] {mass / n / n, cx / mass / n - .5, cy / mass / n - .5};
        }

        View view(Fit fit) {
            double size = fit.size();
            int level = (int) Math.max(0, Math.min(levels.length - 1, Math.rint(Math.log(CELL / size) / Math.log(2))));
            return new View(levels[level], CELL >> level, fit, size);
        }

        private static final class View {
            private final double[] texels;
            private final int n;
            private final Fit fit;
            private final double cos;
            private final double sin;

            View(double[] texels, int n, Fit fit, double size) {
                this.texels = texels;
                this.n = n;
                this.fit = fit;
                cos = Math.cos(fit.angle) * n / size;
                sin = Math.sin(fit.angle) * n / size;
            }

            void sample(double x, double y, double[] rgba) {
                double u = cos * (x - fit.x) + sin * (y - fit.y) + n / 2. - .5;
                double v = cos * (y - fit.y) - sin * (x - fit.x) + n / 2. - .5;
                rgba[0] = 0;
                rgba[1] = 0;
                rgba[2] = 0;
                rgba[3] = 0;
                if (u <= -1 || v <= -1 || u >= n || v >= n) {
                    return;
                }
                int column = (int) Math.floor(u);
                int row = (int) Math.floor(v);
                double fu = u - column;
                double fv = v - row;
                add(column, row, (1 - fu) * (1 - fv), rgba);
                add(column + 1, row, fu * (1 - fv), rgba);
                add(column, row + 1, (1 - fu) * fv, rgba);
                add(column + 1, row + 1, fu * fv, rgba);
            }

            private void add(int column, int row, double weight, double[] rgba) {
                if (column >= 0 && row >= 0 && column < n && row < n) {
                    int at = (row * n + column) * 4;
                    for (int c = 0; c < 4; c++) {
                        rgba[c] += weight * texels[at + c];
                    }
                }
            }
        }
    }

    /** Reads motions from tracks of poses. */
    static final class Tracks {
        /** Share of the usual amplitude that counts as that motion. */
        private static final double MOVES = .4;
        /** Standard deviation, in parts of the usual range, below which an object stands still; a straight move has .3. */
        private static final double RESTS = .12;
        /** Share of a track's variance that the template of its motion must explain. */
        private static final double FOLLOWED = .75;
        /** Standard deviation of a spinning object's steps, in parts of a step. */
        private static final double LEAPS = .7;

        private Tracks() {}

        /**
         * How far things go when they move.
         *
         * @param x from side to side in pixels
         * @param y up and down in pixels
         * @param growth logarithm of the largest size over the smallest
         */
        record Usual(double x, double y, double growth) {}

        /** Where the first is seen from the second, if that holds in every frame. */
        static @Nullable Relation relation(List<Fit> first, List<Fit> second) {
            double dx = 0;
            double dy = 0;
            for (int k = 0; k < first.size(); k++) {
                dx += second.get(k).x - first.get(k).x;
                dy += second.get(k).y - first.get(k).y;
            }
            boolean beside = Math.abs(dx) > Math.abs(dy);
            for (int k = 0; k < first.size(); k++) {
                double ahead = beside ? second.get(k).x - first.get(k).x : second.get(k).y - first.get(k).y;
                if (ahead * (beside ? dx : dy) <= 0) {
                    return null;
                }
            }
            if (beside) {
                return dx > 0 ? Relation.LEFT_OF : Relation.RIGHT_OF;
            }
            return dy > 0 ? Relation.ABOVE : Relation.BELOW;
        }

        static @Nullable Motion motion(List<Fit> fits, Usual usual) {
            int frames = fits.size();
            double[] x = new double[frames];
            double[] y = new double[frames];
            double[] grown = new double[frames];
            double[] angle = new double[frames];
            for (int k = 0; k < frames; k++) {
                Fit fit = fits.get(k);
                x[k] = fit.x;
                y[k] = fit.y;
                grown[k] = fit.logSize;
                angle[k] = k == 0 ? turn(fit.angle) : angle[k - 1] + turn(fit.angle - angle[k - 1]);
            }
            double[] line = new double[frames];
            double[] hops = new double[frames];
            double[] swing = new double[frames];
            for (int k = 0; k < frames; k++) {
                double p = (double) k / (frames - 1);
                line[k] = p;
                hops[k] = -Math.abs(Math.sin(2 * Math.PI * p));
                swing[k] = Math.sin(2 * Math.PI * p);
            }
            double fullTurn = 2 * Math.PI * (frames - 1) / frames;
            Map<Motion, Double> strength = new EnumMap<>(Motion.class);
            double alongX = share(x, line, usual.x);
            double alongY = share(y, line, usual.y);
            double growth = share(grown, line, usual.growth);
            strength.put(Motion.RIGHT, alongX);
            strength.put(Motion.LEFT, -alongX);
            strength.put(Motion.DOWN, alongY);
            strength.put(Motion.UP, -alongY);
            strength.put(Motion.GROW, growth);
            strength.put(Motion.SHRINK, -growth);
            strength.put(Motion.SPIN, steady(angle) ? share(angle, line, fullTurn) : 0);
            strength.put(Motion.BOUNCE, share(y, hops, usual.y));
            strength.put(Motion.SWAY, share(angle, swing, .5));
            Map.Entry<Motion, Double> first = strength.entrySet().stream()
                    .max(Map.Entry.comparingByValue())
                    .orElseThrow();
            if (first.getValue() >= MOVES) {
                return first.getKey();
            }
            double unrest = Math.max(
                    Math.max(spread(x) / usual.x, spread(y) / usual.y),
                    Math.max(spread(grown) / usual.growth, spread(angle)));
            return unrest <= RESTS ? Motion.STILL : null;
        }

        /** Whether an angle turns at about the same pace throughout: frames in a wrong order turn too, but in leaps. */
        private static boolean steady(double[] angle) {
            double pace = (angle[angle.length - 1] - angle[0]) / (angle.length - 1);
            double[] leaps = new double[angle.length - 1];
            for (int k = 0; k < leaps.length; k++) {
                leaps[k] = angle[k + 1] - angle[k] - pace;
            }
            return spread(leaps) < LEAPS * Math.abs(pace) + .1;
        }

        private static double spread(double[] track) {
            double mean = Arrays.stream(track).average().orElseThrow();
            return Math.sqrt(Arrays.stream(track)
                    .map(v -> (v - mean) * (v - mean))
                    .average()
                    .orElseThrow());
        }

        /** Slope of the track over the template, in parts of the usual amplitude; 0 if the template explains too little. */
        private static double share(double[] track, double[] template, double usual) {
            double meanTrack = Arrays.stream(track).average().orElseThrow();
            double meanTemplate = Arrays.stream(template).average().orElseThrow();
            double both = 0;
            double square = 0;
            double all = 0;
            for (int k = 0; k < track.length; k++) {
                double a = track[k] - meanTrack;
                double b = template[k] - meanTemplate;
                both += a * b;
                square += b * b;
                all += a * a;
            }
            // Two or three frames can show neither a bounce nor a sway: their templates are flat there.
            if (all < 1e-12 || square < 1e-12) {
                return 0;
            }
            double slope = both / square;
            double explained = both * both / (square * all);
            return explained < FOLLOWED ? 0 : slope / usual * explained;
        }
    }
}
