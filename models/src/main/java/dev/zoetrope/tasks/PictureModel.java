package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.ddpm.DdpmPipeline;
import dev.zoetrope.models.dit.DitPipeline;
import dev.zoetrope.models.dit.TextPipeline;
import dev.zoetrope.models.ldm.ClassConditional;
import dev.zoetrope.models.ldm.LatentDiffusion;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.PipelineOrigin;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Samplers;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.LongStream;

/** Any pipeline that makes pictures, as the tasks see it. */
abstract class PictureModel implements AutoCloseable {
    /** Pictures of a batch hold at most this many pixels together, or are one. */
    private static final long PIXELS_AT_ONCE = 4L * 512 * 512;

    /** A batch of a pipeline: from settings, noise and an observer to {@code [B, 3, H, W]} in 0..1. */
    @FunctionalInterface
    interface Run {
        Tensor pictures(Settings settings, Draws draws, Denoising.Observer observer);
    }

    /**
     * A way of a pipeline, ready to go.
     *
     * @param notes what was done to the request to make it fit
     */
    record Job(Run run, List<String> notes) {
        static Job of(Run run) {
            return new Job(run, List.of());
        }
    }

    private final String name;

    PictureModel(String name) {
        this.name = name;
    }

    static PictureModel load(Path folderOrFile) {
        return load(folderOrFile, false);
    }

    /** @param lowMemory whether weights are read as they are needed, of models that can */
    static PictureModel load(Path folderOrFile, boolean lowMemory) {
        String name = String.valueOf(folderOrFile.getFileName());
        if (Files.isRegularFile(folderOrFile)) {
            return new Guided(name, StableDiffusion.load(folderOrFile, lowMemory));
        }
        if (Files.isDirectory(folderOrFile.resolve("class_embedding")) && !PipelineFolder.isOne(folderOrFile)) {
            return new Classes(name, ClassConditional.load(folderOrFile));
        }
        PipelineFolder folder = PipelineFolder.open(folderOrFile);
        String kind = folder.kind();
        if (kind.startsWith("StableDiffusion") || kind.equals("LatentConsistencyModelPipeline")) {
            return new Guided(name, StableDiffusion.load(folderOrFile, lowMemory));
        }
        if (lowMemory) {
            throw new UserError(folderOrFile + ": a " + kind + " is not read level by level; low memory is for Stable "
                    + "Diffusion");
        }
        if (TextPipeline.isOne(folder)) {
            return new Transformer(name, TextPipeline.load(folderOrFile));
        }
        return switch (kind) {
            case "DiTPipeline" -> new ClassTransformer(name, DitPipeline.load(folderOrFile), folder);
            case "DDPMPipeline", "DDIMPipeline" -> new Pixel(name, DdpmPipeline.load(folderOrFile), folder);
            case "LDMPipeline", "LDMSuperResolutionPipeline" ->
                new Latent(name, LatentDiffusion.load(folderOrFile), folder);
            default ->
                throw new UserError(folderOrFile + ": model_index.json: _class_name \"" + kind
                        + "\" makes no pictures that are supported; supported: StableDiffusion...Pipeline, "
                        + "PixArtAlphaPipeline, FluxPipeline, DiTPipeline, DDPMPipeline, DDIMPipeline, LDMPipeline, "
                        + "LDMSuperResolutionPipeline");
        };
    }

    /** What the model makes unless told otherwise. */
    abstract Settings defaults(String prompt);

    /** Pictures from a prompt, a class or nothing. */
    abstract Job fromPrompt(ImageRequest r);

    /** Pictures like a given one. */
    Job fromPicture(ImageRequest r, Image picture, double strength) {
        throw cannot("start from a picture", "a Stable Diffusion pipeline");
    }

    /** Pictures in which what a mask shows in white is painted anew. */
    Job repainting(ImageRequest r, Image picture, Image mask, double strength) {
        throw cannot("repaint a part of a picture", "a Stable Diffusion pipeline, best one made for in-painting");
    }

    /** A picture enlarged. */
    Job enlargement(ImageRequest r, Image picture, int noiseLevel) {
        throw cannot(
                "enlarge pictures",
                "CompVis/ldm-super-resolution-4x-openimages or stabilityai/stable-diffusion-x4-upscaler");
    }

    private UserError cannot(String task, String instead) {
        return new UserError("model " + name + " cannot " + task + "; open " + instead);
    }

    /** The latents as a small picture; a copy of the sample itself where the model works on pixels. */
    abstract Tensor preview(Tensor sample);

    void addLora(Path file, double strength) {
        throw new UserError(file + ": model " + name + " takes no LoRA");
    }

    /**
     * Writes the model as a folder that diffusers reads, with the weights as they are now.
     *
     * @param half whether in float16
     */
    void save(Path folder, boolean half) {
        throw new UserError("model " + name
                + " is as it was published: copy its folder; only pipelines whose weights can " + "change are written");
    }

    /** All pictures of a request, in batches, each with its own seed. */
    final List<GeneratedImage> make(ImageRequest r, Job job, Map<String, String> more, ImageListener listener) {
        List<GeneratedImage> made = new ArrayList<>();
        Settings s = r.settings();
        long pixels = Math.max(1, (long) Math.max(s.width(), 64) * Math.max(s.height(), 64));
        int batch = (int) Math.max(1, Math.min(s.count(), PIXELS_AT_ONCE / pixels));
        for (int first = 0; first < s.count(); first += batch) {
            int count = Math.min(batch, s.count() - first);
            List<Long> seeds = LongStream.range(r.seed() + first, r.seed() + first + count)
                    .boxed()
                    .toList();
            try (Scope scope = Scope.open();
                    Draws draws = Draws.perSample(seeds)) {
                Tensor pictures = job.run.pictures(s.withCount(count), draws, observer(listener));
                List<Image> images = Pixels.images(pictures);
                for (int i = 0; i < count; i++) {
                    Map<String, String> settings = settings(r, images.get(i), seeds.get(i), more);
                    made.add(new GeneratedImage(images.get(i), settings, seeds.get(i), job.notes));
                }
            }
        }
        return made;
    }

    private Denoising.Observer observer(ImageListener listener) {
        return step -> listener.step(step.number(), step.count(), () -> {
            try (Scope s = Scope.open()) {
                return Pixels.images(preview(step.sample()));
            }
        });
    }

    private Map<String, String> settings(ImageRequest r, Image image, long seed, Map<String, String> more) {
        Settings s = r.settings();
        Map<String, String> m = new LinkedHashMap<>();
        m.put("prompt", s.prompt());
        if (s.negative() != null) {
            m.put("negative_prompt", s.negative());
        }
        if (!r.label().isEmpty()) {
            m.put("class", r.label());
        }
        m.put("seed", Long.toString(seed));
        m.put("steps", Integer.toString(s.steps()));
        m.put("guidance_scale", Double.toString(s.guidance()));
        m.put("scheduler", r.scheduler() == null ? "default" : r.scheduler());
        m.put("size", image.width() + "x" + image.height());
        s.boxes()
                .forEach(b -> m.merge(
                        "boxes",
                        b.phrase() + ":" + b.left() + "," + b.top() + "," + b.right() + "," + b.bottom(),
                        (a, c) -> a + "; " + c));
        m.putAll(more);
        m.put("model", name);
        m.put("software", "Zoetrope");
        return m;
    }

    private static void requirePrompt(ImageRequest r) {
        if (r.settings().prompt().isBlank()) {
            throw new UserError("the prompt is empty; say what is to be seen");
        }
        if (!r.label().isEmpty()) {
            throw new UserError("this model draws what a prompt says, not classes; leave the class out");
        }
    }

    private static void refuseScheduler(ImageRequest r) {
        if (r.scheduler() != null) {
            throw new UserError("this model is used with its own scheduler only; leave the scheduler out");
        }
    }

    private static void refusePrompt(ImageRequest r) {
        if (!r.settings().prompt().isBlank() || r.settings().negative() != null) {
            throw new UserError("this model reads no prompts; leave it out, and name a class if it has some");
        }
        if (!r.settings().boxes().isEmpty()) {
            throw new UserError("this model takes no boxes");
        }
    }

    /** The same class for each picture of a batch, {@code [B]} INT64. */
    private static Tensor labels(String label, int count) {
        if (!label.matches("\\d{1,9}")) {
            throw new UserError(
                    label.isEmpty() ? "this model needs a class, a number" : "class '" + label + "' is not a number");
        }
        return Tensor.of(new long[] {Long.parseLong(label)}, 1).repeat(count);
    }

    /** The size that a picture comes to, and what to say about it. */
    private record Fitted(int width, int height, List<String> notes) {
        /** The size asked for, or the picture's own, rounded down to multiples of a unit as the reference does. */
        static Fitted of(Image picture, Settings s, int unit, List<String> notes) {
            int width = (s.width() == 0 ? picture.width() : s.width()) / unit * unit;
            int height = (s.height() == 0 ? picture.height() : s.height()) / unit * unit;
            if (width == 0 || height == 0) {
                throw new UserError("a picture of " + picture.width() + " x " + picture.height()
                        + " is too small; both sides must be at least " + unit);
            }
            if (width == picture.width() && height == picture.height()) {
                return new Fitted(width, height, notes);
            }
            List<String> all = new ArrayList<>(notes);
            all.add("the picture of " + picture.width() + " x " + picture.height() + " was brought to " + width + " x "
                    + height + ", multiples of " + unit);
            return new Fitted(width, height, List.copyOf(all));
        }
    }

    /** A quarter of the latents' rows and columns, decoded: a sixteenth of the work. */
    private static Tensor small(Tensor latents, Function<Tensor, Tensor> decode) {
        long least = Math.min(latents.size(2), latents.size(3));
        int factor = least >= 32 ? 4 : least >= 16 ? 2 : 1;
        return Pixels.unit(decode.apply(Functional.avgPool2d(latents, factor, factor, 0)));
    }

    @Override
    public abstract void close();

    private static final class Guided extends PictureModel {
        private final StableDiffusion pipeline;

        Guided(String name, StableDiffusion pipeline) {
            super(name);
            this.pipeline = pipeline;
        }

        @Override
        Settings defaults(String prompt) {
            return pipeline.defaults(prompt);
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            requirePrompt(r);
            return new Job(scheduled(r)::generate, notes(r));
        }

        @Override
        Job fromPicture(ImageRequest r, Image picture, double strength) {
            requirePrompt(r);
            StableDiffusion p = scheduled(r);
            Fitted fit = Fitted.of(picture, r.settings(), p.vae().config().factor(), notes(r));
            return new Job(
                    (s, draws, observer) -> p.generateFrom(
                            Pixels.of(picture, fit.width(), fit.height(), Filter.LANCZOS),
                            strength,
                            s,
                            draws,
                            observer),
                    fit.notes());
        }

        @Override
        Job repainting(ImageRequest r, Image picture, Image mask, double strength) {
            requirePrompt(r);
            if (mask.width() != picture.width() || mask.height() != picture.height()) {
                throw new UserError("the mask is " + mask.width() + " x " + mask.height() + ", the picture "
                        + picture.width() + " x " + picture.height() + "; they must be of one size");
            }
            StableDiffusion p = scheduled(r);
            Fitted fit = Fitted.of(picture, r.settings(), p.vae().config().factor(), notes(r));
            return new Job(
                    (s, draws, observer) -> p.repaint(
                            Pixels.of(picture, fit.width(), fit.height(), Filter.LANCZOS),
                            Pixels.mask(mask, fit.width(), fit.height(), Filter.LANCZOS),
                            strength,
                            s,
                            draws,
                            observer),
                    fit.notes());
        }

        @Override
        Job enlargement(ImageRequest r, Image picture, int noiseLevel) {
            StableDiffusion p = scheduled(r);
            if (!p.enlarges()) {
                return super.enlargement(r, picture, noiseLevel);
            }
            Fitted fit = Fitted.of(
                    picture, r.settings().withSize(0, 0), p.vae().config().factor(), notes(r));
            return new Job(
                    (s, draws, observer) -> p.enlarge(
                            Pixels.of(picture, fit.width(), fit.height(), Filter.BICUBIC),
                            noiseLevel,
                            s,
                            draws,
                            observer),
                    fit.notes());
        }

        private List<String> notes(ImageRequest r) {
            int tokens = pipeline.prompts().tokens(r.settings().prompt());
            int longest = pipeline.prompts().longest();
            return tokens <= longest
                    ? List.of()
                    : List.of("the prompt has " + tokens + " tokens; this model reads the first " + longest);
        }

        private StableDiffusion scheduled(ImageRequest r) {
            return r.scheduler() == null
                    ? pipeline
                    : pipeline.with(Samplers.of(r.scheduler(), pipeline.schedulerConfig()));
        }

        @Override
        Tensor preview(Tensor sample) {
            AutoencoderKl vae = pipeline.vae();
            return small(sample, z -> vae.decode(vae.unscaled(z)));
        }

        @Override
        void addLora(Path file, double strength) {
            pipeline.addLora(file, strength);
        }

        @Override
        void save(Path folder, boolean half) {
            pipeline.save(folder, half ? DType.FLOAT16 : null);
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }

    private static final class Pixel extends PictureModel {
        private final DdpmPipeline pipeline;
        private final PipelineFolder source;
        private final Json trained;

        Pixel(String name, DdpmPipeline pipeline, PipelineFolder folder) {
            super(name);
            this.pipeline = pipeline;
            this.source = folder;
            this.trained = folder.schedulerConfig("scheduler");
        }

        @Override
        Settings defaults(String prompt) {
            int all = trained.get("num_train_timesteps", 1000);
            return Settings.of(prompt).withSteps(trained.get("_class_name", "").startsWith("DDPM") ? all : 50);
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            refusePrompt(r);
            DdpmPipeline p = r.scheduler() == null ? pipeline : pipeline.with(Samplers.of(r.scheduler(), trained));
            return Job.of((s, draws, observer) -> p.generate(
                    s.count(),
                    r.label().isEmpty() ? null : labels(r.label(), s.count()),
                    s.height(),
                    s.width(),
                    s.steps(),
                    s.eta(),
                    draws,
                    observer));
        }

        @Override
        Tensor preview(Tensor sample) {
            return Pixels.unit(sample);
        }

        @Override
        void save(Path folder, boolean half) {
            PipelineOrigin.of(source)
                    .write(folder, Map.of("unet", pipeline.unet().weights()), half ? DType.FLOAT16 : null);
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }

    private static final class Latent extends PictureModel {
        /** The reference rounds pictures down to multiples of this. */
        private static final int REFERENCE_UNIT = 32;

        private final LatentDiffusion pipeline;
        private final Json trained;

        Latent(String name, LatentDiffusion pipeline, PipelineFolder folder) {
            super(name);
            this.pipeline = pipeline;
            this.trained = folder.schedulerConfig("scheduler");
        }

        private LatentDiffusion scheduled(ImageRequest r) {
            return r.scheduler() == null ? pipeline : pipeline.with(Samplers.of(r.scheduler(), trained));
        }

        @Override
        Settings defaults(String prompt) {
            return Settings.of(prompt);
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            refusePrompt(r);
            LatentDiffusion p = scheduled(r);
            return Job.of((s, draws, observer) -> p.generate(s.count(), s.steps(), s.eta(), draws, observer));
        }

        @Override
        Job enlargement(ImageRequest r, Image picture, int noiseLevel) {
            refusePrompt(r);
            LatentDiffusion p = scheduled(r);
            if (!p.enlarges()) {
                return super.enlargement(r, picture, noiseLevel);
            }
            boolean large = Math.min(picture.width(), picture.height()) >= REFERENCE_UNIT;
            Fitted fit = Fitted.of(picture, r.settings().withSize(0, 0), large ? REFERENCE_UNIT : p.unit(), List.of());
            return new Job(
                    (s, draws, observer) -> p.enlarge(
                            Pixels.of(picture, fit.width(), fit.height(), Filter.LANCZOS),
                            s.steps(),
                            s.eta(),
                            draws,
                            observer),
                    fit.notes());
        }

        @Override
        Tensor preview(Tensor sample) {
            return small(sample, z -> pipeline.vae().decode(z));
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }

    private static final class Classes extends PictureModel {
        private final ClassConditional pipeline;

        Classes(String name, ClassConditional pipeline) {
            super(name);
            this.pipeline = pipeline;
        }

        @Override
        Settings defaults(String prompt) {
            return Settings.of(prompt).withGuidance(3, 0).withSize(pipeline.width(), pipeline.height());
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            refusePrompt(r);
            refuseScheduler(r);
            Settings d = defaults("");
            return Job.of((s, draws, observer) -> pipeline.generate(
                    labels(r.label(), s.count()),
                    s.height() == 0 ? d.height() : s.height(),
                    s.width() == 0 ? d.width() : s.width(),
                    s.steps(),
                    s.guidance(),
                    draws,
                    observer));
        }

        @Override
        Tensor preview(Tensor sample) {
            return small(sample, pipeline::decode);
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }

    /** Diffusion transformers that read prompts. */
    private static final class Transformer extends PictureModel {
        private final TextPipeline pipeline;

        Transformer(String name, TextPipeline pipeline) {
            super(name);
            this.pipeline = pipeline;
        }

        @Override
        Settings defaults(String prompt) {
            return pipeline.defaults(prompt);
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            requirePrompt(r);
            refuseScheduler(r);
            return Job.of(pipeline::generate);
        }

        @Override
        Tensor preview(Tensor sample) {
            throw new UserError("this model shows no previews");
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }

    /** The diffusion transformer that draws classes. */
    private static final class ClassTransformer extends PictureModel {
        private static final double GUIDANCE = 4;

        private final DitPipeline pipeline;
        private final PipelineFolder source;

        ClassTransformer(String name, DitPipeline pipeline, PipelineFolder source) {
            super(name);
            this.pipeline = pipeline;
            this.source = source;
        }

        @Override
        void save(Path folder, boolean half) {
            if (source.names("autoencoder")) {
                throw new UserError(
                        source.folder() + ": works on latents of the video autoencoder, which diffusers does "
                                + "not know; copy the folder");
            }
            PipelineOrigin.of(source).write(folder, pipeline.weights(), half ? DType.FLOAT16 : null);
        }

        @Override
        Settings defaults(String prompt) {
            return Settings.of(prompt).withGuidance(GUIDANCE, 0);
        }

        @Override
        Job fromPrompt(ImageRequest r) {
            refusePrompt(r);
            refuseScheduler(r);
            if (r.label().isEmpty()) {
                throw new UserError("this model needs a class, a number or one of its names");
            }
            if (r.settings().width() != 0 || r.settings().height() != 0) {
                throw new UserError("this model draws pictures of the size trained on; leave the size out");
            }
            int label = pipeline.label(r.label());
            return Job.of((s, draws, observer) ->
                    pipeline.generate(Collections.nCopies(s.count(), label), s.steps(), s.guidance(), draws, observer));
        }

        @Override
        Tensor preview(Tensor sample) {
            throw new UserError("this model shows no previews");
        }

        @Override
        public void close() {
            pipeline.close();
        }
    }
}
