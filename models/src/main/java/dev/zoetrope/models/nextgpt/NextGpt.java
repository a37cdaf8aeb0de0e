package dev.zoetrope.models.nextgpt;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/**
 * NExT-GPT, arXiv:2309.05519, first release: a language model to which a medium is one token, projected from ImageBind's
 * vector, and which says signal tokens where a picture, a video or a sound belongs. What it thinks there, projected,
 * steers a decoder: Stable Diffusion, Zeroscope or AudioLDM.
 *
 * <p>A folder holds the trained parts ({@code config.json}, weights) and the language model with its tokenizer in
 * {@code llm}. Axes: B rows, T tokens, L width of the language model. Not for use by several threads at once.
 */
public final class NextGpt implements AutoCloseable {
    private static final String TURN = "\n### Assistant:";

    /** What it can answer with besides words, in the order in which an answer is drawn. */
    public enum Kind {
        IMAGE("img", "gen_text_hidden_fcs", "IMG"),
        VIDEO("video", "gen_text_hidden_fcs_video", "VID"),
        AUDIO("audio", "gen_text_hidden_fcs_audio", "AUD");

        private final String key;
        private final String path;
        private final String token;

        Kind(String key, String path, String token) {
            this.key = key;
            this.path = path;
            this.token = token;
        }
    }

    /**
     * @param signals ids of the signal tokens of each kind
     * @param places of the condition of pictures and videos; of sound there is one
     * @param widths of the conditions
     * @param encoder width of a medium's vector
     */
    public record Config(
            Map<Kind, List<Long>> signals, int hidden, int heads, int places, Map<Kind, Integer> widths, int encoder) {
        public Config {
            signals = Map.copyOf(signals);
            widths = Map.copyOf(widths);
        }

        public static Config of(Json j) {
            Map<Kind, List<Long>> signals = new EnumMap<>(Kind.class);
            int next = 32002; // behind Vicuna's vocabulary and <Img>, </Img>
            for (Kind kind : Kind.values()) {
                if (!Arrays.equals(j.get("text_emb_to_" + kind.key + "_layers", new int[] {-1}), new int[] {-1})) {
                    throw j.unsupported("text_emb_to_" + kind.key + "_layers", "[-1]");
                }
                int n = j.get(
                        "num_gen_" + kind.key + "_tokens",
                        switch (kind) {
                            case IMAGE -> 4;
                            case VIDEO -> 24;
                            case AUDIO -> 8;
                        });
                int first = next;
                next += n;
                int[] absent = new int[n];
                Arrays.setAll(absent, i -> first + i);
                int[] ids = j.get("gen_" + kind.key + "_token_idx", absent);
                Check.equal(
                        n, ids.length, "num_gen_" + kind.key + "_tokens", "length of gen_" + kind.key + "_token_idx");
                signals.put(kind, Arrays.stream(ids).mapToObj(Long::valueOf).toList());
            }
            return new Config(
                    signals,
                    j.get("fc_hidden_dim", 512),
                    j.get("fc_heads", 4),
                    j.get("num_clip_tokens", 77),
                    Map.of(
                            Kind.IMAGE, j.get("image_condition_dim", 768),
                            Kind.VIDEO, j.get("video_condition_dim", 1024),
                            Kind.AUDIO, j.get("audio_condition_dim", 512)),
                    j.get("encoder_dim", 1024));
        }

        OutputProjection.Config projection(Kind kind, int language) {
            int of = kind == Kind.AUDIO ? 1 : places;
            return new OutputProjection.Config(language, hidden, heads, of, widths.get(kind));
        }
    }

    private final Config config;
    private final Weights weights;
    private final LanguageModel language;
    private final Tokenizer tokenizer;
    private final Linear mediaIn;
    private final Map<Kind, OutputProjection> outputs = new EnumMap<>(Kind.class);

    public NextGpt(Config c, Weights w, LanguageModel language, Tokenizer tokenizer) {
        config = c;
        weights = w;
        this.language = language;
        this.tokenizer = tokenizer;
        mediaIn = new Linear(w.at("llama_proj"), c.encoder, language.width());
        for (Kind kind : Kind.values()) {
            outputs.put(
                    kind,
                    new OutputProjection(
                            c.projection(kind, language.width()),
                            w.at(kind.path).at("0")));
        }
    }

    public static NextGpt load(Path folder) {
        LanguageModel language = LanguageModel.load(folder.resolve("llm"));
        try {
            Tokenizer tokenizer = Tokenizer.open(folder.resolve("llm"));
            try {
                return Pretrained.load(folder, (json, w) -> new NextGpt(Config.of(json), w, language, tokenizer));
            } catch (RuntimeException e) {
                tokenizer.close();
                throw e;
            }
        } catch (RuntimeException e) {
            language.close();
            throw e;
        }
    }

    public Config config() {
        return config;
    }

    public LanguageModel language() {
        return language;
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    public OutputProjection output(Kind kind) {
        return outputs.get(kind);
    }

    /** The signal tokens of a kind as text, joined by blanks. */
    public String signal(Kind kind) {
        return LongStream.range(0, config.signals.get(kind).size())
                .mapToObj(i -> "[" + kind.token + i + "]")
                .collect(Collectors.joining(" "));
    }

    /** Vectors of media as tokens, {@code [B, encoder] -> [B, L]}. */
    public Tensor media(Tensor vectors) {
        return mediaIn.forward(vectors);
    }

    /** What the language model reads of a text: a start id, then the text; {@code [1, T, L]}. */
    public Tensor prompt(String text) {
        return words(text + TURN, true);
    }

    /** A piece of text as the language model reads it, with a start id in front or without; {@code [1, T, L]}. */
    public Tensor words(String text, boolean starts) {
        long[] words = tokenizer.encodePlain(text);
        long[] ids = starts
                ? LongStream.concat(LongStream.of(start()), Arrays.stream(words))
                        .toArray()
                : words;
        try (Scope s = Scope.open()) {
            return s.keep(language.embed(Tensor.of(ids, 1, ids.length)));
        }
    }

    /** Id with which each text begins. */
    public long start() {
        return tokenizer.specialId("bos_token");
    }

    /** Id that fills up rows: the one that ends texts. */
    public long pad() {
        return tokenizer.specialId("eos_token");
    }

    /**
     * Something that a decoder shall make.
     *
     * @param caption what was said up to it, and its signal tokens
     * @param hidden states at these, {@code [1, S, L]}
     * @param condition {@code [1, Q, C]}; of sound {@code [1, C]}
     */
    public record Wish(Kind kind, String caption, Tensor hidden, Tensor condition) {}

    /**
     * @param ids what was said, the id that ended it included
     * @param wishes pictures first, then videos, then sounds, of each kind in the order in which they were said
     */
    public record Answer(List<Long> ids, List<Wish> wishes) {
        public Answer {
            ids = List.copyOf(ids);
            wishes = List.copyOf(wishes);
        }
    }

    /**
     * The likeliest answer.
     *
     * @param prompt of {@link #prompt}, {@code [1, T, L]}
     * @param stops sequences of ids that end it
     * @param most tokens
     */
    public Answer answer(Tensor prompt, List<List<Long>> stops, int most) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<Long> said = say(prompt, stops, most);
            if (said.isEmpty()) {
                throw new UserError("an answer of no tokens was asked for");
            }
            long[] ids = said.stream().mapToLong(Long::longValue).toArray();
            Tensor embedded = language.embed(Tensor.of(ids, 1, ids.length));
            // Once more over all that was said: only then are the states at the last signal token there too.
            Tensor hidden = language.forward(Tensor.cat(1, prompt, embedded), null, null, null)
                    .narrow(1, prompt.size(1), ids.length);
            List<Wish> wishes = new ArrayList<>();
            for (Kind kind : Kind.values()) {
                wishes(kind, said, hidden, embedded, s, wishes);
            }
            return new Answer(said, wishes);
        }
    }

    private List<Long> say(Tensor prompt, List<List<Long>> stops, int most) {
        List<Long> said = new ArrayList<>();
        try (KvCache cache = new KvCache();
                Steps steps = new Prompt(prompt, null, null).start(language, cache)) {
            while (said.size() < most) {
                try (Scope s = Scope.open()) {
                    Tensor logits = said.isEmpty()
                            ? steps.first()
                            : steps.next(Tensor.of(new long[] {said.get(said.size() - 1)}, 1));
                    said.add((long) logits.argmax(-1).item());
                }
                if (stops.stream().anyMatch(stop -> endsWith(said, stop))) {
                    break;
                }
            }
        }
        return said;
    }

    private static boolean endsWith(List<Long> said, List<Long> stop) {
        int from = said.size() - stop.size();
        return from >= 0 && said.subList(from, said.size()).equals(stop);
    }

    private void wishes(Kind kind, List<Long> said, Tensor hidden, Tensor embedded, Scope s, List<Wish> wishes) {
        List<Long> signal = config.signals.get(kind);
        int since = 0;
        for (int at = 0; at + signal.size() <= said.size(); at++) {
            if (!said.get(at).equals(signal.get(0))) {
                continue;
            }
            Tensor states = hidden.narrow(1, at, signal.size());
            Tensor condition = outputs.get(kind).forward(states, embedded.narrow(1, at, signal.size()));
            long[] before =
                    said.subList(since, at).stream().mapToLong(Long::longValue).toArray();
            wishes.add(new Wish(
                    kind,
                    tokenizer.decode(before, true) + " " + signal(kind),
                    s.keep(states),
                    s.keep(kind == Kind.AUDIO ? condition.flatten(1) : condition)));
            since = at + signal.size();
        }
    }

    @Override
    public void close() {
        weights.close();
        tokenizer.close();
        language.close();
    }
}
