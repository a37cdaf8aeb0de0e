package dev.zoetrope.training.pictures;

import dev.zoetrope.media.CaptionedPictures;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Resize;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * People's pictures, read as a stream, epoch after epoch. They are resized until the shorter side fits and cut to the
 * middle. A sample that cannot be read is counted and told of, and another one of its batch takes its place, so that
 * which samples a batch has does not depend on which of them are broken.
 */
final class FileData implements PictureData {
    private static final Pattern BETWEEN_WORDS = Pattern.compile("[^\\p{L}\\p{N}]+");
    private static final int TOLD = 5; // broken samples that are told one by one

    private final CaptionedPictures source;
    private final boolean flip;
    private final long seed;
    private final Shape shape;
    private final TrainingListener listener;

    private final Map<Long, List<CaptionedPictures.Sample>> ready = new HashMap<>();
    private CaptionedPictures.@Nullable Samples epoch;
    private long epochs; // begun
    private long inEpoch; // samples taken from the one that runs
    private long next = -1; // number of the batch to read next
    private long broken;
    private @Nullable Survey survey;

    /** What a first pass over all captions and classes finds. */
    private record Survey(List<String> classes, Set<String> words) {}

    FileData(CaptionedPictures source, boolean flip, long seed, Shape shape, TrainingListener listener) {
        this.source = source;
        this.flip = flip;
        this.seed = seed & 0xffffffffL;
        this.shape = shape;
        this.listener = listener;
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public List<String> classes() {
        return survey().classes();
    }

    @Override
    public Set<String> words() {
        return survey().words();
    }

    private synchronized Survey survey() {
        Survey known = survey;
        if (known != null) {
            return known;
        }
        Set<String> labels = new TreeSet<>((a, b) -> a.matches("\\d{1,9}") && b.matches("\\d{1,9}")
                ? Integer.compare(Integer.parseInt(a), Integer.parseInt(b))
                : a.compareTo(b));
        Set<String> words = new TreeSet<>();
        try (CaptionedPictures.Samples all = source.samples(-1)) {
            while (all.hasNext()) {
                CaptionedPictures.Sample s = all.next();
                labels.add(s.label());
                BETWEEN_WORDS
                        .splitAsStream(s.caption().toLowerCase(Locale.ROOT))
                        .filter(word -> !word.isEmpty())
                        .forEach(words::add);
            }
        }
        Survey found = new Survey(List.copyOf(labels), words);
        survey = found;
        return found;
    }

    @Override
    public Batch batch(Trainer.Share share) {
        long number = share.number();
        return batch(samples(number, share.of()), new Random(seed * 0x9E3779B97F4A7C15L + number));
    }

    @Override
    public Batch shown(int count) {
        List<CaptionedPictures.Sample> some = new ArrayList<>();
        try (CaptionedPictures.Samples all = source.samples(-1)) {
            while (some.size() < count && all.hasNext()) {
                some.add(all.next());
            }
        }
        return batch(some, null);
    }

    @Override
    public Latents latents(UnaryOperator<Tensor> encoder) {
        return new Latents() {
            @Override
            public Batch batch(Trainer.Share share) {
                try (Autograd.Mode off = Autograd.off();
                        Scope s = Scope.open()) {
                    Batch pictures = FileData.this.batch(share);
                    return pictures.with(s.keep(encoder.apply(pictures.values())));
                }
            }

            @Override
            public void close() {
                // nothing is kept
            }
        };
    }

    /** Workers ask for the batches of a step in any order; a run that goes on starts in the middle. */
    private synchronized List<CaptionedPictures.Sample> samples(long number, int shares) {
        if (next < 0) {
            next = number / shares * shares;
            skip(next * shape.batch());
        }
        while (next <= number) {
            List<CaptionedPictures.Sample> batch = new ArrayList<>();
            while (batch.size() < shape.batch()) {
                batch.add(sample());
            }
            ready.put(next++, batch);
        }
        ready.keySet().removeIf(n -> n < number - shares); // those of other processes
        List<CaptionedPictures.Sample> r = ready.remove(number);
        if (r == null) {
            throw new IllegalStateException("batch " + number + " was asked for twice");
        }
        return r;
    }

    private CaptionedPictures.Sample sample() {
        while (true) {
            CaptionedPictures.Samples now = epoch;
            if (now == null) {
                now = source.samples(seed + epochs++);
                epoch = now;
                inEpoch = 0;
            }
            if (now.hasNext()) {
                inEpoch++;
                return now.next();
            }
            now.close();
            epoch = null;
            if (inEpoch == 0) {
                throw new UserError(source.path() + ": holds no pictures");
            }
        }
    }

    private void skip(long samples) {
        long left = samples;
        long before = epochs;
        while (left > 0) {
            sample();
            left--;
            if (left > 0 && epoch != null && !epoch.hasNext() && epochs == before + 1) {
                // An epoch's length is known now: whole ones need not be read.
                epochs += left / inEpoch;
                left %= inEpoch;
                epoch.close();
                epoch = null;
            }
        }
    }

    private Batch batch(List<CaptionedPictures.Sample> samples, @Nullable Random random) {
        List<Image> pictures = new ArrayList<>();
        List<CaptionedPictures.Sample> good = new ArrayList<>();
        UserError last = null;
        for (CaptionedPictures.Sample s : samples) {
            try {
                pictures.add(fitted(s.image()));
                good.add(s);
            } catch (UserError e) {
                last = e;
                tell(e);
            }
        }
        if (good.isEmpty()) {
            throw new UserError(
                    source.path() + ": none of the " + samples.size() + " pictures of a batch can be read; the last: "
                            + (last == null ? "there is none" : last.getMessage()),
                    last);
        }
        List<Tensor> values = new ArrayList<>();
        List<String> captions = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        try (Scope scope = Scope.open()) {
            for (int i = 0; i < samples.size(); i++) {
                int from = i % good.size(); // broken ones are filled up with good ones
                Tensor one = Pixels.of(pictures.get(from), shape.width(), shape.height(), Filter.LANCZOS);
                values.add(flip && random != null && random.nextBoolean() ? one.flip(3) : one);
                captions.add(good.get(from).caption());
                Survey known = survey;
                labels.add(
                        known == null
                                ? 0
                                : known.classes().indexOf(good.get(from).label()));
            }
            return new Batch(scope.keep(Tensor.cat(0, values)), captions, labels);
        }
    }

    private Image fitted(Image picture) {
        double scale = Math.max((double) shape.width() / picture.width(), (double) shape.height() / picture.height());
        int width = Math.max(shape.width(), (int) Math.round(picture.width() * scale));
        int height = Math.max(shape.height(), (int) Math.round(picture.height() * scale));
        Image resized = Resize.to(picture, width, height, Filter.LANCZOS);
        return resized.crop((width - shape.width()) / 2, (height - shape.height()) / 2, shape.width(), shape.height());
    }

    private synchronized void tell(UserError e) {
        broken++;
        if (broken <= TOLD) {
            listener.message("skipped: " + e.getMessage());
        }
    }

    @Override
    public synchronized Map<String, Object> remarks() {
        return broken == 0 ? Map.of() : Map.of("pictures that could not be read", broken);
    }

    @Override
    public synchronized void close() {
        if (epoch != null) {
            epoch.close();
            epoch = null;
        }
    }
}
