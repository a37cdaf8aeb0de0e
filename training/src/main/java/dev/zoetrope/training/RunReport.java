package dev.zoetrope.training;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** A run on one page: its curves, its sample sheets, its recipe. The page is one file that needs no network. */
public final class RunReport {
    private static final int WIDTH = 560;
    private static final int HEIGHT = 320;
    private static final int FEW_POINTS = 3;
    private static final Color LINE = new Color(0x1f5fa8);
    private static final String STYLE =
            """
            body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto; padding: 0 1em }
            h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em }
            .curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 12px }
            figure { margin: 0 } img { max-width: 100%; border: 1px solid #ddd } figcaption { color: #555; font-size: .9em }
            .sheets img { image-rendering: pixelated; min-width: 50% }
            table { border-collapse: collapse } td, th { text-align: left; padding: 2px 14px 2px 0 }
            td + td, th + th { text-align: right; font-variant-numeric: tabular-nums }
            pre { background: #f6f6f6; padding: 1em; overflow: auto; font-size: .85em }
            """;

    private final Path run;
    private final Map<String, List<Curves.Point>> curves = new LinkedHashMap<>();

    private RunReport(Path run) {
        this.run = run;
        try (Stream<Path> stages = Files.list(run.resolve("events"))) {
            stages.sorted().forEach(stage -> curves.putAll(Curves.read(stage)));
        } catch (NotDirectoryException | NoSuchFileException e) {
            throw new UserError(
                    run + ": is not the folder of a training: it has no events/; name the DIR of train --run", e);
        } catch (IOException e) {
            throw new UserError(run + ": cannot be read: " + e.getMessage(), e);
        }
        if (curves.isEmpty()) {
            throw new UserError(run + ": no numbers have been reported yet; wait for report_every steps");
        }
    }

    /** Writes the page. */
    public static void html(Path run, Path file) {
        byte[] page = new RunReport(run).page().getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, out -> out.write(page));
    }

    /** Writes all curves as one picture. */
    public static void png(Path run, Path file) {
        RunReport report = new RunReport(run);
        List<XYChart> charts = new ArrayList<>();
        report.curves.forEach((tag, values) -> charts.add(chart(tag, values)));
        int columns = (int) Math.ceil(Math.sqrt(charts.size()));
        int rows = (charts.size() + columns - 1) / columns;
        BufferedImage all = new BufferedImage(columns * WIDTH, rows * HEIGHT, BufferedImage.TYPE_INT_RGB);
        Graphics2D g = all.createGraphics();
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, all.getWidth(), all.getHeight());
        for (int i = 0; i < charts.size(); i++) {
            g.drawImage(BitmapEncoder.getBufferedImage(charts.get(i)), i % columns * WIDTH, i / columns * HEIGHT, null);
        }
        g.dispose();
        AtomicFile.write(file, out -> ImageIO.write(all, "png", out));
    }

    private String page() {
        StringBuilder b = new StringBuilder("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>");
        String name = String.valueOf(run.toAbsolutePath().normalize().getFileName());
        b.append(escaped(name)).append("</title><style>").append(STYLE).append("</style>");
        b.append("<h1>").append(escaped(name)).append("</h1><p>");
        long minutes = Math.round(seconds() / 60);
        b.append(minutes < 1 ? "Under a minute" : minutes == 1 ? "1 minute" : minutes + " minutes");
        b.append(" of training.</p>");
        Map<String, List<String>> byStage = new TreeMap<>();
        curves.keySet().forEach(tag -> byStage.computeIfAbsent(
                        tag.substring(0, Math.max(0, tag.indexOf('/'))), s -> new ArrayList<>())
                .add(tag));
        byStage.forEach((stage, tags) -> stage(b, stage, tags));
        sheets(b);
        recipe(b);
        return b.append("</html>\n").toString();
    }

    private void stage(StringBuilder b, String stage, List<String> tags) {
        b.append("<h2>")
                .append(escaped(stage))
                .append("</h2><table><tr><th>number<th>step<th>last<th>least<th>most</tr>");
        for (String tag : tags) {
            List<Curves.Point> v = values(tag);
            Curves.Point last = v.get(v.size() - 1);
            b.append(String.format(
                    Locale.ROOT,
                    "<tr><td>%s<td>%d<td>%.4g<td>%.4g<td>%.4g</tr>",
                    escaped(tag.substring(tag.indexOf('/') + 1)),
                    last.step(),
                    last.value(),
                    v.stream().mapToDouble(Curves.Point::value).min().orElse(0),
                    v.stream().mapToDouble(Curves.Point::value).max().orElse(0)));
        }
        b.append("</table><div class=\"curves\">");
        for (String tag : tags) {
            try {
                byte[] png = BitmapEncoder.getBitmapBytes(chart(tag, values(tag)), BitmapEncoder.BitmapFormat.PNG);
                picture(b, png, escaped(tag) + " over steps", "");
            } catch (IOException e) {
                throw new UserError(run + ": the curve of " + tag + " cannot be drawn: " + e.getMessage(), e);
            }
        }
        b.append("</div>");
    }

    private List<Curves.Point> values(String tag) {
        return java.util.Objects.requireNonNull(curves.get(tag));
    }

    /** From the speeds that were reported: pauses, samples and starts do not count. */
    private double seconds() {
        double sum = 0;
        for (Map.Entry<String, List<Curves.Point>> curve : curves.entrySet()) {
            if (curve.getKey().endsWith("/steps_per_second")) {
                long before = 0;
                for (Curves.Point p : curve.getValue()) {
                    sum += p.value() > 0 ? (p.step() - before) / p.value() : 0;
                    before = p.step();
                }
            }
        }
        return sum;
    }

    private static XYChart chart(String tag, List<Curves.Point> values) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(tag)
                .xAxisTitle("step")
                .build();
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.getStyler().setPlotBorderVisible(false);
        chart.getStyler().setXAxisDecimalPattern("#,###");
        List<Curves.Point> finite =
                values.stream().filter(p -> Double.isFinite(p.value())).toList();
        List<Curves.Point> shown = finite.isEmpty() ? List.of(new Curves.Point(0, 0)) : finite;
        double[] x = shown.stream().mapToDouble(Curves.Point::step).toArray();
        double[] y = shown.stream().mapToDouble(Curves.Point::value).toArray();
        XYSeries series = chart.addSeries(tag, x, y);
        series.setLineColor(LINE);
        series.setLineStyle(new BasicStroke(2));
        series.setMarkerColor(LINE);
        series.setMarker(x.length < FEW_POINTS ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
        return chart;
    }

    private void sheets(StringBuilder b) {
        try (Stream<Path> files = Files.list(run)) {
            List<Path> sheets = files.filter(f -> f.toString().endsWith(".png")
                            && !f.getFileName().toString().startsWith("curves"))
                    .sorted()
                    .toList();
            if (!sheets.isEmpty()) {
                b.append("<h2>Samples</h2><div class=\"sheets\">");
                for (Path sheet : sheets) {
                    String name = sheet.getFileName().toString();
                    picture(
                            b,
                            Files.readAllBytes(sheet),
                            escaped(name),
                            "<figcaption>" + escaped(name) + "</figcaption>");
                }
                b.append("</div>");
            }
        } catch (IOException e) {
            throw new UserError(run + ": its sheets cannot be read: " + e.getMessage(), e);
        }
    }

    private static void picture(StringBuilder b, byte[] png, String what, String caption) {
        b.append("<figure><img alt=\"").append(what).append("\" src=\"data:image/png;base64,");
        b.append(Base64.getEncoder().encodeToString(png))
                .append("\">")
                .append(caption)
                .append("</figure>");
    }

    private void recipe(StringBuilder b) {
        Path recipe = run.resolve("recipe.json");
        if (Files.exists(recipe)) {
            try {
                b.append("<h2>Recipe</h2><pre>")
                        .append(escaped(Files.readString(recipe)))
                        .append("</pre>");
            } catch (IOException e) {
                throw new UserError(recipe + ": cannot be read: " + e.getMessage(), e);
            }
        }
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
    }
}
