package dev.zoetrope.media;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A SentencePiece model file (spiece.model, tokenizer.model): a protocol buffer whose pieces become the vocabulary of a
 * tokenizer.json, by the rules of the T5 and Llama tokenizers.
 */
@SuppressWarnings("ArrayRecordComponent")
record SentencePiece(String name, List<Piece> pieces, Type type, byte[] normalization, boolean byteFallback) {

    /** How texts are cut. The order is that of the numbers in the file. */
    enum Type {
        NONE,
        UNIGRAM,
        BPE,
        WORD,
        CHAR
    }

    /**
     * @param kind 1 normal, 2 unknown, 3 control, 4 defined by the user, 5 unused, 6 byte
     */
    record Piece(String text, double score, int kind) {}

    static SentencePiece read(Path file) {
        return parse(ByteBuffer.wrap(Images.bytes(file)), file.toString());
    }

    private static SentencePiece parse(ByteBuffer in, String name) {
        List<Piece> pieces = new ArrayList<>();
        Type type = Type.UNIGRAM;
        byte[] normalization = {};
        boolean byteFallback = false;
        try {
            for (Field f = Field.next(in); f != null; f = Field.next(in)) {
                switch (f.number) {
                    case 1 -> pieces.add(piece(f.bytes()));
                    case 2 -> {
                        ByteBuffer trainer = f.bytes();
                        for (Field t = Field.next(trainer); t != null; t = Field.next(trainer)) {
                            if (t.number == 3) {
                                type = Type.values()[(int) t.value];
                            } else if (t.number == 35) {
                                byteFallback = t.value != 0;
                            }
                        }
                    }
                    case 3 -> {
                        ByteBuffer normalizer = f.bytes();
                        for (Field n = Field.next(normalizer); n != null; n = Field.next(normalizer)) {
                            if (n.number == 2) {
                                normalization = n.array();
                            }
                        }
                    }
                    default -> {}
                }
            }
        } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw new UserError(name + ": is no SentencePiece model, or damaged", e);
        }
        if (pieces.isEmpty()) {
            throw new UserError(name + ": is no SentencePiece model: it has no pieces");
        }
        return new SentencePiece(name, pieces, type, normalization, byteFallback);
    }

    private static Piece piece(ByteBuffer in) {
        String text = "";
        double score = 0;
        int kind = 1;
        for (Field f = Field.next(in); f != null; f = Field.next(in)) {
            switch (f.number) {
                case 1 -> text = new String(f.array(), UTF_8);
                case 2 -> score = Float.intBitsToFloat((int) f.value);
                case 3 -> kind = (int) f.value;
                default -> {}
            }
        }
        return new Piece(text, score, kind);
    }

    /**
     * One field of a protocol buffer.
     *
     * @param value of numbers
     * @param slice of texts, bytes and messages
     */
    private record Field(int number, long value, ByteBuffer slice) {

        static @Nullable Field next(ByteBuffer in) {
            if (!in.hasRemaining()) {
                return null;
            }
            in.order(ByteOrder.LITTLE_ENDIAN);
            long key = varint(in);
            int number = (int) (key >>> 3);
            ByteBuffer none = ByteBuffer.allocate(0);
            switch ((int) key & 7) {
                case 0 -> {
                    return new Field(number, varint(in), none);
                }
                case 1 -> {
                    return new Field(number, in.getLong(), none);
                }
                case 2 -> {
                    long length = varint(in);
                    if (length < 0 || length > in.remaining()) {
                        throw new BufferUnderflowException();
                    }
                    ByteBuffer slice = in.slice(in.position(), (int) length);
                    in.position(in.position() + (int) length);
                    return new Field(number, 0, slice);
                }
                case 5 -> {
                    return new Field(number, in.getInt(), none);
                }
                default -> throw new IllegalArgumentException("wire type " + (key & 7));
            }
        }

        private static long varint(ByteBuffer in) {
            long value = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                byte b = in.get();
                value |= (long) (b & 0x7f) << shift;
                if (b >= 0) {
                    return value;
                }
            }
            throw new IllegalArgumentException("a number of more than 64 bits");
        }

        ByteBuffer bytes() {
            return slice.duplicate();
        }

        byte[] array() {
            byte[] array = new byte[slice.remaining()];
            slice.duplicate().get(array);
            return array;
        }
    }

    /** The content of a tokenizer.json that cuts texts as this model does. */
    ObjectNode description(Json config, Map<String, String> specialTokens) {
        String expected = type == Type.BPE ? "LlamaTokenizer" : "T5Tokenizer";
        String found = config.get("tokenizer_class", expected).replaceFirst("Fast$", "");
        if ((type != Type.BPE && type != Type.UNIGRAM) || !found.equals(expected)) {
            throw new UserError(
                    name + ": a " + type + " model of tokenizer_class " + found
                            + " is not supported; supported are BPE models of LlamaTokenizer and UNIGRAM models of T5Tokenizer");
        }
        return type == Type.BPE ? llama(config, specialTokens) : t5(config, specialTokens);
    }

    private ObjectNode t5(Json config, Map<String, String> specialTokens) {
        ObjectNode model = TokenizerFiles.object("Unigram").put("byte_fallback", byteFallback);
        ArrayNode vocabulary = model.putArray("vocab");
        ObjectNode description = new ObjectMapper().createObjectNode();
        ArrayNode added = description.putArray("added_tokens");
        for (int id = 0; id < pieces.size(); id++) {
            Piece piece = pieces.get(id);
            vocabulary.addArray().add(piece.text).add(piece.score);
            if (piece.kind == 2) {
                model.put("unk_id", id);
            }
            if (piece.kind == 2 || piece.kind == 3) {
                TokenizerFiles.addToken(added, piece.text, id);
            }
        }
        for (int extra = config.get("extra_ids", 100) - 1; extra >= 0; extra--) {
            String text = "<extra_id_" + extra + ">";
            TokenizerFiles.addToken(added, text, vocabulary.size());
            vocabulary.addArray().add(text).add(0.0);
        }
        ObjectNode characters = TokenizerFiles.object("Precompiled")
                .put("precompiled_charsmap", Base64.getEncoder().encodeToString(normalization));
        ObjectNode strip =
                TokenizerFiles.object("Strip").put("strip_left", false).put("strip_right", true);
        ObjectNode blanks = TokenizerFiles.replace(" {2,}", "▁");
        description.set(
                "normalizer",
                normalization.length == 0
                        ? TokenizerFiles.sequence("normalizers", strip, blanks)
                        : TokenizerFiles.sequence("normalizers", characters, strip, blanks));
        ObjectNode words =
                TokenizerFiles.object("Metaspace").put("replacement", "▁").put("prepend_scheme", "always");
        description.set("pre_tokenizer", words);
        description.set("decoder", words.deepCopy());
        description.set("model", model);
        description.set(
                "post_processor", TokenizerFiles.around(model, null, specialTokens.getOrDefault("eos_token", "</s>")));
        return description;
    }

    private ObjectNode llama(Json config, Map<String, String> specialTokens) {
        ObjectNode model =
                TokenizerFiles.object("BPE").put("byte_fallback", byteFallback).put("fuse_unk", true);
        ObjectNode vocabulary = model.putObject("vocab");
        ObjectNode description = new ObjectMapper().createObjectNode();
        ArrayNode added = description.putArray("added_tokens");
        for (int id = 0; id < pieces.size(); id++) {
            Piece piece = pieces.get(id);
            vocabulary.put(piece.text, id);
            if (piece.kind == 2) {
                model.put("unk_token", piece.text);
            }
            if (piece.kind == 2 || piece.kind == 3) {
                TokenizerFiles.addToken(added, piece.text, id);
            }
        }
        model.set("merges", merges());
        ObjectNode prepend = TokenizerFiles.object("Prepend").put("prepend", "▁");
        description.set("normalizer", TokenizerFiles.sequence("normalizers", prepend, replaced(" ", "▁")));
        ObjectNode strip = TokenizerFiles.object("Strip")
                .put("content", " ")
                .put("start", 1)
                .put("stop", 0);
        description.set(
                "decoder",
                TokenizerFiles.sequence(
                        "decoders",
                        replaced("▁", " "),
                        TokenizerFiles.object("ByteFallback"),
                        TokenizerFiles.object("Fuse"),
                        strip));
        description.set("model", model);
        description.set(
                "post_processor",
                TokenizerFiles.around(
                        model,
                        config.get("add_bos_token", true) ? specialTokens.getOrDefault("bos_token", "<s>") : null,
                        config.get("add_eos_token", false) ? specialTokens.getOrDefault("eos_token", "</s>") : null));
        return description;
    }

    private static ObjectNode replaced(String from, String to) {
        ObjectNode replace = TokenizerFiles.object("Replace").put("content", to);
        replace.putObject("pattern").put("String", from);
        return replace;
    }

    /** A way to make a piece of two others. */
    private record Merge(String left, String right, double score) {}

    /**
     * SentencePiece joins the neighbours whose union scores best; the same comes out when every split of a piece into two
     * others is a merge, in the order of the pieces' scores.
     */
    private ArrayNode merges() {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < pieces.size(); id++) {
            ids.put(pieces.get(id).text, id);
        }
        List<Merge> merges = new ArrayList<>();
        for (Piece piece : pieces) {
            List<Merge> ways = new ArrayList<>();
            String text = piece.text;
            for (int at = 1; at < text.length(); at++) {
                String left = text.substring(0, at);
                String right = text.substring(at);
                if (ids.containsKey(left) && ids.containsKey(right)) {
                    ways.add(new Merge(left, right, piece.score));
                }
            }
            ways.sort(Comparator.comparing((Merge m) -> ids.get(m.left)).thenComparing(m -> ids.get(m.right)));
            merges.addAll(ways);
        }
        merges.sort(Comparator.comparingDouble(Merge::score)
                .thenComparingInt(m -> length(m.left))
                .thenComparingInt(m -> length(m.right))
                .reversed());
        ArrayNode list = new ObjectMapper().createArrayNode();
        merges.forEach(m -> list.addArray().add(m.left).add(m.right));
        return list;
    }

    private static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
