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
            List<Fit> fits = new ArrayList<>();
            for (float[] frame : frames) {
                fits.add(best(frame, picture, fits));
            }
            Motion motion = frames.length > 1 ? Tracks.motion(fits, width, height) : null;
            List<Pose> track = fits.stream()
                    .map(fit -> new Pose((float) fit.x, (float) fit.y, (float) fit.size(), (float) fit.angle))
                    .toList();
            return new Verdict(ground(), motion, track, identityError(picture, fits), flicker(picture, fits));
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

        /** Levenberg-Marquardt over (x, y, log size, angle) with numeric derivatives. */
        private Fit refine(float[] frame, Picture picture, Fit start, int step, int times) {
            Fit at = start;
            double[] residual = residuals(frame, picture, at, step);
            double cost = dot(residual, residual);
            double damping = 1e-2;
            for (int i = 0; i < times; i++) {
                double[][] slopes = new double[4][];
                for (int p = 0; p < 4; p++) {
                    slopes[p] = residuals(frame, picture, at.moved(p, Fit.STEP[p]), step);
                    for (int j = 0; j < residual.length; j++) {
                        slopes[p][j] = (slopes[p][j] - residual[j]) / Fit.STEP[p];
                    }
                }
                Fit next = at.moved(normalStep(slopes, residual, damping));
                if (next.size() < 3 || next.size() > 2 * shorter) {
                    break;
                }
                double[] nextResidual = residuals(frame, picture, next, step);
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
            return at.withError(cost / residual.length);
        }

        /** Difference between the picture laid over the ground and the frame, at every step-th pixel. */
        private double[] residuals(float[] frame, Picture picture, Fit fit, int step) {
            double[] rgba = new double[4];
            double[] residuals = new double[(width / step) * (height / step) * 3];
            Picture.View view = picture.view(fit);
            int n = 0;
            for (int y = step / 2; y < height; y += step) {
                for (int x = step / 2; x < width; x += step) {
                    view.sample(x + .5, y + .5, rgba);
                    int at = (y * width + x) * 3;
                    for (int c = 0; c < 3; c++) {
                        residuals[n++] = rgba[c] + ground[c] * (1 - rgba[3]) - frame[at + c];
                    }
                }
            }
            return residuals;
        }

        private static double[] normalStep(double[][] slopes, double[] residual, double damping) {
            double[][] a = new double[4][5];
            for (int p = 0; p < 4; p++) {
                for (int q = 0; q < 4; q++) {
                    a[p][q] = dot(slopes[p], slopes[q]);
                }
                a[p][4] = -dot(slopes[p], residual);
                a[p][p] = a[p][p] * (1 + damping) + 1e-9;
            }
            for (int p = 0; p < 4; p++) { // positive definite: elimination needs no pivoting
                for (int row = p + 1; row < 4; row++) {
                    double f = a[row][p] / a[p][p];
                    for (int q = p; q < 5; q++) {
                        a[row][q] -= f * a[p][q];
                    }
                }
            }
            double[] step = new double[4];
            for (int p = 3; p >= 0; p--) {
                double v = a[p][4];
                for (int q = p + 1; q < 4; q++) {
                    v -= a[p][q] * step[q];
                }
                step[p] = v / a[p][p];
            }
            return step;
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

        Fit moved(int parameter, double by) {
            double[] step = new double[4];
            step[parameter] = by;
            return moved(step);
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
        private static final double EXPLAINED = .75;
        /** Standard deviation of a spinning object's steps, in parts of a step. */
        private static final double LEAPS = .7;

        private Tracks() {}

        static @Nullable Motion motion(List<Fit> fits, int width, int height) {
            int frames = fits.size();
            double[] x = new double[frames];
            double[] y = new double[frames];
            double[] grown = new double[frames];
            double[] angle = new double[frames];
            double size = 0;
            for (int k = 0; k < frames; k++) {
                Fit fit = fits.get(k);
                x[k] = fit.x;
                y[k] = fit.y;
                grown[k] = fit.logSize;
                angle[k] = k == 0 ? turn(fit.angle) : angle[k - 1] + turn(fit.angle - angle[k - 1]);
                size += fit.size() / frames;
            }
            double roomX = Math.max(.3 * width, 1.24 * (width - size));
            double roomY = Math.max(.3 * height, 1.24 * (height - size));
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
            double alongX = share(x, line, roomX);
            double alongY = share(y, line, roomY);
            double growth = share(grown, line, Math.log(3));
            strength.put(Motion.RIGHT, alongX);
            strength.put(Motion.LEFT, -alongX);
            strength.put(Motion.DOWN, alongY);
            strength.put(Motion.UP, -alongY);
            strength.put(Motion.GROW, growth);
            strength.put(Motion.SHRINK, -growth);
            strength.put(Motion.SPIN, steady(angle) ? share(angle, line, fullTurn) : 0);
            strength.put(Motion.BOUNCE, share(y, hops, roomY));
            strength.put(Motion.SWAY, share(angle, swing, .5));
            Map.Entry<Motion, Double> first = strength.entrySet().stream()
                    .max(Map.Entry.comparingByValue())
                    .orElseThrow();
            if (first.getValue() >= MOVES) {
                return first.getKey();
            }
            double unrest = Math.max(
                    Math.max(spread(x) / roomX, spread(y) / roomY),
                    Math.max(spread(grown) / Math.log(3), spread(angle)));
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
            if (all < 1e-12) {
                return 0;
            }
            double slope = both / square;
            double explained = both * both / (square * all);
            return explained < EXPLAINED ? 0 : slope / usual * explained;
        }
    }
}
