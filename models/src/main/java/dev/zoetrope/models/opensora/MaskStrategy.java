package dev.zoetrope.models.opensora;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;

/**
 * Which latent frames of references are given in a video, written as Open-Sora 1.2 writes it: groups joined by {@code ;},
 * each of up to six numbers joined by commas. Image to video is {@code "0"}: the first reference's first frame, first.
 */
public record MaskStrategy(List<Group> groups) {
    private static final int NUMBERS = 6;

    /**
     * @param loop the part of a long video that it acts on, from 0
     * @param reference which one, from 0
     * @param from first frame of the reference; a negative one counts from the end
     * @param to first frame of the video; a negative one counts from the end
     * @param length frames
     * @param edit 0 keeps the frames; up to 1 edits them from that share of the time on
     */
    public record Group(int loop, int reference, int from, int to, int length, double edit) {}

    /** An empty text has no groups; numbers left out are 0, a length left out is 1. */
    public static MaskStrategy of(String text) {
        List<Group> groups = new ArrayList<>();
        for (String group : text.isBlank() ? new String[0] : text.split(";", -1)) {
            String[] given = group.split(",", -1);
            String[] all = {"0", "0", "0", "0", "1", "0"};
            if (given.length > NUMBERS) {
                throw new UserError(
                        "mask strategy \"" + text + "\": a group has up to six numbers, not " + given.length);
            }
            System.arraycopy(given, 0, all, 0, given.length);
            try {
                groups.add(new Group(
                        Integer.parseInt(all[0].strip()),
                        Integer.parseInt(all[1].strip()),
                        Integer.parseInt(all[2].strip()),
                        Integer.parseInt(all[3].strip()),
                        Integer.parseInt(all[4].strip()),
                        Double.parseDouble(all[5].strip())));
            } catch (NumberFormatException e) {
                throw new UserError(
                        "mask strategy \"" + text + "\": \"" + group + "\" is not loop, reference, from, to, length, "
                                + "edit",
                        e);
            }
        }
        return new MaskStrategy(List.copyOf(groups));
    }

    /**
     * @param latents with the given frames in place, {@code [C, F, H, W]}
     * @param made 1 for frames to be made, the edit share for given ones, {@code [F]}
     */
    public record Applied(Tensor latents, Tensor made) {}

    /**
     * @param noise {@code [C, F, H, W]}
     * @param references {@code [C, f, H, W]} each
     * @param align first frames are moved to the nearest multiple of it; 1 for none
     */
    public Applied apply(Tensor noise, List<Tensor> references, int loop, int align) {
        long frames = noise.size(1);
        try (Scope s = Scope.open()) {
            Tensor latents = noise.copy();
            Tensor made = Tensor.ones(frames);
            for (Group g : groups) {
                if (g.loop != loop) {
                    continue;
                }
                if (g.reference < 0 || g.reference >= references.size()) {
                    throw new UserError(
                            "mask strategy names reference " + g.reference + "; there are " + references.size());
                }
                Tensor reference = references.get(g.reference);
                long from = start(g.from, align, reference.size(1));
                long to = start(g.to, align, frames);
                long n = Math.min(g.length, Math.min(frames - to, reference.size(1) - from));
                latents.narrow(1, to, n).copyInPlace(reference.narrow(1, from, n));
                made.narrow(0, to, n).fillInPlace(g.edit);
            }
            return new Applied(s.keep(latents), s.keep(made));
        }
    }

    private static long start(int given, int align, long frames) {
        long at = given < 0 ? frames + given : given;
        if (at < 0 || at >= frames) {
            throw new UserError("mask strategy names frame " + given + " of " + frames);
        }
        long below = at / align * align;
        boolean nearerAbove = at % align > align / 2.0 && below + align < frames;
        return nearerAbove ? below + align : below;
    }
}
