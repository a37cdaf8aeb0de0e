package dev.zoetrope.server;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.zoetrope.server.Job.Kind;
import dev.zoetrope.server.Job.Status;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Jobs in a database: H2 in a file, or PostgreSQL, where several servers may share it. A worker takes a job for a while
 * (its lease) and renews that as it goes; a job whose lease ran out is taken again, by whoever comes first.
 */
final class JobStore implements AutoCloseable {
    private static final String COLUMNS =
            "id, kind, owner, model, status, progress, settings, source, created, completed, expires, error";
    private static final int LONGEST_ERROR = 1000;

    private final HikariDataSource database;

    private JobStore(HikariDataSource database) {
        this.database = database;
    }

    /** A database in files of this folder, which one server may have open. */
    static JobStore embedded(Path folder) {
        Path file = folder.toAbsolutePath().normalize().resolve("jobs");
        JobStore store = open("jdbc:h2:file:" + file + ";DB_CLOSE_ON_EXIT=FALSE", "another server uses this folder");
        store.change(
                "UPDATE jobs SET lease = 0 WHERE status = ?", Status.IN_PROGRESS.label()); // of a process that is gone
        return store;
    }

    /** @param url as JDBC has it, such as {@code jdbc:postgresql://host/zoetrope?user=u&password=p} */
    static JobStore shared(String url) {
        if (!url.startsWith("jdbc:postgresql:")) {
            throw new UserError("--database: expected jdbc:postgresql://HOST/NAME?user=...");
        }
        return open(url, "is the database there, and may this user write in it?");
    }

    private static JobStore open(String url, String hint) {
        HikariConfig c = new HikariConfig();
        c.setJdbcUrl(url);
        c.setMaximumPoolSize(8);
        c.setInitializationFailTimeout(5000);
        c.setPoolName("jobs");
        JobStore store;
        try {
            store = new JobStore(new HikariDataSource(c));
        } catch (RuntimeException e) {
            throw new UserError("the jobs' database cannot be opened (" + root(e) + "); " + hint, e);
        }
        store.change("CREATE TABLE IF NOT EXISTS jobs (id VARCHAR(64) PRIMARY KEY, kind VARCHAR(16) NOT NULL, "
                + "owner VARCHAR(64) NOT NULL, model VARCHAR(400) NOT NULL, status VARCHAR(16) NOT NULL, "
                + "progress INT NOT NULL, settings VARCHAR(40000) NOT NULL, source VARCHAR(64), "
                + "created BIGINT NOT NULL, completed BIGINT NOT NULL, expires BIGINT NOT NULL, "
                + "error VARCHAR(1000), lease BIGINT NOT NULL)");
        store.change("CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (status, model, created)");
        return store;
    }

    private static String root(Throwable e) {
        return e.getCause() == null ? String.valueOf(e.getMessage()) : root(e.getCause());
    }

    void add(Job j) {
        change(
                "INSERT INTO jobs (" + COLUMNS + ", lease) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                j.id(),
                j.kind().label(),
                j.owner(),
                j.model(),
                j.status().label(),
                j.progress(),
                j.settings(),
                j.source(),
                j.created(),
                j.completed(),
                j.expires(),
                j.error());
    }

    Optional<Job> find(String id) {
        return list("SELECT " + COLUMNS + " FROM jobs WHERE id = ?", id).stream()
                .findFirst();
    }

    /**
     * The jobs of a key, the newest first.
     *
     * @param before only those created before that job; null for all
     */
    List<Job> of(String owner, @Nullable Kind kind, @Nullable Job before, int limit) {
        return list(
                "SELECT " + COLUMNS + " FROM jobs WHERE owner = ? AND (kind = ? OR ? = '') AND "
                        + "(created < ? OR (created = ? AND id < ?)) ORDER BY created DESC, id DESC LIMIT ?",
                owner,
                kind == null ? "" : kind.label(),
                kind == null ? "" : kind.label(),
                before == null ? Long.MAX_VALUE : before.created(),
                before == null ? Long.MAX_VALUE : before.created(),
                before == null ? "" : before.id(),
                limit);
    }

    /** How many jobs are not over. */
    int open() {
        return number(
                "SELECT COUNT(*) FROM jobs WHERE status IN (?, ?)", Status.QUEUED.label(), Status.IN_PROGRESS.label());
    }

    /**
     * Takes the oldest job of a model that waits, or whose worker is gone.
     *
     * @param lease milliseconds since 1970 until which it is this worker's
     */
    Optional<Job> take(String model, long now, long lease) {
        try (Connection c = database.getConnection()) {
            c.setAutoCommit(false);
            try {
                List<Job> one = list(
                        c,
                        "SELECT " + COLUMNS
                                + " FROM jobs WHERE model = ? AND (status = ? OR (status = ? AND lease < ?)) "
                                + "ORDER BY created, id LIMIT 1 FOR UPDATE SKIP LOCKED",
                        model,
                        Status.QUEUED.label(),
                        Status.IN_PROGRESS.label(),
                        now);
                for (Job j : one) {
                    change(
                            c,
                            "UPDATE jobs SET status = ?, progress = 0, lease = ? WHERE id = ?",
                            Status.IN_PROGRESS.label(),
                            lease,
                            j.id());
                }
                c.commit();
                return one.stream().findFirst();
            } catch (SQLException | RuntimeException e) {
                c.rollback();
                throw e;
            }
        } catch (SQLException e) {
            throw broken(e);
        }
    }

    /** Notes how far a job is and renews its lease. @return false if it is not in progress any more: it was cancelled */
    boolean progress(String id, int percent, long lease) {
        return change(
                        "UPDATE jobs SET progress = ?, lease = ? WHERE id = ? AND status = ?",
                        percent,
                        lease,
                        id,
                        Status.IN_PROGRESS.label())
                > 0;
    }

    /** Ends a job that is not over. @return whether it was not */
    boolean end(String id, Status status, @Nullable String error, long now, long expires) {
        return change(
                        "UPDATE jobs SET status = ?, error = ?, completed = ?, expires = ?, lease = 0, progress = "
                                + "CASE WHEN ? = 'completed' THEN 100 ELSE progress END "
                                + "WHERE id = ? AND status IN (?, ?)",
                        status.label(),
                        error == null || error.length() <= LONGEST_ERROR ? error : error.substring(0, LONGEST_ERROR),
                        now,
                        expires,
                        status.label(),
                        id,
                        Status.QUEUED.label(),
                        Status.IN_PROGRESS.label())
                > 0;
    }

    /** Gives a job back, for another worker or after a restart. */
    void giveBack(String id) {
        change(
                "UPDATE jobs SET status = ?, progress = 0, lease = 0 WHERE id = ? AND status = ?",
                Status.QUEUED.label(),
                id,
                Status.IN_PROGRESS.label());
    }

    void delete(String id) {
        change("DELETE FROM jobs WHERE id = ?", id);
    }

    /** Jobs that are over and past their time. */
    List<Job> expired(long now) {
        return list(
                "SELECT " + COLUMNS + " FROM jobs WHERE status NOT IN (?, ?) AND expires < ? LIMIT 100",
                Status.QUEUED.label(),
                Status.IN_PROGRESS.label(),
                now);
    }

    /** Whether the database answers. */
    boolean answers() {
        try {
            return number("SELECT 1") == 1;
        } catch (IllegalStateException e) {
            return false;
        }
    }

    private int number(String sql, Object... values) {
        try (Connection c = database.getConnection();
                PreparedStatement s = prepared(c, sql, values);
                ResultSet r = s.executeQuery()) {
            r.next();
            return r.getInt(1);
        } catch (SQLException e) {
            throw broken(e);
        }
    }

    private List<Job> list(String sql, Object... values) {
        try (Connection c = database.getConnection()) {
            return list(c, sql, values);
        } catch (SQLException e) {
            throw broken(e);
        }
    }

    private static List<Job> list(Connection c, String sql, Object... values) throws SQLException {
        List<Job> all = new ArrayList<>();
        try (PreparedStatement s = prepared(c, sql, values);
                ResultSet r = s.executeQuery()) {
            while (r.next()) {
                all.add(new Job(
                        r.getString(1),
                        Kind.valueOf(r.getString(2).toUpperCase(Locale.ROOT)),
                        r.getString(3),
                        r.getString(4),
                        Status.valueOf(r.getString(5).toUpperCase(Locale.ROOT)),
                        r.getInt(6),
                        r.getString(7),
                        r.getString(8),
                        r.getLong(9),
                        r.getLong(10),
                        r.getLong(11),
                        r.getString(12)));
            }
        }
        return all;
    }

    private int change(String sql, @Nullable Object... values) {
        try (Connection c = database.getConnection()) {
            return change(c, sql, values);
        } catch (SQLException e) {
            throw broken(e);
        }
    }

    private static int change(Connection c, String sql, @Nullable Object... values) throws SQLException {
        try (PreparedStatement s = prepared(c, sql, values)) {
            return s.executeUpdate();
        }
    }

    private static PreparedStatement prepared(Connection c, String sql, @Nullable Object... values)
            throws SQLException {
        PreparedStatement s = c.prepareStatement(sql);
        for (int i = 0; i < values.length; i++) {
            s.setObject(i + 1, values[i]);
        }
        return s;
    }

    private static IllegalStateException broken(SQLException e) {
        return new IllegalStateException("the jobs' database failed: " + e.getMessage(), e);
    }

    @Override
    public void close() {
        database.close();
    }
}
