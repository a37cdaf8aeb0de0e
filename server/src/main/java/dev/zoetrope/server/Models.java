package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** All models that are served. The weights of those used last stay in memory, within a budget. */
final class Models implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Models.class.getName());
    private static final List<String> BUILT_IN =
            List.of(BuiltIn.SORA, BuiltIn.LDM, BuiltIn.VIT, BuiltIn.CLIP, BuiltIn.SAM, BuiltIn.CHAT);

    private final Map<String, Model> models = new LinkedHashMap<>();
    private final long budget;
    private long loads;

    /**
     * @param names folders or names on the hub, with {@code NAME=} in front for another name
     * @param builtIn whether the models that come with Zoetrope are served too
     */
    Models(List<String> names, boolean builtIn, Limits limits) {
        budget = limits.memory();
        for (String name : names) {
            int at = name.indexOf('=');
            String source = name.substring(at + 1);
            Path folder = Hub.ofEnvironment().resolve(source);
            String id = at > 0 ? name.substring(0, at) : folder.endsWith(source) ? last(folder) : source;
            add(new Model(id, folder, limits));
        }
        for (String name : builtIn ? BUILT_IN : List.<String>of()) {
            if (!models.containsKey(name) && BuiltIn.has(name)) {
                add(new Model(name, BuiltIn.folder(name), limits));
            }
        }
        if (models.isEmpty()) {
            throw new UserError("no model to serve; name one with --model");
        }
    }

    private static String last(Path folder) {
        return String.valueOf(folder.toAbsolutePath().normalize().getFileName());
    }

    private void add(Model m) {
        if (m.bytes() > budget) {
            m.close();
            throw new UserError("the weights of " + m.id() + " take " + mebibytes(m.bytes())
                    + ", and all models together may take " + mebibytes(budget) + "; allow more with --memory");
        }
        if (models.putIfAbsent(m.id(), m) != null) {
            m.close();
            throw new UserError("two models are called " + m.id() + "; give one another name: --model NAME=DIR");
        }
    }

    static String mebibytes(long bytes) {
        return ((bytes + (1 << 20) - 1) >> 20) + " MiB";
    }

    List<Model> all() {
        return List.copyOf(models.values());
    }

    /** The first model that can do it. */
    Optional<Model> any(Ability ability) {
        return models.values().stream()
                .filter(m -> m.abilities().contains(ability))
                .findFirst();
    }

    /**
     * The model that a request names, or else the first that can do it.
     *
     * @throws ApiError 404 if there is none, 400 if it cannot do that
     */
    Model require(@Nullable String id, Ability ability) {
        if (id == null || id.isEmpty()) {
            return any(ability)
                    .orElseThrow(() -> ApiError.notFound(
                            "model_not_found",
                            "no model for " + ability.label() + " is served here; start the server with --model"));
        }
        Model m = models.get(id);
        if (m == null) {
            throw ApiError.notFound(
                    "model_not_found", "there is no model '" + id + "' here; there are " + models.keySet());
        }
        if (!m.abilities().contains(ability)) {
            throw ApiError.bad(
                    "model '" + id + "' is not for " + ability.label() + "; those are "
                            + models.values().stream()
                                    .filter(o -> o.abilities().contains(ability))
                                    .map(Model::id)
                                    .toList(),
                    "model");
        }
        return m;
    }

    /** The model of this name, or 404. */
    Model require(String id) {
        Model m = models.get(id);
        if (m == null) {
            throw ApiError.notFound(
                    "model_not_found", "there is no model '" + id + "' here; there are " + models.keySet());
        }
        return m;
    }

    /**
     * Works with a model, which is loaded if it is not, for which others may have to go.
     *
     * @throws ApiError 503 if the memory is taken by models that are at work
     */
    <T, R> R use(Model m, Class<T> type, Function<T, R> work) {
        reserve(m);
        try {
            return work.apply(type.cast(instance(m)));
        } finally {
            synchronized (this) {
                m.use(-1);
            }
        }
    }

    private AutoCloseable instance(Model m) {
        try {
            return m.instance();
        } catch (RuntimeException e) {
            synchronized (this) {
                m.reserve(false);
            }
            LOG.log(System.Logger.Level.ERROR, "model " + m.id() + " cannot be loaded", e);
            throw ApiError.internal("model '" + m.id() + "' cannot be loaded; the server's log says why");
        }
    }

    private synchronized void reserve(Model m) {
        if (!m.isReserved()) {
            long free = budget - taken();
            List<Model> idle = new ArrayList<>(models.values().stream()
                    .filter(o -> o.isReserved() && o.users() == 0)
                    .sorted(Comparator.comparingLong(Model::lastUse))
                    .toList());
            while (free < m.bytes() && !idle.isEmpty()) {
                Model oldest = idle.remove(0);
                oldest.unload();
                oldest.reserve(false);
                free += oldest.bytes();
            }
            if (free < m.bytes()) {
                throw ApiError.unavailable(
                        "memory",
                        "model '" + m.id() + "' needs " + mebibytes(m.bytes()) + ", of the " + mebibytes(budget)
                                + " allowed " + mebibytes(Math.max(0, free))
                                + " are free while other models are at work; try again later",
                        10);
            }
            m.reserve(true);
            loads++;
        }
        m.use(1);
    }

    /** Bytes that the weights in memory take. */
    synchronized long taken() {
        return models.values().stream()
                .filter(Model::isReserved)
                .mapToLong(Model::bytes)
                .sum();
    }

    /** How often a model was loaded. */
    synchronized long loads() {
        return loads;
    }

    /** Whether its weights are in memory. */
    synchronized boolean isLoaded(Model m) {
        return m.isReserved();
    }

    @Override
    public void close() {
        models.values().forEach(Model::close);
    }
}
