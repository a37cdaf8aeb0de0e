package dev.zoetrope.training.talking;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;

/**
 * OwlEval, arXiv:2304.14178: 82 questions about 50 pictures, whose answers people rank from A (right and rich) to D (beside
 * the point). Writes the answers of a model, and a page on which those of all models asked so far stand side by side to be
 * graded.
 */
public final class OwlEval {
    private static final String QUESTIONS = "questions.jsonl";
    private static final String ANSWERS = ".answers.jsonl";
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * @param abilities letters: a understanding of the instruction, b of the picture, c text in it, d knowledge, e reasoning,
     *     f conversation
     */
    public record Question(int id, String image, String text, String abilities) {}

    private OwlEval() {}

    /** The questions of a folder with questions.jsonl and images/, in the order of the file. */
    public static List<Question> questions(Path data) {
        Path file = data.resolve(QUESTIONS);
        if (!Files.isRegularFile(file)) {
            throw new UserError(data + ": no " + QUESTIONS + "; expected OwlEval's folder with " + QUESTIONS
                    + " and images/ (github.com/X-PLUG/mPLUG-Owl, folder mPLUG-Owl/OwlEval)");
        }
        return lines(file).stream()
                .map(j -> new Question(
                        j.requireInt("question_id"), j.require("image"), j.require("question"), j.get("ability", "")))
                .toList();
    }

    private static List<Json> lines(Path file) {
        try (Stream<String> all = Files.lines(file)) {
            return all.filter(line -> !line.isBlank())
                    .map(line -> Json.parse(file.toString(), line))
                    .toList();
        } catch (IOException | UncheckedIOException e) {
            throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /**
     * Asks all questions, those about one picture in one conversation.
     *
     * @param name of the model, on the page and as file name
     * @param data OwlEval's folder
     * @param out folder for {@code NAME.answers.jsonl}, {@code images/} and {@code index.html}
     * @return the page
     */
    public static Path run(Chat chat, String name, Path data, Path out, Chat.Options o, Progress progress) {
        Map<String, List<Question>> byImage = new LinkedHashMap<>();
        List<Question> questions = questions(data);
        questions.forEach(
                q -> byImage.computeIfAbsent(q.image(), k -> new ArrayList<>()).add(q));
        StringBuilder answers = new StringBuilder();
        int done = 0;
        for (Map.Entry<String, List<Question>> e : byImage.entrySet()) {
            chat.reset();
            List<Image> shown = List.of(Images.read(data.resolve("images").resolve(e.getKey())));
            for (Question q : e.getValue()) {
                answers.append(answer(chat, name, q, shown, o)).append('\n');
                shown = List.of();
                done++;
                if (!progress.step(done, questions.size())) {
                    throw new CancellationException("stopped after " + done + " questions");
                }
            }
        }
        byte[] text = answers.toString().getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(out.resolve(name + ANSWERS), file -> file.write(text));
        return page(data, out);
    }

    private static String answer(Chat chat, String name, Question q, List<Image> shown, Chat.Options o) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("question_id", q.id());
        line.put("image", q.image());
        line.put("question", q.text());
        line.put("model", name);
        Chat.Answer a = chat.ask(q.text(), shown, o, Chat.Listener.NONE);
        line.put("answer", a.text());
        line.put("tokens", a.tokens());
        line.put("seconds", a.seconds());
        return json(line);
    }

    /** The page of all answers in the folder. */
    public static Path page(Path data, Path out) {
        List<Question> questions = questions(data);
        Map<String, Map<Integer, String>> models = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(out)) {
            for (Path file : files.filter(f -> f.getFileName().toString().endsWith(ANSWERS))
                    .sorted()
                    .toList()) {
                String name = file.getFileName().toString().replace(ANSWERS, "");
                Map<Integer, String> said = new LinkedHashMap<>();
                lines(file).forEach(j -> said.put(j.requireInt("question_id"), j.get("answer", "")));
                models.put(name, said);
            }
            Files.createDirectories(out.resolve("images"));
            for (Question q : questions) {
                Path copy = out.resolve("images").resolve(q.image());
                if (!Files.exists(copy)) {
                    Files.copy(data.resolve("images").resolve(q.image()), copy);
                }
            }
        } catch (IOException e) {
            throw new UserError(out + ": cannot be written: " + e, e);
        }
        List<Map<String, Object>> rows = new ArrayList<>();
        for (Question q : questions) {
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("id", q.id());
            row.put("image", "images/" + q.image());
            row.put("question", q.text());
            row.put("abilities", q.abilities());
            List<String> answers = new ArrayList<>();
            models.values().forEach(said -> answers.add(said.getOrDefault(q.id(), "")));
            row.put("answers", answers);
            rows.add(row);
        }
        // No closing tag may stand in a script, whatever a model says.
        String all = json(Map.of("models", List.copyOf(models.keySet()), "rows", rows))
                .replace("</", "<\\/");
        byte[] page = template().replace("\"DATA\"", all).getBytes(StandardCharsets.UTF_8);
        Path index = out.resolve("index.html");
        AtomicFile.write(index, file -> file.write(page));
        return index;
    }

    private static String template() {
        try (InputStream in = OwlEval.class.getResourceAsStream("owleval.html")) {
            return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String json(Map<String, Object> value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
