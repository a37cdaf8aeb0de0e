package dev.zoetrope.models.videopoet;

import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.videopoet.TokenTransformer.Place;
import dev.zoetrope.models.videopoet.TokenTransformer.Special;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A row of tokens in VideoPoet's order, put together part by part: {@code <bos> <task>} text and video that are given, then
 * the output. Parts that a task does not use are left out with their marks, not filled.
 *
 * <p>Axes as in {@link TokenTransformer}; C places of the prefix.
 */
final class Sequence {
    private final TokenTransformer model;
    private final Canvas canvas;
    private final long rows;
    private final List<Tensor> vectors = new ArrayList<>(); // [B, n, D]
    private final List<Place> places = new ArrayList<>();
    private @Nullable Tensor words; // [B, L] BOOL
    private int wordsAt;
    private int prefix;

    private Sequence(TokenTransformer model, Canvas canvas, long rows) {
        this.model = model;
        this.canvas = canvas;
        this.rows = rows;
    }

    /**
     * The prefix.
     *
     * @param caption null where the task has none
     * @param video given codes {@code [B, P, h, w, K]}; null for none
     */
    static Sequence prefix(
            TokenTransformer model,
            Task task,
            Canvas canvas,
            long rows,
            CaptionEncoder.@Nullable Encoded caption,
            @Nullable Tensor video) {
        Sequence q = new Sequence(model, canvas, rows);
        q.special(Special.BEGIN);
        q.special(task.token());
        if (caption != null) {
            q.special(Special.TEXT_IN);
            q.wordsAt = q.places.size() + (int) caption.pooled().size(1);
            q.words = caption.present();
            Tensor text = model.text(caption);
            q.add(text, java.util.Collections.nCopies((int) text.size(1), Place.NOWHERE));
            q.special(Special.TEXT_IN_END);
        }
        if (video != null) {
            q.special(Special.VIDEO_IN);
            q.add(model.visual(video.flatten(1, 3)), q.seen());
            q.special(Special.VIDEO_IN_END);
        }
        q.prefix = q.places.size();
        return q;
    }

    /** Adds the output's video: its mark, then codes {@code [B, n, K]}. Returns where the mark is. */
    int video(Tensor codes) {
        int at = special(Special.VIDEO_OUT);
        add(model.visual(codes), seen());
        return at;
    }

    /** Adds the output's sound: the video's end if there was one, its mark, then delayed codes. Returns where the mark is. */
    int sound(Tensor delayed) {
        if (places.size() > prefix) {
            special(Special.VIDEO_OUT_END);
        }
        int at = special(Special.AUDIO_OUT);
        add(model.audio(delayed), heard());
        return at;
    }

    List<Place> seen() {
        List<Place> r = new ArrayList<>();
        for (int i = 0; i < canvas.visual(); i++) {
            int inPlane = i % (canvas.rows() * canvas.columns());
            r.add(Place.seen(
                    i / (canvas.rows() * canvas.columns()), inPlane / canvas.columns(), inPlane % canvas.columns()));
        }
        return r;
    }

    List<Place> heard() {
        List<Place> r = new ArrayList<>();
        for (int i = 0; i < model.config().audioPlaces(canvas.steps()); i++) {
            r.add(Place.heard(i));
        }
        return r;
    }

    private int special(int id) {
        add(model.special(id, rows), List.of(Place.NOWHERE));
        return places.size() - 1;
    }

    private void add(Tensor part, List<Place> at) {
        vectors.add(part);
        places.addAll(at);
    }

    int length() {
        return places.size();
    }

    /** Vectors with their places told, {@code [B, T, D]}. */
    Tensor embedded() {
        return Tensor.cat(1, vectors).add(model.places(places, following(places, prefix)));
    }

    Tensor angles() {
        return model.angles(places);
    }

    /** The place that each predicts: in the prefix none, in the output the next. */
    static List<Place> following(List<Place> places, int prefix) {
        List<Place> r = new ArrayList<>(places.size());
        for (int i = 0; i < places.size(); i++) {
            r.add(i < prefix || i + 1 == places.size() ? Place.NOWHERE : places.get(i + 1));
        }
        return r;
    }

    /** Which places are real, padding of words left out, for T places in all; {@code [B, T]} INT64. */
    Tensor present(int all) {
        Tensor ones = Tensor.ones(rows, all).to(DType.INT64);
        if (words == null) {
            return ones;
        }
        long behind = wordsAt + words.size(1);
        return Tensor.cat(1, ones.narrow(1, 0, wordsAt), words.to(DType.INT64), ones.narrow(1, behind, all - behind));
    }

    /** What each place sees: the prefix all of the prefix, the output all before it. {@code [B, T, T]} INT64. */
    Tensor mask() {
        int n = length();
        Tensor place = Tensor.arange(n);
        Tensor sees = place.unsqueeze(0)
                .le(place.unsqueeze(1))
                .or(place.lt((long) prefix).unsqueeze(0)); // [T, T]
        return present(n).unsqueeze(1).mul(sees.to(DType.INT64).unsqueeze(0));
    }

    /** {@code [B, Q, F]} to {@code [B, F + Q - 1, Q]}, each codebook a step later than the one before; -1 fills. */
    static Tensor delayed(Tensor codes) {
        int b = (int) codes.size(0);
        int q = (int) codes.size(1);
        int f = (int) codes.size(2);
        long[] from = codes.toLongs();
        long[] to = new long[b * (f + q - 1) * q];
        java.util.Arrays.fill(to, -1);
        for (int i = 0; i < from.length; i++) {
            int row = i / (q * f);
            int codebook = i / f % q;
            to[(row * (f + q - 1) + i % f + codebook) * q + codebook] = from[i];
        }
        return Tensor.of(to, b, f + q - 1, q);
    }

    /** The other way round. */
    static Tensor together(Tensor delayed) {
        int q = (int) delayed.size(2);
        long f = delayed.size(1) - q + 1;
        List<Tensor> r = new ArrayList<>();
        for (int k = 0; k < q; k++) {
            r.add(delayed.select(2, k).narrow(1, k, f));
        }
        return Tensor.stack(1, r);
    }
}
