package dev.zoetrope.training.videopoet;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.videopoet.SoundTokenizer;
import dev.zoetrope.models.videopoet.Spectrum;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.sora.SoraData;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Sound;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Trains the sound tokenizer on the world's sounds: magnitudes at several resolutions, straight and as logarithms
 * (arXiv:2107.03312), what ties vectors to tables, and the pitch, which the world knows and which no spectrum teaches from
 * far away.
 */
final class SoundStage implements Trainer.Objective, AutoCloseable {
    /** Hops of the compared spectra; their windows are four times as long. */
    private static final int[] HOPS = {16, 60, 250};

    private static final int OVERLAP = 4;
    private static final double LEAST = 1e-3;

    private final SoundTokenizer model;
    private final World world;
    private final int batch;
    private final double spectralWeight;
    private final double pitchWeight;
    private final List<Spectrum> spectra = new ArrayList<>();

    SoundStage(SoundTokenizer model, SoraData data, Json j) {
        this.model = model;
        world = data.world(data.buckets().get(0));
        batch = j.get("batch", 8);
        spectralWeight = j.get("spectral_weight", 30.);
        pitchWeight = j.get("pitch_weight", 1.);
        for (int hop : HOPS) {
            spectra.add(new Spectrum(hop, OVERLAP, hop * OVERLAP / 2));
        }
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        long first = share.number() * batch;
        List<Scene> scenes =
                IntStream.range(0, batch).mapToObj(i -> world.scene(first + i)).toList();
        Tensor sound = sounds(scenes, model.config());
        SoundTokenizer.Trained t = model.reconstruct(sound);
        Tensor loss = t.tie();
        metrics.add("tie", t.tie().item());
        Tensor straight = Tensor.scalarOf(0);
        Tensor logarithms = Tensor.scalarOf(0);
        for (int i = 0; i < HOPS.length; i++) {
            long length = sound.size(1) / HOPS[i] * HOPS[i];
            Tensor a = spectra.get(i).of(sound.narrow(1, 0, length));
            Tensor b = spectra.get(i).of(t.sound().narrow(1, 0, length));
            straight = straight.add(a.sub(b).abs().mean());
            logarithms = logarithms.add(
                    a.add(LEAST).log().sub(b.add(LEAST).log()).abs().mean());
        }
        Tensor pitch =
                t.octaves().sub(octaves(scenes, t.octaves().size(1))).abs().mean();
        metrics.add("spectra", straight.item());
        metrics.add("log_spectra", logarithms.item());
        metrics.add("pitch_semitones", 12 * pitch.item());
        return loss.add(straight.mul(spectralWeight)).add(logarithms).add(pitch.mul(pitchWeight));
    }

    /** What scenes sound like, {@code [B, L]}, filled up to whole frames. */
    static Tensor sounds(List<Scene> scenes, SoundTokenizer.Config c) {
        List<float[]> all =
                scenes.parallelStream().map(s -> s.sound().samples()[0]).toList();
        int length = c.frames(all.get(0).length) * c.hop();
        float[] f = new float[all.size() * length];
        for (int i = 0; i < all.size(); i++) {
            System.arraycopy(all.get(i), 0, f, i * length, all.get(i).length);
        }
        return Tensor.of(f, all.size(), length);
    }

    private Tensor octaves(List<Scene> scenes, long steps) { // [B, S]
        float[] f = new float[(int) (scenes.size() * steps)];
        double each = (double) model.config().hop()
                / SoundTokenizer.SUBFRAMES
                / model.config().rate();
        int at = 0;
        for (Scene scene : scenes) {
            for (int s = 0; s < steps; s++) {
                double hertz = Sound.pitch(scene, scene.sprites().get(0), (s + .5) * each);
                f[at++] = (float) SoundTokenizer.octaves(hertz);
            }
        }
        return Tensor.of(f, scenes.size(), steps);
    }

    @Override
    public void close() {
        spectra.forEach(Spectrum::close);
    }
}
