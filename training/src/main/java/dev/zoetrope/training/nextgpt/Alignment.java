package dev.zoetrope.training.nextgpt;

import dev.zoetrope.models.nextgpt.NextGpt;
import dev.zoetrope.models.nextgpt.NextGpt.Kind;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * The two alignments of NExT-GPT, arXiv:2309.05519. Stage 1 teaches what a medium says, by its caption; stage 2 teaches
 * to say signal tokens behind a caption, and to think there what the decoder's own encoder makes of it.
 *
 * <p>Axes: B rows, T tokens, L width of the language model, V its vocabulary.
 */
public final class Alignment {
    /** A target that is not predicted. */
    public static final long IGNORED = -100;

    private static final String HUMAN = "### Human: ";
    private static final String ASSISTANT = "\n### Assistant: ";
    private static final String END = "\n###";

    private final NextGpt model;

    public Alignment(NextGpt model) {
        this.model = model;
    }

    /**
     * Rows of stage 1.
     *
     * @param embedded {@code [B, T, L]}
     * @param targets {@code [B, T]} INT64
     * @param mask {@code [B, T]} INT64, 1 for real tokens
     */
    public record MediaRows(Tensor embedded, Tensor targets, Tensor mask) {}

    /** @param media vectors of the media, {@code [B, encoder]}, one for each caption */
    public MediaRows mediaRows(Tensor media, List<String> captions, String instruction) {
        int rows = captions.size();
        long[] before = LongStream.concat(LongStream.of(model.start()), Arrays.stream(ids(HUMAN + "<Img>")))
                .toArray();
        long[] after = ids("</Img> " + instruction + ASSISTANT);
        Batch said = batch(captions.stream().map(c -> ids(c + END)).toList());
        try (Scope s = Scope.open()) {
            Tensor embedded = Tensor.cat(
                    1,
                    embed(repeated(before, rows)),
                    model.media(media).unsqueeze(1),
                    embed(repeated(after, rows)),
                    embed(said.ids));
            long silent = before.length + 1L + after.length;
            Tensor targets = Tensor.cat(1, filled(IGNORED, rows, silent), said.targets);
            return new MediaRows(
                    s.keep(embedded), s.keep(targets), s.keep(Tensor.cat(1, filled(1, rows, silent), said.mask)));
        }
    }

    /**
     * Rows of stage 2: a caption, and the caption again with signal tokens behind it.
     *
     * @param ids without the start and the first words, {@code [B, T']} INT64
     * @param targets with them, {@code [B, T]} INT64
     * @param mask {@code [B, T]} INT64
     */
    public record SignalRows(Tensor ids, Tensor targets, Tensor mask) {}

    public SignalRows signalRows(List<String> captions, Kind kind) {
        List<long[]> all = new ArrayList<>();
        List<Integer> silent = new ArrayList<>();
        for (String caption : captions) {
            long[] asked = ids(caption + ASSISTANT);
            silent.add(asked.length);
            all.add(join(asked, ids(caption + " " + model.signal(kind) + END)));
        }
        int rows = captions.size();
        int before = 1 + ids(HUMAN).length;
        Batch batch = batch(all);
        try (Scope s = Scope.open()) {
            Tensor place = Tensor.arange(batch.ids.size(1)).unsqueeze(0);
            long[] from = silent.stream().mapToLong(Integer::longValue).toArray();
            Tensor targets = batch.targets.maskedFill(place.lt(Tensor.of(from, rows, 1)), IGNORED);
            return new SignalRows(
                    s.keep(batch.ids),
                    s.keep(Tensor.cat(1, filled(IGNORED, rows, before), targets)),
                    s.keep(Tensor.cat(1, filled(1, rows, before), batch.mask)));
        }
    }

    /**
     * What stage 2 makes small, and how often the next token was right.
     *
     * @param loss both, the second weighted
     * @param language cross-entropy of the answer
     * @param alignment mean distance of the projected conditions from those of the decoder's own encoder
     * @param accuracy for reports only
     */
    public record Losses(Tensor loss, Tensor language, Tensor alignment, double accuracy) {}

    /**
     * @param conditions of the captions, by the decoder's own encoder: {@code [B, Q, C]}, of sound {@code [B, C]}
     * @param weight of the distance: 1, and 2 for video in the third stage
     */
    public Losses losses(SignalRows rows, Kind kind, Tensor conditions, double weight) {
        try (Scope s = Scope.open()) {
            long[] before = join(new long[] {model.start()}, ids(HUMAN));
            int n = (int) rows.ids.size(0);
            Tensor embedded = Tensor.cat(1, embed(repeated(before, n)), embed(rows.ids)); // [B, T, L]
            Tensor hidden = model.language().forward(embedded, rows.mask, null, null);
            Tensor logits = model.language().logits(hidden); // [B, T, V]
            long last = logits.size(1) - 1;
            Tensor language = Functional.crossEntropy(
                    logits.narrow(1, 0, last).flatten(0, 1),
                    rows.targets.narrow(1, 1, last).flatten(0, 1));

            Tensor places = places(rows, kind, before.length); // [B, S]
            Tensor states = at(hidden, places);
            Tensor projected = model.output(kind).forward(states, at(embedded, places));
            Tensor wanted = kind == Kind.AUDIO ? conditions.unsqueeze(1) : conditions;
            Tensor distance = projected.sub(wanted).norm(false, -1).mean();
            return new Losses(
                    s.keep(language.add(distance.mul(weight))),
                    s.keep(language),
                    s.keep(distance),
                    accuracy(logits, rows.targets));
        }
    }

    /** Of the places from the second on, as the release counts. */
    private static double accuracy(Tensor logits, Tensor targets) {
        long n = targets.size(1);
        Tensor chosen = logits.detach().argmax(-1).narrow(1, 1, n - 2);
        Tensor label = targets.narrow(1, 2, n - 2);
        Tensor valid = label.ne(IGNORED);
        Tensor right = chosen.eq(label).and(valid);
        return right.to(DType.FLOAT64).sum().item()
                / (valid.to(DType.FLOAT64).sum().item() + 1);
    }

    /** Where each row's signal tokens are, the words in front counted. */
    private Tensor places(SignalRows rows, Kind kind, int before) {
        List<Long> signal = model.config().signals().get(kind);
        long[] ids = rows.ids.toLongs();
        int width = (int) rows.ids.size(1);
        long[] r = new long[(int) rows.ids.size(0) * signal.size()];
        for (int row = 0, k = 0; k < r.length; row++) {
            for (int i = 0; i < width; i++) {
                if (signal.contains(ids[row * width + i])) {
                    r[k++] = (long) before + i;
                }
            }
        }
        return Tensor.of(r, rows.ids.size(0), signal.size());
    }

    private static Tensor at(Tensor x, Tensor places) { // [B, T, L], [B, S] -> [B, S, L]
        return x.gather(1, places.unsqueeze(2).expand(places.size(0), places.size(1), x.size(2)));
    }

    private long[] ids(String text) {
        return model.tokenizer().encodePlain(text);
    }

    private Tensor embed(Tensor ids) {
        return model.language().embed(ids);
    }

    private static long[] join(long[] a, long[] b) {
        return LongStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
    }

    private static Tensor repeated(long[] ids, int rows) {
        return Tensor.of(ids, 1, ids.length).repeat(rows, 1);
    }

    private static Tensor filled(long value, int rows, long width) {
        return Tensor.of(new long[] {value}, 1, 1).repeat(rows, width);
    }

    private record Batch(Tensor ids, Tensor targets, Tensor mask) {}

    /** Rows filled up on the right; what fills is no target. */
    private Batch batch(List<long[]> rows) {
        int width = rows.stream().mapToInt(r -> r.length).max().orElse(0);
        int n = rows.size();
        long[] ids = new long[n * width];
        long[] targets = new long[n * width];
        long[] mask = new long[n * width];
        Arrays.fill(ids, model.pad());
        Arrays.fill(targets, IGNORED);
        for (int i = 0; i < n; i++) {
            long[] row = rows.get(i);
            System.arraycopy(row, 0, ids, i * width, row.length);
            System.arraycopy(row, 0, targets, i * width, row.length);
            Arrays.fill(mask, i * width, i * width + row.length, 1);
        }
        return new Batch(Tensor.of(ids, n, width), Tensor.of(targets, n, width), Tensor.of(mask, n, width));
    }
}
