package dev.zoetrope.cli;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Sounds;
import dev.zoetrope.tasks.AnyToAny;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A question with any media to a NExT-GPT, whose answer is text and, it may be, files. */
final class AnswerWithMedia {
    private final Path output;
    private final boolean json;
    private final PrintWriter out;
    private final PrintWriter err;

    /** @param output beginning of the names of the files */
    AnswerWithMedia(Path output, boolean json, PrintWriter out, PrintWriter err) {
        this.output = output;
        this.json = json;
        this.out = out;
        this.err = err;
    }

    static AnyToAny.Question question(String text, List<Path> images, List<Path> clips, List<Path> sounds) {
        List<Audio> heard = new ArrayList<>();
        for (Path file : sounds) {
            Audio audio = Sounds.read(file);
            if (audio.length() == 0) {
                throw new UserError(file + ": the sound has no samples");
            }
            heard.add(audio);
        }
        return new AnyToAny.Question(
                text,
                images.stream().map(Images::read).toList(),
                clips.stream().map(Clips::read).toList(),
                heard);
    }

    void ask(Path folder, AnyToAny.Question question, AnyToAny.Options options) {
        AnyToAny.Answer answer;
        try (AnyToAny model = AnyToAny.load(folder)) {
            answer = model.answer(question, options);
        }
        List<Path> files = new ArrayList<>();
        for (Image image : answer.images()) {
            Images.write(image, name(files, ".png"));
        }
        for (Clip clip : answer.clips()) {
            Clips.write(clip, name(files, ".mp4"));
        }
        for (Audio sound : answer.sounds()) {
            Sounds.write(sound, name(files, ".wav"));
        }
        if (json) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("question", question.text());
            line.put("answer", answer.text());
            line.put("files", files.stream().map(Path::toString).toList());
            line.put("notes", answer.notes());
            line.put("seed", options.seed());
            out.println(Pictures.json(line));
        } else {
            out.println(answer.text());
            files.forEach(out::println);
        }
        out.flush();
        answer.notes().forEach(note -> err.println("zoetrope: " + note));
        err.flush();
    }

    /** The next name, which joins the list. */
    private Path name(List<Path> files, String ending) {
        Path next = output.resolveSibling(output.getFileName() + "-" + (files.size() + 1) + ending);
        files.add(next);
        return next;
    }
}
