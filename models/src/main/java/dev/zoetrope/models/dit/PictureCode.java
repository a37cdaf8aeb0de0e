package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.sora.VideoAutoencoder;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Map;

/**
 * What a transformer of pictures works on: latents of an autoencoder, scaled as diffusion wants them, or the pixels
 * themselves. B pictures, C channels, {@code h = H / factor}.
 */
public interface PictureCode extends AutoCloseable {
    /** C. */
    int channels();

    /** Pixels of a latent in height and width. */
    int factor();

    /** {@code [B, 3, H, W]} in -1..1 to {@code [B, C, h, w]}. */
    Tensor encode(Tensor pictures);

    /** {@code [B, C, h, w]} to {@code [B, 3, H, W]}, about -1..1. */
    Tensor decode(Tensor latents);

    /** Weights by the name of the part of a pipeline that they belong to. */
    Map<String, Weights> parts();

    @Override
    void close();

    static PictureCode pixels() {
        return new PictureCode() {
            @Override
            public int channels() {
                return 3;
            }

            @Override
            public int factor() {
                return 1;
            }

            @Override
            public Tensor encode(Tensor pictures) {
                return pictures.alias();
            }

            @Override
            public Tensor decode(Tensor latents) {
                return latents.alias();
            }

            @Override
            public Map<String, Weights> parts() {
                return Map.of();
            }

            @Override
            public void close() {
                // holds nothing
            }
        };
    }

    /** The folder of an {@link AutoencoderKl}; its means are the latents. */
    static PictureCode kl(Path folder) {
        AutoencoderKl vae = AutoencoderKl.load(folder);
        return new PictureCode() {
            @Override
            public int channels() {
                return vae.config().latentChannels();
            }

            @Override
            public int factor() {
                return vae.config().factor();
            }

            @Override
            public Tensor encode(Tensor pictures) {
                try (Scope s = Scope.open()) {
                    return s.keep(vae.scaled(vae.encode(pictures).mean()));
                }
            }

            @Override
            public Tensor decode(Tensor latents) {
                try (Scope s = Scope.open()) {
                    return s.keep(vae.decode(vae.unscaled(latents)));
                }
            }

            @Override
            public Map<String, Weights> parts() {
                return Map.of("vae", vae.weights());
            }

            @Override
            public void close() {
                vae.close();
            }
        };
    }

    /** The folder of a {@link VideoAutoencoder}, to which a picture is a clip of one frame. */
    static PictureCode video(Path folder) {
        return Pretrained.load(
                folder, (json, w) -> new OfVideo(new VideoAutoencoder(VideoAutoencoder.Config.of(json), w), w));
    }

    /** Pictures as clips of one frame. */
    record OfVideo(VideoAutoencoder autoencoder, Weights weights) implements PictureCode {
        @Override
        public int channels() {
            return autoencoder.config().latentChannels();
        }

        @Override
        public int factor() {
            return VideoAutoencoder.FACTOR;
        }

        @Override
        public Tensor encode(Tensor pictures) {
            try (Scope s = Scope.open()) {
                return s.keep(autoencoder.encode(pictures.unsqueeze(2)).select(2, 0));
            }
        }

        @Override
        public Tensor decode(Tensor latents) {
            try (Scope s = Scope.open()) {
                return s.keep(autoencoder.decode(latents.unsqueeze(2)).select(2, 0));
            }
        }

        @Override
        public Map<String, Weights> parts() {
            return Map.of("autoencoder", weights);
        }

        @Override
        public void close() {
            weights.close();
        }
    }
}
