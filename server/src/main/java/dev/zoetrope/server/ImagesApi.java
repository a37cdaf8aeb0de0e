package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tasks.TextToVideo;
import io.javalin.http.Context;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code /v1/images}: pictures while the client waits. */
final class ImagesApi {
    private static final int MOST = 10;
    private static final int JPEG_QUALITY = 92;

    private final Models models;
    private final Inputs inputs;
    private final Limits limits;

    ImagesApi(Models models, Inputs inputs, Limits limits) {
        this.models = models;
        this.inputs = inputs;
        this.limits = limits;
    }

    private record Made(Image image, long seed, Map<String, String> settings) {}

    void generate(Context ctx) {
        Json body = inputs.body(ctx);
        make(ctx, body, Ability.IMAGE, null);
    }

    void edit(Context ctx) {
        Json body = inputs.body(ctx);
        @Nullable Image picture = inputs.uploaded(ctx, "image", "image[]");
        if (picture == null && body.has("image")) {
            picture = inputs.base64Image(body.require("image"), "image");
        }
        if (picture == null) {
            throw ApiError.bad("image is missing: a file of the form, or base64", "image");
        }
        if (body.has("mask") || inputs.uploaded(ctx, "mask") != null) {
            throw ApiError.bad(
                    "masks are not supported here; leave the mask out, or use zoetrope generate image", "mask");
        }
        make(ctx, body, Ability.EDIT, picture);
    }

    private void make(Context ctx, Json body, Ability ability, @Nullable Image picture) {
        Model model = models.require(body.get("model", ""), ability);
        int count = body.get("n", 1);
        if (count < 1 || count > MOST) {
            throw ApiError.bad("n " + count + " is not between 1 and " + MOST, "n");
        }
        if (body.get("stream", false)) {
            throw ApiError.bad("pictures are not streamed; leave stream out", "stream");
        }
        String format = body.get("output_format", "png");
        if (!format.equals("png") && !format.equals("jpeg")) {
            throw ApiError.bad("output_format '" + format + "' is neither png nor jpeg", "output_format");
        }
        boolean url = body.get("response_format", "b64_json").equals("url");
        Wish wish = Wish.of(body, limits);
        List<Made> made = model.lane()
                .submit(flag -> made(model, wish, count, picture, flag))
                .await(new Presence(ctx));
        List<Map<String, Object>> data = new ArrayList<>();
        for (Made m : made) {
            byte[] bytes = format.equals("png") ? Images.png(m.image, m.settings) : Images.jpeg(m.image, JPEG_QUALITY);
            String text = Base64.getEncoder().encodeToString(bytes);
            Map<String, Object> one = new LinkedHashMap<>();
            one.put(url ? "url" : "b64_json", url ? "data:image/" + format + ";base64," + text : text);
            one.put("seed", m.seed);
            data.add(one);
        }
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("created", System.currentTimeMillis() / 1000);
        r.put("data", data);
        r.put("output_format", format);
        r.put("size", made.get(0).image.width() + "x" + made.get(0).image.height());
        Answers.json(ctx, r);
    }

    private List<Made> made(Model model, Wish wish, int count, @Nullable Image picture, Lane.Flag flag) {
        ImageListener listener = (step, steps, preview) -> flag.wanted();
        List<Made> r = new ArrayList<>();
        if (model.abilities().contains(Ability.VIDEO)) {
            models.use(model, TextToVideo.class, m -> {
                for (int i = 0; i < count; i++) {
                    Wish one = wish.withSeed(wish.seed() + i).withFrames(1);
                    TextToVideo.Request request =
                            picture == null ? one.request(m, null, limits) : one.edit(m, picture, limits);
                    GeneratedVideo video = m.watch(request, listener);
                    r.add(new Made(video.clip().frames().get(0), request.seed(), video.settings()));
                }
                return true;
            });
            return r;
        }
        return models.use(model, TextToImage.class, m -> {
            ImageRequest request = wish.request(m, picture != null);
            request = request.with(request.settings().withCount(count));
            List<GeneratedImage> all = picture == null
                    ? m.generate(request, listener)
                    : m.forPictures().generate(picture, wish.strength(), request, listener);
            return all.stream()
                    .map(g -> new Made(g.image(), g.seed(), g.settings()))
                    .toList();
        });
    }
}
