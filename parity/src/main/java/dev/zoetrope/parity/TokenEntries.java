package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.chameleon.Chameleon;
import dev.zoetrope.models.dac.Dac;
import dev.zoetrope.models.emu3.Emu3;
import dev.zoetrope.models.emu3.Emu3Tokenizer;
import dev.zoetrope.models.encodec.EnCodec;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.Generation.Options;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.musicgen.DelayPattern;
import dev.zoetrope.models.musicgen.MusicGen;
import dev.zoetrope.models.quantize.Fsq;
import dev.zoetrope.models.quantize.Lfq;
import dev.zoetrope.models.quantize.Quantized;
import dev.zoetrope.models.quantize.ResidualFsq;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;

/** Pictures, videos and sound as tokens, and language models over them. */
final class TokenEntries {
    private static final int NEW_TOKENS = 6; // of the chats, whose cases do not say

    private TokenEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("lfq.quantize", TokenEntries::lfq);
        entries.put("lfq.loss", TokenEntries::lfqGradients);
        entries.put("fsq.quantize", (c, answers) -> {
            Fsq fsq = quantizer(c, (json, w) -> new Fsq(Fsq.Config.of(json), w));
            put(answers, fsq.quantize(c.input("features")), fsq::decode);
        });
        entries.put("fsq.residual", (c, answers) -> {
            ResidualFsq fsq = quantizer(c, (json, w) -> new ResidualFsq(ResidualFsq.Config.of(json), w));
            put(answers, fsq.quantize(c.input("features")), fsq::decode);
        });
        entries.put("emu3_vq.image", TokenEntries::emu3Picture);
        entries.put("emu3_vq.video", TokenEntries::emu3Video);
        entries.put("encodec.encode_decode", TokenEntries::encodec);
        entries.put("encodec.encode_decode_chunked", TokenEntries::encodecPieces);
        entries.put("dac.encode_decode", TokenEntries::dac);
        entries.put("emu3.generate_image", TokenEntries::emu3Write);
        entries.put("emu3.chat", TokenEntries::emu3Chat);
        entries.put("chameleon.chat", TokenEntries::chameleon);
        entries.put("musicgen.generate", TokenEntries::musicgen);
    }

    /** Quantisers are parts of models: their files hold nothing but projections, or are missing. */
    private static <Q> Q quantizer(Case c, BiFunction<Json, Weights, Q> of) {
        Json json = Json.read(c.model().resolve("config.json"));
        boolean stored = Files.exists(c.model().resolve("model.safetensors"));
        try (Checkpoint file = stored ? Checkpoint.open(c.model()) : Checkpoint.describe(c.name(), Map.of())) {
            return of.apply(json, Weights.load(file));
        }
    }

    /** Decoding the indices must give the values again. */
    private static void put(Answers answers, Quantized q, UnaryOperator<Tensor> decode) {
        answers.put("quantized", q.values());
        answers.put("indices", q.indices());
        answers.near(
                "decoded",
                0,
                decode.apply(q.indices()).sub(q.values()).abs().max().item(),
                1e-2);
    }

    private static void lfq(Case c, Answers answers) {
        Lfq lfq = quantizer(c, (json, w) -> new Lfq(Lfq.Config.of(json), w));
        put(answers, lfq.quantize(c.input("features")), lfq::decode);
        Json p = c.params();
        Lfq.Losses losses = lfq.losses(
                c.input("features"),
                new Lfq.LossWeights(
                        p.get("inv_temperature", Lfq.LossWeights.DEFAULT.inverseTemperature()),
                        p.get("diversity_gamma", Lfq.LossWeights.DEFAULT.diversity()),
                        p.get("entropy_loss_weight", Lfq.LossWeights.DEFAULT.entropyWeight()),
                        p.get("commitment_loss_weight", Lfq.LossWeights.DEFAULT.commitmentWeight())));
        answers.put("per_sample_entropy", losses.perSample());
        answers.put("batch_entropy", losses.batch());
        answers.put("commitment", losses.commitment());
        answers.put("aux_loss", losses.total());
    }

    private static void lfqGradients(Case c, Answers answers) {
        Json p = c.params();
        int bits = p.requireInt("bits");
        Lfq lfq = new Lfq(new Lfq.Config(bits, bits, 1, 1, false), Weights.record());
        Quantized q = lfq.quantize(c.input("z"));
        answers.put("indices", q.indices());
        answers.put("quantized", q.values());
        for (double t : p.get("inv_temperatures", new double[0])) {
            Tensor z = c.input("z").copy().requireGrad(true);
            try (Autograd.Mode on = Autograd.on()) {
                Lfq.Losses losses = lfq.losses(
                        z,
                        new Lfq.LossWeights(
                                t,
                                p.get("diversity_gamma", 1.0),
                                p.get("entropy_weight", 0.1),
                                p.get("commit_weight", 0.25)));
                losses.total().backward();
                String name = t == Math.rint(t) ? String.valueOf((long) t) : String.valueOf(t);
                answers.put("commit", losses.commitment().detach());
                answers.put("per_sample_entropy." + name, losses.perSample().detach());
                answers.put("codebook_entropy." + name, losses.batch().detach());
                answers.put("aux." + name, losses.total().detach());
                answers.put("grad." + name, Objects.requireNonNull(z.grad()));
            }
        }
    }

    private static void emu3Picture(Case c, Answers answers) {
        try (Emu3Tokenizer tokenizer = Emu3Tokenizer.load(c.model())) {
            Emu3Tokenizer.Codes codes = tokenizer.encodePicture(c.input("pixel_values"));
            Tensor picture = codes.codes().select(1, 0);
            answers.put("codes", picture);
            answers.put("last_hidden_state", codes.hidden());
            answers.put("decoded", tokenizer.decodePicture(picture));
        }
    }

    private static void emu3Video(Case c, Answers answers) {
        try (Emu3Tokenizer tokenizer = Emu3Tokenizer.load(c.model())) {
            Emu3Tokenizer.Codes codes = tokenizer.encode(c.input("pixel_values"));
            answers.put("codes", codes.codes());
            answers.put("last_hidden_state", codes.hidden());
            answers.put("decoded", tokenizer.decode(codes.codes()));
        }
    }

    private static void encodec(Case c, Answers answers) {
        try (EnCodec codec = EnCodec.load(c.model())) {
            answers.put("embeddings", codec.embeddings(c.input("audio")));
            for (double bandwidth : c.params().get("bandwidths", new double[0])) {
                EnCodec.Codes codes = codec.encode(c.input("audio"), bandwidth);
                answers.put("codes_" + bandwidth, codes.codes());
                answers.put("audio_" + bandwidth, codec.decode(codes));
            }
        }
    }

    private static void encodecPieces(Case c, Answers answers) {
        try (EnCodec codec = EnCodec.load(c.model())) {
            Tensor audio = c.input("audio");
            EnCodec.Codes codes = codec.encode(
                    audio, c.optionalInput("padding_mask"), c.params().get("bandwidth", 0.0));
            answers.put("codes", codes.codes());
            if (codes.scales() != null) {
                answers.put("scales", codes.scales());
            }
            Tensor decoded = codec.decode(codes);
            answers.put("audio", decoded.narrow(2, 0, Math.min(decoded.size(2), audio.size(2))));
        }
    }

    private static void dac(Case c, Answers answers) {
        try (Dac dac = Dac.load(c.model())) {
            Dac.Codes codes = dac.encode(c.input("audio"));
            answers.put("codes", codes.codes());
            answers.put("quantized", codes.quantized());
            answers.put("projected_latents", codes.latents());
            answers.put("audio", dac.decode(codes.codes()).select(1, 0));
        }
    }

    private static void emu3Write(Case c, Answers answers) {
        Json p = c.params();
        Tensor ids = c.input("input_ids");
        try (Emu3 model = Emu3.load(c.model())) {
            int height = p.requireInt("height");
            int width = p.requireInt("width");
            Emu3.Marks marks =
                    new Emu3.Marks(p.requireInt("eol"), p.requireInt("eof"), p.requireInt("eoi"), p.requireInt("eos"));
            Tensor written = model.write(ids, height, width, marks, Options.greedy(1));
            answers.put("logits", model.logits(ids));
            answers.put("new_tokens", written);
            answers.put("image", model.picture(written, height, width));
            answers.put("free_tokens", greedy(model.language(), ids, 8));
        }
    }

    private static void emu3Chat(Case c, Answers answers) {
        try (Emu3 model = Emu3.load(c.model())) {
            Tensor words = model.imageTokens(c.input("pixel_values"));
            Tensor ids = model.config().words().put(c.input("input_ids"), words);
            answers.put("image_tokens", words.flatten(0));
            answers.put("logits", model.logits(ids));
            answers.put("new_tokens", greedy(model.language(), ids, NEW_TOKENS));
        }
    }

    private static void chameleon(Case c, Answers answers) {
        try (Chameleon model = Chameleon.load(c.model())) {
            Tensor words = model.imageTokens(c.input("pixel_values"));
            Tensor ids = model.config().words().put(c.input("input_ids"), words);
            Tensor logits = model.logits(model.forward(model.embed(ids), null, null, null));
            int firstCode = Arrays.stream(model.config().words().all()).min().orElse(0);
            answers.put("image_tokens", words);
            answers.put("text_logits", logits.narrow(2, 0, firstCode));
            answers.put("new_tokens", greedy(model, ids, NEW_TOKENS));
        }
    }

    private static Tensor greedy(LanguageModel model, Tensor ids, int count) {
        return Generation.run(model, ids, null, Options.greedy(count).withEnds(Set.of(), 0));
    }

    private static void musicgen(Case c, Answers answers) {
        Json p = c.params();
        try (MusicGen model = MusicGen.load(c.model())) {
            Tensor mask = c.input("attention_mask");
            Tensor text = model.read(c.input("input_ids"), mask);
            int codebooks = model.config().codebooks();
            Tensor codes = c.input("decoder_input_ids").unflatten(0, -1, codebooks);
            DelayPattern pattern = new DelayPattern(
                    codebooks,
                    p.requireInt("max_new_tokens") + 1,
                    model.config().stereo(),
                    p.get("start_token", model.config().start()));
            Tensor written = model.write(
                    text,
                    mask,
                    pattern,
                    new MusicGen.Options(pattern.frames(), p.get("guidance_scale", 3.0), Sampling.GREEDY, 0));
            answers.put("logits", model.logits(codes, text, mask, null).flatten(0, 1));
            answers.put("delay_pattern", pattern.table());
            answers.put("codes", written);
            answers.put("audio", model.sound(written));
        }
    }
}
