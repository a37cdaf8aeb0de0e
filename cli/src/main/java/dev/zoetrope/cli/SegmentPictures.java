package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.AutomaticMasks.Found;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.annotation.Sa1b;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Cuts things out of pictures. */
@Command(
        name = "segment",
        sortOptions = false,
        description = {
            "Segment what points, a box or an earlier mask show, or everything. For photo.jpg this writes",
            "photo-mask.png, photo-overlay.png and photo-masks.json (runs as COCO has them).",
            "  zoetrope segment photo.jpg --point 500,375",
            "  zoetrope segment photo.jpg --everything"
        })
final class SegmentPictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Parameters(
            arity = "1..*",
            paramLabel = "FILE",
            description = "Pictures; with --everything also folders of them and patterns.")
    private List<String> files = List.of();

    @Option(
            names = "--point",
            paramLabel = "X,Y[,0|1]",
            converter = Numbers.PointConverter.class,
            description = "A pixel of what is wanted; with ,0 one that must not be in it. May be repeated.")
    private List<Segment.Point> points = new ArrayList<>();

    @Option(
            names = "--box",
            paramLabel = "X0,Y0,X1,Y1",
            converter = Numbers.BoxConverter.class,
            description = "A box around what is wanted.")
    private @Nullable Box box;

    @Option(
            names = "--mask",
            paramLabel = "FILE",
            description = "An earlier mask to refine, white on black, of the picture's size.")
    private @Nullable Path mask;

    @Option(
            names = "--candidates",
            description = "Write all three masks of an ambiguous point, the best first, not the best alone.")
    private boolean candidates;

    @Option(names = "--everything", description = "Segment everything: a grid of points asks.")
    private boolean everything;

    @Mixin
    private AutomaticOptions automatic;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "DIR",
            description = "Folder of what is written (default: the current one).")
    private Path output = Path.of("");

    @Option(
            names = "--model",
            paramLabel = "DIR|FILE|ORG/NAME",
            description = "Folder, .pth file or name on the hub of a SAM model (default: the built-in one).")
    private @Nullable String model;

    @Option(names = "--json", description = "Print the JSON, too, one line for each picture.")
    private boolean json;

    @Override
    public Integer call() {
        engine.check();
        boolean prompted = !points.isEmpty() || box != null || mask != null;
        if (everything == prompted) {
            throw new UserError(
                    everything
                            ? "--everything takes no --point, --box or --mask"
                            : "say what to segment: --point X,Y, --box X0,Y0,X1,Y1, --mask FILE or --everything");
        }
        List<Path> pictures = PictureFiles.of(files);
        AutomaticMasks.Settings settings = automatic.settings();
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        int failed = 0;
        try (Stop stop = new Stop("stopping after this picture ...", err);
                Segment segment = fast.load(() -> model == null ? Segment.builtIn() : Segment.of(model))) {
            for (Path file : pictures) {
                if (stop.requested()) {
                    break;
                }
                try {
                    tell(everything ? everything(segment, settings, file, stop, err) : prompted(segment, file));
                } catch (UserError e) {
                    if (pictures.size() == 1) {
                        throw e;
                    }
                    failed++;
                    err.println("zoetrope: " + e.getMessage());
                    err.flush();
                }
            }
        }
        return failed == 0 ? ExitCode.OK : ExitCode.USAGE;
    }

    /** What was written for a picture: the JSON, and a line for people. */
    private record Written(String json, String line) {}

    private Written prompted(Segment segment, Path file) {
        Image image = Images.read(file);
        try (Segment.Picture picture = segment.open(image)) {
            Segment.Logits earlier = mask == null ? null : picture.logits(Mask.read(mask));
            boolean ambiguous = points.size() == 1 && box == null && mask == null;
            List<Candidate> all = new ArrayList<>(picture.answer(new Segment.Prompt(points, box, earlier, ambiguous))
                    .candidates());
            all.sort(Comparator.comparingDouble(Candidate::predictedIou).reversed());
            List<Candidate> chosen = candidates ? all : all.subList(0, 1);
            List<Map<String, Object>> masks = new ArrayList<>();
            for (int i = 0; i < chosen.size(); i++) {
                Mask m = chosen.get(i).mask();
                Images.write(m.image(), named(file, chosen.size() == 1 ? "-mask.png" : "-mask-" + (i + 1) + ".png"));
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("segmentation", Sa1b.segmentation(Rle.of(m)));
                entry.put("bbox", Sa1b.xywh(m.box()));
                entry.put("area", m.area());
                entry.put("predicted_iou", chosen.get(i).predictedIou());
                masks.add(entry);
            }
            Mask best = chosen.get(0).mask();
            Images.write(Mask.overlay(image, List.of(best)), named(file, "-overlay.png"));
            Map<String, Object> r = new LinkedHashMap<>();
            r.put("file", file.toString());
            r.put("width", image.width());
            r.put("height", image.height());
            r.put("masks", masks);
            String text = text(r);
            write(text, named(file, "-masks.json"));
            return new Written(
                    text,
                    String.format(
                            Locale.ROOT,
                            "%s  %d pixels, predicted IoU %.3f",
                            named(file, chosen.size() == 1 ? "-mask.png" : "-mask-1.png"),
                            best.area(),
                            chosen.get(0).predictedIou()));
        }
    }

    private Written everything(
            Segment segment, AutomaticMasks.Settings settings, Path file, Stop stop, PrintWriter err) {
        Image image = Images.read(file);
        List<Found> found;
        int asked = AutomaticMasks.crops(image.width(), image.height(), settings).stream()
                .mapToInt(crop -> AutomaticMasks.grid(crop, settings).size())
                .sum();
        try (Bar bar = new Bar(String.valueOf(file.getFileName()), 0, asked, err)) {
            found = new AutomaticMasks(segment, settings)
                    .generate(image, (done, of) -> {
                        bar.step(done);
                        return !stop.requested();
                    })
                    .masks();
        }
        List<Mask> masks = found.stream().map(f -> f.mask().mask()).toList();
        Path overlay = named(file, "-overlay.png");
        Images.write(Mask.overlay(image, masks), overlay);
        Path json = named(file, "-masks.json");
        Sa1b all = Sa1b.of(1, String.valueOf(file.getFileName()), image.width(), image.height(), found);
        all.write(json);
        return new Written(all.json().strip(), overlay + "  " + found.size() + " masks");
    }

    private void tell(Written written) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(json ? written.json : written.line);
        out.flush();
    }

    /** photo.jpg becomes photo-mask.png in the output's folder. */
    private Path named(Path file, String ending) {
        return output.resolve(String.valueOf(file.getFileName()).replaceFirst("\\.[^.]*$", "") + ending);
    }

    private static String text(Map<String, Object> fields) {
        try {
            return new ObjectMapper().writeValueAsString(fields);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }

    private static void write(String text, Path file) {
        AtomicFile.write(file, out -> out.write((text + "\n").getBytes(StandardCharsets.UTF_8)));
    }
}
