package dev.zoetrope.curation;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Which row of a component of near-duplicates stays. */
public enum Keep {
    /** The lowest id. */
    FIRST,
    /** The median by distance to the centroid: of n rows in rising order the one at n/2, as Bunny does. */
    MIDDLE,
    /** The farthest from the centroid, as SemDeDup does. */
    FAR,
    /** The one whose picture and text fit best. */
    CLIP_SCORE_MAX;

    /**
     * What it looks at.
     *
     * @param distance to the centroid
     * @param similarity of picture and text
     */
    public record Member(long id, double distance, double similarity) {}

    private static final Comparator<Member> BY_ID = Comparator.comparingLong(Member::id);

    /** {@code clip-score-max}. */
    public static Keep of(String name) {
        for (Keep k : values()) {
            if (k.toString().equals(name.toLowerCase(Locale.ROOT))) {
                return k;
            }
        }
        throw new UserError("keep \"" + name + "\" is not known; known: "
                + Arrays.stream(values()).map(Keep::toString).collect(Collectors.joining(", ")));
    }

    /** The one that stays; of equals the lowest id. */
    public Member of(Iterable<Member> component) {
        Comparator<Member> order =
                switch (this) {
                    case FIRST -> BY_ID;
                    case MIDDLE -> Comparator.comparingDouble(Member::distance).thenComparing(BY_ID);
                    case FAR ->
                        Comparator.comparingDouble(Member::distance).reversed().thenComparing(BY_ID);
                    case CLIP_SCORE_MAX ->
                        Comparator.comparingDouble(Member::similarity)
                                .reversed()
                                .thenComparing(BY_ID);
                };
        List<Member> sorted = new ArrayList<>();
        component.forEach(sorted::add);
        sorted.sort(order);
        return sorted.get(this == MIDDLE ? sorted.size() / 2 : 0);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
