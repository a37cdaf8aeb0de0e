package dev.zoetrope.tasks.annotation;

import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.Segment.Answer;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.Segment.Point;
import dev.zoetrope.tasks.Segment.Prompt;
import dev.zoetrope.tasks.annotation.AnnotationSession.Annotation;
import dev.zoetrope.tasks.annotation.AnnotationSession.Source;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A picture that a person annotates: encoded when it is opened, so that each click costs the decoder only. One thread at a
 * time.
 */
public final class Desk implements AutoCloseable {
    /** What was clicked so far, and what came of it. */
    private record State(List<Point> points, @Nullable Box box, Answer answer, int chosen) {
        Candidate candidate() {
            return answer.candidates().get(chosen);
        }
    }

    private final AnnotationSession session;
    private final int number;
    private final Image image;
    private final Segment.Picture picture;
    private final Deque<State> states = new ArrayDeque<>();
    private double millis;

    Desk(AnnotationSession session, int number, Image image, Segment.Picture picture) {
        this.session = session;
        this.number = number;
        this.image = image;
        this.picture = picture;
    }

    public Image image() {
        return image;
    }

    /** Of the picture in its session. */
    public int number() {
        return number;
    }

    /** How long the last answer took. */
    public double millis() {
        return millis;
    }

    /** A click on what is wanted, or on what must not be in it. The first one alone gives three candidates. */
    public Answer click(double x, double y, boolean foreground) {
        State before = states.peek();
        List<Point> points = new ArrayList<>(before == null ? List.of() : before.points);
        points.add(new Point(x, y, foreground));
        return ask(points, before == null ? null : before.box);
    }

    /** What the first click there would give; nothing is clicked. */
    public Candidate look(double x, double y) {
        return picture.answer(Prompt.at(x, y)).best();
    }

    /** All candidates of the last click, of which {@link #candidate} is one; none before the first. */
    public List<Candidate> candidates() {
        State s = states.peek();
        return s == null ? List.of() : s.answer.candidates();
    }

    /** The clicks that count now. */
    public List<Point> points() {
        State s = states.peek();
        return s == null ? List.of() : s.points;
    }

    /** The box that counts now; null for none. */
    public @Nullable Box box() {
        State s = states.peek();
        return s == null ? null : s.box;
    }

    /** A box around what is wanted. */
    public Answer box(Box box) {
        State before = states.peek();
        return ask(before == null ? List.of() : before.points, box);
    }

    private Answer ask(List<Point> points, @Nullable Box box) {
        State before = states.peek();
        boolean ambiguous = points.size() == 1 && box == null;
        Segment.Logits earlier = before == null ? null : before.candidate().logits();
        long since = System.nanoTime();
        Answer answer = picture.answer(new Prompt(points, box, earlier, ambiguous));
        millis = (System.nanoTime() - since) / 1e6;
        states.push(
                new State(List.copyOf(points), box, answer, answer.candidates().indexOf(answer.best())));
        return answer;
    }

    /** The candidate that is shown, refined by the next click, and accepted; null before the first click. */
    public @Nullable Candidate candidate() {
        State s = states.peek();
        return s == null ? null : s.candidate();
    }

    /** Another of the candidates than the one that the model thinks best. */
    public Candidate choose(int index) {
        State s = state();
        if (index < 0 || index >= s.answer.candidates().size()) {
            throw new UserError("there is no candidate " + index + ", there are "
                    + s.answer.candidates().size());
        }
        states.pop();
        states.push(new State(s.points, s.box, s.answer, index));
        return state().candidate();
    }

    /** Takes back the last click or box. */
    public void undo() {
        state();
        states.pop();
    }

    /** Forgets all clicks. */
    public void clear() {
        states.clear();
    }

    /** Puts the candidate into the session and starts anew. */
    public Annotation accept() {
        State s = state();
        Candidate c = s.candidate();
        Annotation a = session.accept(
                number, Rle.of(c.mask()), Source.MANUAL, s.points, s.box, c.predictedIou(), stability(c));
        clear();
        return a;
    }

    private State state() {
        State s = states.peek();
        if (s == null) {
            throw new UserError("nothing is clicked yet");
        }
        return s;
    }

    /** In the size of the decoder's answer, where no picture has to be enlarged for it. */
    private static double stability(Candidate c) {
        int inner = 0;
        int outer = 0;
        for (float v : c.logits().values()) {
            inner += v > 1 ? 1 : 0;
            outer += v > -1 ? 1 : 0;
        }
        return outer == 0 ? 0 : (double) inner / outer;
    }

    @Override
    public void close() {
        picture.close();
    }
}
