package dev.zoetrope.server;

import io.javalin.http.Context;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Numbers for Prometheus. */
final class Metrics {
    private static final String BEGUN = "begun";

    private final PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);

    Metrics(Models models, Jobs jobs) {
        new JvmMemoryMetrics().bindTo(registry);
        new JvmThreadMetrics().bindTo(registry);
        new ProcessorMetrics().bindTo(registry);
        new UptimeMetrics().bindTo(registry);
        for (Model m : models.all()) {
            List<Tag> tags = List.of(Tag.of("model", m.id()));
            Gauge.builder("zoetrope.queue.waiting", m, x -> x.lane().waiting())
                    .description("requests that wait for a model")
                    .tags(tags)
                    .register(registry);
            Gauge.builder("zoetrope.queue.busy", m, x -> x.lane().busy() ? 1 : 0)
                    .description("whether a model is at work")
                    .tags(tags)
                    .register(registry);
        }
        Gauge.builder("zoetrope.models.bytes", models, Models::taken)
                .description("what the weights in memory take")
                .register(registry);
        Gauge.builder("zoetrope.models.loads", models, Models::loads)
                .description("how often a model was loaded")
                .register(registry);
        Gauge.builder("zoetrope.jobs.open", jobs, Jobs::open)
                .description("jobs that wait or run")
                .register(registry);
    }

    static void begin(Context ctx) {
        ctx.attribute(BEGUN, System.nanoTime());
    }

    void end(Context ctx) {
        Long begun = ctx.attribute(BEGUN);
        if (begun != null) {
            String route = ctx.endpoints().lastHttpEndpoint() == null
                    ? "none"
                    : ctx.endpoints().lastHttpEndpoint().path;
            registry.timer("zoetrope.http", "route", route, "status", Integer.toString(ctx.statusCode()))
                    .record(System.nanoTime() - begun, TimeUnit.NANOSECONDS);
        }
    }

    void scrape(Context ctx) {
        ctx.contentType("text/plain; version=0.0.4; charset=utf-8").result(registry.scrape());
    }
}
