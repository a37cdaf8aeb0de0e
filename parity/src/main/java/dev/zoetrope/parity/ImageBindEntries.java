package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.AudioResample;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.imagebind.ImageBind;
import dev.zoetrope.models.imagebind.ImageBindInputs;
import dev.zoetrope.models.imagebind.ImageBindInputs.Bands;
import dev.zoetrope.models.imagebind.ImageBindInputs.Clips;
import dev.zoetrope.models.imagebind.Modality;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.Map;

/** ImageBind's towers, and what files become before them. */
final class ImageBindEntries {
    private ImageBindEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("imagebind.encode", ImageBindEntries::encode);
        entries.put("imagebind.audio", ImageBindEntries::audio);
        entries.put("imagebind.video", ImageBindEntries::video);
        entries.put("imagebind.image", ImageBindEntries::image);
        entries.put("audio.resample", ImageBindEntries::resample);
    }

    private static void encode(Case c, Answers answers) {
        String name = c.params().require("modality");
        Modality m = Modality.of(name);
        Tensor input = c.input(name);
        try (ImageBind model = ImageBind.load(c.model())) {
            Tensor tokens = model.tokens(m, input);
            boolean clips = m == Modality.AUDIO || input.dim() == 6;
            answers.put("tokens", firstClips(tokens, clips));
            answers.put("block0", firstClips(model.hidden(m, tokens, 1), clips));
            answers.put("trunk", firstClips(model.hidden(m, tokens, -1), clips));
            answers.put("embedding", model.embed(m, input));
        }
    }

    /** The cases keep two. */
    private static Tensor firstClips(Tensor all, boolean clips) {
        return clips ? all.narrow(0, 0, Math.min(2, all.size(0))) : all;
    }

    private static void audio(Case c, Answers answers) {
        Json p = c.params();
        Bands bands = new Bands(
                p.requireInt("sample_rate"),
                p.requireInt("mel_bins"),
                p.requireInt("frames"),
                p.get("mean", 0.),
                p.get("std", 1.));
        Audio sound = sound(c.input("waveform"), bands.rate());
        double seconds = p.get("clip_duration", 2.);
        Clips clips = new Clips(p.requireInt("clips"), seconds, true);
        double duration = (double) sound.length() / bands.rate();
        answers.put("clip_starts", numbers(clips.starts(duration)));
        answers.put("clip_starts_nextgpt", numbers(new Clips(clips.clips(), seconds, false).starts(duration)));
        answers.put(
                "fbank_first_clip", ImageBindInputs.banks(sound, clips, bands).get(0));
        answers.put("audio", ImageBindInputs.audio(sound, clips, bands));
    }

    private static void video(Case c, Answers answers) {
        Json p = c.params();
        int size = p.requireInt("size");
        Tensor scaled = ImageBindInputs.scaled(c.input("frames"), size, p.requireInt("frames"));
        answers.put("scaled", scaled);
        answers.put("crops", ImageBindInputs.crops(scaled, size));
        Clips clips = new Clips(p.requireInt("clips"), p.get("clip_duration", 2.), true);
        answers.put("clip_starts", numbers(clips.starts(p.get("duration", 0.))));
    }

    private static void image(Case c, Answers answers) {
        answers.put(
                "image",
                ImageBindInputs.image(Images.read(c.file("image")), c.params().requireInt("size")));
    }

    private static void resample(Case c, Answers answers) {
        int to = c.params().requireInt("to");
        for (int from : new int[] {c.params().requireInt("from"), 44100}) {
            String name = from == 44100 ? "resampled_44100" : "resampled";
            answers.put(name, tensor(AudioResample.to(sound(c.input("waveform"), from), to)));
        }
    }

    private static Audio sound(Tensor channels, int rate) {
        float[][] samples = new float[(int) channels.size(0)][];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = channels.select(0, i).contiguous().toFloats();
        }
        return new Audio(samples, rate);
    }

    private static Tensor tensor(Audio sound) {
        Tensor[] channels = new Tensor[sound.channels()];
        for (int i = 0; i < channels.length; i++) {
            channels[i] = Tensor.of(sound.samples()[i], sound.length());
        }
        return Tensor.stack(0, channels);
    }

    private static double[] numbers(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
