package dev.zoetrope.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.server.Job.Kind;
import dev.zoetrope.server.Job.Status;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JobStoreTest {
    @TempDir
    private Path folder;

    private static Job job(long created) {
        return new Job(
                Results.newId(Kind.VIDEO), Kind.VIDEO, "", "m", Status.QUEUED, 0, "{}", null, created, 0, 0, null);
    }

    @Test
    void eachJobIsTakenOnce() {
        try (JobStore store = JobStore.embedded(folder)) {
            IntStream.range(0, 20).forEach(i -> store.add(job(i)));
            List<CompletableFuture<List<String>>> workers = Stream.generate(
                            () -> CompletableFuture.supplyAsync(() -> Stream.generate(() -> store.take("m", 10, 1000))
                                    .takeWhile(Optional::isPresent)
                                    .map(j -> j.orElseThrow().id())
                                    .toList()))
                    .limit(3)
                    .toList();
            List<String> all = workers.stream().flatMap(w -> w.join().stream()).toList();
            assertThat(all).hasSize(20).doesNotHaveDuplicates();
        }
    }

    @Test
    void aWorkerThatIsGoneLosesItsJobAndOneThatIsThereKeepsIt() {
        try (JobStore store = JobStore.embedded(folder)) {
            Job j = job(1);
            store.add(j);
            assertThat(store.take("m", 100, 200)).isPresent();
            assertThat(store.take("m", 150, 300)).isEmpty();
            assertThat(store.progress(j.id(), 50, 250)).isTrue();
            assertThat(store.take("m", 220, 300)).isEmpty();
            assertThat(store.take("m", 260, 400)).isPresent();
        }
    }

    @Test
    void whatRanWhenAServerDiedStartsAgainAndWhatIsOverStays() {
        Job ran = job(1);
        Job done = job(2);
        try (JobStore store = JobStore.embedded(folder)) {
            store.add(ran);
            store.add(done);
            store.take("m", 1, Long.MAX_VALUE);
            store.take("m", 1, Long.MAX_VALUE);
            assertThat(store.end(done.id(), Status.COMPLETED, null, 5, 50)).isTrue();
            assertThat(store.end(done.id(), Status.FAILED, "late", 6, 60)).isFalse();
        }
        try (JobStore store = JobStore.embedded(folder)) {
            assertThat(store.take("m", System.currentTimeMillis(), 1)
                            .orElseThrow()
                            .id())
                    .isEqualTo(ran.id());
            assertThat(store.find(done.id()).orElseThrow().status()).isEqualTo(Status.COMPLETED);
            assertThat(store.expired(49)).isEmpty();
            assertThat(store.expired(51)).extracting(Job::id).containsExactly(done.id());
        }
    }
}
