package dev.zoetrope.models.sora;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.navit.Packing;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SpaceTimeTransformerTest {
    private static final Map<String, Object> SMALL = Map.of(
            "latent_channels", 4, "hidden_size", 32, "layers", 2, "heads", 2, "text_width", 8, "text_queries", 2);

    private static SpaceTimeTransformer network(RandomSource random, boolean given) {
        Json json = Json.of("config", SMALL).with("given_frames", given);
        Weights w = Weights.draw(random);
        SpaceTimeTransformer network = new SpaceTimeTransformer(SpaceTimeTransformer.Config.of(json), w);
        // Training starts from an answer of zeros, which would hide everything.
        w.named().values().forEach(t -> t.copyInPlace(random.normal(t.shape()).mul(.2)));
        return network;
    }

    private static CaptionEncoder.Encoded caption(RandomSource random, int words) {
        return new CaptionEncoder.Encoded(
                random.normal(1, words, 8),
                random.normal(1, 2, 8),
                Tensor.ones(1, words).ne(0L));
    }

    private static double largest(Tensor t) {
        return t.abs().flatten(0).amax(false, 0).item();
    }

    @Test
    void packedClipsAreAnsweredAsAlone() {
        try (var off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(1)) {
            SpaceTimeTransformer network = network(random, true);
            List<SpaceTimeTransformer.Piece> pieces = new ArrayList<>();
            long[][] sizes = {{4, 2, 4, 4}, {4, 1, 4, 6}, {4, 3, 2, 4}, {4, 2, 6, 4}, {4, 1, 2, 2}};
            for (int i = 0; i < sizes.length; i++) {
                long[] n = sizes[i];
                Tensor z = random.normal(1, n[0], n[1], n[2], n[3]);
                boolean[] whole = new boolean[(int) n[1]];
                whole[0] = true;
                Tensor given = i % 2 == 0
                        ? null
                        : SpaceTimeNetwork.given(
                                z, Tensor.of(whole, 1, n[1]), Tensor.of(new boolean[whole.length], 1, n[1]));
                Tensor t = Tensor.full(.1 + .2 * i, 1);
                pieces.add(new SpaceTimeTransformer.Piece(z, t, caption(random, 2 + i), given));
            }
            Packing packing = Packing.of(pieces.stream().map(network::tokens).toList(), 24);
            assertThat(packing.rows()).isLessThan(pieces.size());
            List<Tensor> packed = network.packed(pieces, packing);
            for (int i = 0; i < pieces.size(); i++) {
                SpaceTimeTransformer.Piece p = pieces.get(i);
                Tensor alone = network.forward(p.latents(), p.t(), p.caption(), p.given());
                assertThat(largest(alone)).isGreaterThan(.1);
                assertThat(largest(packed.get(i).sub(alone))).as("clip %d", i).isLessThan(1e-4);
            }
        }
    }

    @Test
    void whatIsGivenIsSeenWhereItIsGiven() {
        try (var off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(2)) {
            SpaceTimeTransformer network = network(random, true);
            Tensor z = random.normal(1, 4, 2, 4, 4);
            Tensor clean = random.normal(1, 4, 2, 4, 4);
            CaptionEncoder.Encoded caption = caption(random, 3);
            Tensor t = Tensor.full(.3, 1);
            Tensor none = Tensor.of(new boolean[2], 1, 2);
            Tensor first = Tensor.of(new boolean[] {true, false}, 1, 2);
            Tensor plain = network.forward(z, t, caption, null);
            Tensor nothing = network.forward(z, t, caption, SpaceTimeNetwork.given(clean, none, none));
            Tensor whole = network.forward(z, t, caption, SpaceTimeNetwork.given(clean, first, none));
            Tensor still = network.forward(z, t, caption, SpaceTimeNetwork.given(clean, none, first));
            assertThat(largest(nothing.sub(plain))).isLessThan(1e-6);
            assertThat(largest(whole.sub(plain))).isGreaterThan(1e-2);
            assertThat(largest(whole.sub(still))).isGreaterThan(1e-2);
        }
    }

    @Test
    void oldWeightsHaveNoSuchInput() {
        try (Weights w = Weights.record()) {
            new SpaceTimeTransformer(SpaceTimeTransformer.Config.of(Json.of("config", SMALL)), w);
            assertThat(w.named().keySet()).noneMatch(name -> name.startsWith("given_in"));
        }
    }
}
