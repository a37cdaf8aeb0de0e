package dev.zoetrope.curation;

import java.util.Arrays;

/** Connected components of a graph whose edges come one by one (union-find with halved paths, joined by size). */
public final class Components {
    private final int[] parent;
    private final int[] size;

    public Components(int nodes) {
        parent = new int[nodes];
        size = new int[nodes];
        Arrays.setAll(parent, i -> i);
        Arrays.fill(size, 1);
    }

    /** The node that stands for the component of another; changes as edges come. */
    public int find(int node) {
        int n = node;
        while (parent[n] != n) {
            parent[n] = parent[parent[n]];
            n = parent[n];
        }
        return n;
    }

    /** Whether the edge joined two components. */
    public boolean join(int a, int b) {
        int x = find(a);
        int y = find(b);
        if (x == y) {
            return false;
        }
        int large = size[x] >= size[y] ? x : y;
        int small = large == x ? y : x;
        parent[small] = large;
        size[large] += size[small];
        return true;
    }

    /** For each node the lowest id in its component. */
    public long[] lowest(long... ids) {
        long[] least = new long[ids.length];
        Arrays.fill(least, Long.MAX_VALUE);
        for (int i = 0; i < ids.length; i++) {
            least[find(i)] = Math.min(least[find(i)], ids[i]);
        }
        long[] r = new long[ids.length];
        Arrays.setAll(r, i -> least[find(i)]);
        return r;
    }
}
