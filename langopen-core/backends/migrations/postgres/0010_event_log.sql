-- What runs said, for processes that have no Redis, and while it is away.
--
-- Whoever appends to a thread holds the lock of its row here until what it appended is committed: so records become visible in the order of their places.

-- The last place of each thread to which something was appended of late.
CREATE TABLE log_threads (
    thread_id UUID PRIMARY KEY,
    millis BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    -- Whose words the last ones of a run were: an earlier attempt of that run says nothing more.
    run_id UUID,
    attempt BIGINT
) WITH (fillfactor = 50);
CREATE INDEX log_threads_by_age ON log_threads (millis);

-- The logs of resumable runs that are kept.
CREATE TABLE event_logs (
    run_id UUID PRIMARY KEY,
    thread_id UUID NOT NULL,
    first_millis BIGINT NOT NULL, -- when it began
    ended_at BIGINT
);
CREATE INDEX event_logs_of_thread ON event_logs (thread_id);
CREATE INDEX event_logs_by_end ON event_logs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX event_logs_by_beginning ON event_logs (first_millis);

-- What is kept, and what is there for a few minutes only. A record is what was said in one call; its place is that of its last event. Partitions are by the milliseconds of
-- the place, and are dropped as a whole.
CREATE TABLE kept_records (
    thread_id UUID NOT NULL,
    millis BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    before_millis BIGINT NOT NULL, -- the thread's last place before it
    before_sequence BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('r', 't', 'e', 'x')), -- of a run, of the thread, the end of a run, the end of the thread
    run_id UUID,
    mark UUID NOT NULL, -- a record's own, however often it is tried to append it
    bytes BYTEA NOT NULL,
    PRIMARY KEY (thread_id, millis, sequence)
) PARTITION BY RANGE (millis);
CREATE TABLE kept_records_other PARTITION OF kept_records DEFAULT;
CREATE TABLE live_records (LIKE kept_records INCLUDING ALL) PARTITION BY RANGE (millis);
CREATE TABLE live_records_other PARTITION OF live_records DEFAULT;

-- Which processes read which threads. What nobody reads and nobody keeps is not written.
CREATE TABLE event_processes (
    process_id UUID PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL -- by the server's clock; it says again and again that it lives
);
CREATE TABLE event_readers (
    thread_id UUID NOT NULL,
    process_id UUID NOT NULL REFERENCES event_processes ON DELETE CASCADE,
    PRIMARY KEY (thread_id, process_id)
);
CREATE INDEX event_readers_of_process ON event_readers (process_id);

-- Whether Redis carries the log now, or these tables do. One row.
CREATE TABLE event_log_mode (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    generation BIGINT NOT NULL, -- counts the moves
    on_redis BOOLEAN NOT NULL,
    floor_millis BIGINT NOT NULL, -- what is appended since the last move has its place after this
    moved_at TIMESTAMPTZ NOT NULL,
    stays_seconds DOUBLE PRECISION NOT NULL -- how long the log stays here before it moves to Redis again
);
INSERT INTO event_log_mode (generation, on_redis, floor_millis, moved_at, stays_seconds) VALUES (0, TRUE, 0, 'epoch', 0);

-- Appends a record; all NULL if it goes nowhere: its log has ended, or nobody reads it and it is not kept; `late` if a later attempt of its run has begun. With a generation, the log must be in these tables
-- since then, or the record is stale. A copy of what was said elsewhere goes where it was, also before others, if that place is free, and names what was before it there. What is unsure may be elsewhere too,
-- where nobody can be asked: it goes where it would be there, after what others have copied, as long as readers wait for copies.
CREATE FUNCTION event_log_append(
    p_thread_id UUID, p_kind TEXT, p_run_id UUID, p_attempt BIGINT, p_keep BOOLEAN, p_mark UUID, p_count BIGINT, p_first_millis BIGINT, p_first_sequence BIGINT,
    p_before_millis BIGINT, p_before_sequence BIGINT, p_now BIGINT, p_again BOOLEAN, p_copy BOOLEAN, p_unsure BOOLEAN, p_read BOOLEAN, p_generation BIGINT, p_bytes BYTEA,
    OUT before_millis BIGINT, OUT before_sequence BIGINT, OUT last_millis BIGINT, OUT last_sequence BIGINT, OUT is_read BOOLEAN, OUT is_kept BOOLEAN, OUT stale BOOLEAN, OUT late BOOLEAN
) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := p_now / 1000;
    v_open BOOLEAN;
    v_floor BIGINT;
    v_early BOOLEAN; -- readers wait for copies for a while longer
    v_last RECORD;
    v_within BOOLEAN := FALSE;
BEGIN
    IF p_generation IS NOT NULL THEN
        -- Moving takes it alone.
        PERFORM pg_advisory_xact_lock_shared(7813570389617172);
        SELECT m.floor_millis, clock_timestamp() - m.moved_at < INTERVAL '2 seconds' INTO v_floor, v_early FROM event_log_mode m WHERE m.generation = p_generation AND NOT m.on_redis;
        stale := NOT FOUND;
        IF stale THEN
            RETURN;
        END IF;
    END IF;
    is_read := p_read OR EXISTS (
        SELECT 1 FROM event_readers r JOIN event_processes p USING (process_id)
        WHERE r.thread_id = p_thread_id AND p.until > clock_timestamp()
    );
    IF p_kind IN ('r', 'e') THEN
        SELECT l.ended_at IS NULL INTO v_open FROM event_logs l WHERE l.run_id = p_run_id;
    END IF;
    is_kept := p_kind = 't' OR v_open IS NOT NULL OR (p_kind = 'r' AND p_keep);
    IF NOT is_kept AND NOT is_read
        AND (p_kind <> 'x' OR NOT EXISTS (SELECT 1 FROM log_threads t WHERE t.thread_id = p_thread_id)) THEN
        RETURN;
    END IF;

    LOOP
        SELECT t.millis, t.sequence INTO before_millis, before_sequence
        FROM log_threads t WHERE t.thread_id = p_thread_id FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO log_threads (thread_id, millis, sequence) VALUES (p_thread_id, 0, 0) ON CONFLICT DO NOTHING;
    END LOOP;

    IF p_again THEN
        SELECT r.before_millis, r.before_sequence, r.millis, r.sequence, r.kept
        INTO before_millis, before_sequence, last_millis, last_sequence, is_kept
        FROM (
            SELECT k.*, TRUE AS kept FROM kept_records k WHERE k.thread_id = p_thread_id AND k.millis >= p_first_millis AND k.mark = p_mark
            UNION ALL
            SELECT v.*, FALSE FROM live_records v WHERE v.thread_id = p_thread_id AND v.millis >= p_first_millis AND v.mark = p_mark
        ) r;
        IF FOUND THEN
            RETURN;
        END IF;
        SELECT t.millis, t.sequence INTO before_millis, before_sequence FROM log_threads t WHERE t.thread_id = p_thread_id;
    END IF;
    IF p_kind = 'r' AND NOT p_copy THEN
        -- What a later attempt has said may be elsewhere, so the run itself is asked too.
        late := EXISTS (SELECT 1 FROM log_threads t WHERE t.thread_id = p_thread_id AND t.run_id = p_run_id AND t.attempt > p_attempt)
            OR EXISTS (SELECT 1 FROM runs r WHERE r.run_id = p_run_id AND r.attempt > p_attempt);
        IF late THEN
            RETURN;
        END IF;
    END IF;
    -- It may have ended, or begun, while we waited for the lock.
    IF p_kind IN ('r', 'e') THEN
        SELECT l.ended_at IS NULL INTO v_open FROM event_logs l WHERE l.run_id = p_run_id;
        is_kept := v_open IS NOT NULL OR (p_kind = 'r' AND p_keep);
        IF NOT v_open AND NOT p_copy THEN
            RETURN;
        END IF;
    END IF;

    IF p_copy THEN
        v_within := (p_first_millis, p_first_sequence) <= (before_millis, before_sequence) AND NOT EXISTS (
            SELECT 1 FROM kept_records k WHERE k.thread_id = p_thread_id AND k.millis = p_first_millis
                AND k.sequence BETWEEN p_first_sequence AND p_first_sequence + p_count - 1
            UNION ALL
            SELECT 1 FROM live_records v WHERE v.thread_id = p_thread_id AND v.millis = p_first_millis
                AND v.sequence BETWEEN p_first_sequence AND p_first_sequence + p_count - 1);
        IF v_within OR (p_first_millis, p_first_sequence) > (before_millis, before_sequence) THEN
            before_millis := p_before_millis;
            before_sequence := p_before_sequence;
        END IF;
    ELSIF p_first_millis <= v_floor AND p_unsure AND v_early THEN
        SELECT r.* INTO v_last FROM (
            (SELECT k.millis, k.sequence FROM kept_records k WHERE k.thread_id = p_thread_id AND k.millis BETWEEN p_first_millis AND v_floor
                ORDER BY k.millis DESC, k.sequence DESC LIMIT 1)
            UNION ALL
            (SELECT v.millis, v.sequence FROM live_records v WHERE v.thread_id = p_thread_id AND v.millis BETWEEN p_first_millis AND v_floor
                ORDER BY v.millis DESC, v.sequence DESC LIMIT 1)
        ) r ORDER BY r.millis DESC, r.sequence DESC LIMIT 1;
        IF (p_first_millis, p_first_sequence) <= (v_last.millis, v_last.sequence) THEN
            p_first_millis := v_last.millis;
            p_first_sequence := v_last.sequence + 1;
        END IF;
        v_within := (p_first_millis, p_first_sequence) <= (before_millis, before_sequence);
        IF v_within THEN
            before_millis := coalesce(v_last.millis, 0);
            before_sequence := coalesce(v_last.sequence, 0);
        END IF;
    ELSIF p_first_millis <= v_floor THEN
        -- It was to have a place elsewhere, where it may be another's by now.
        p_first_millis := v_floor + 1;
        p_first_sequence := 0;
    END IF;
    IF (p_first_millis, p_first_sequence) > (before_millis, before_sequence) THEN
        last_millis := p_first_millis;
        last_sequence := p_first_sequence;
    ELSIF v_now > before_millis THEN
        last_millis := v_now;
        last_sequence := 0;
    ELSE
        last_millis := before_millis;
        last_sequence := before_sequence + 1;
    END IF;
    last_sequence := last_sequence + p_count - 1;

    IF p_kind = 'x' THEN
        DELETE FROM event_logs l WHERE l.thread_id = p_thread_id;
        DELETE FROM kept_records k WHERE k.thread_id = p_thread_id;
    ELSIF p_kind = 'r' AND is_kept AND v_open IS NULL THEN
        INSERT INTO event_logs (run_id, thread_id, first_millis) VALUES (p_run_id, p_thread_id, last_millis);
    ELSIF p_kind = 'r' AND is_kept AND v_within THEN
        UPDATE event_logs l SET first_millis = last_millis WHERE l.run_id = p_run_id AND l.first_millis > last_millis;
    ELSIF p_kind = 'e' AND is_kept THEN
        UPDATE event_logs l SET ended_at = p_now WHERE l.run_id = p_run_id;
    END IF;
    IF is_kept THEN
        INSERT INTO kept_records (thread_id, millis, sequence, before_millis, before_sequence, kind, run_id, mark, bytes)
        VALUES (p_thread_id, last_millis, last_sequence, before_millis, before_sequence, p_kind, p_run_id, p_mark, p_bytes);
    ELSE
        INSERT INTO live_records (thread_id, millis, sequence, before_millis, before_sequence, kind, run_id, mark, bytes)
        VALUES (p_thread_id, last_millis, last_sequence, before_millis, before_sequence, p_kind, p_run_id, p_mark, p_bytes);
    END IF;
    IF v_within THEN
        RETURN;
    END IF;
    UPDATE log_threads t SET millis = last_millis, sequence = last_sequence,
        run_id = CASE WHEN p_kind = 'r' THEN p_run_id ELSE t.run_id END,
        attempt = CASE WHEN p_kind = 'r' AND t.run_id = p_run_id THEN greatest(t.attempt, p_attempt) WHEN p_kind = 'r' THEN p_attempt ELSE t.attempt END
    WHERE t.thread_id = p_thread_id;
END
$$;

-- Makes the partitions of a table for a while from `p_from`, each `p_span` milliseconds long, and drops those that end before `p_until`. What cannot
-- be done now, because others hold a lock for long, is done the next time; until then the default partition takes what comes.
CREATE FUNCTION event_log_partitions(p_table TEXT, p_from BIGINT, p_span BIGINT, p_until BIGINT) RETURNS VOID
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    v_start BIGINT;
    v_name TEXT;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7813570389617173) THEN
        RETURN;
    END IF;
    FOR v_start IN SELECT (p_from / p_span + n) * p_span FROM generate_series(0, 2) AS n LOOP
        v_name := p_table || '_' || v_start;
        IF to_regclass(v_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', v_name, p_table, v_start, v_start + p_span);
            EXCEPTION WHEN check_violation OR lock_not_available OR invalid_object_definition OR duplicate_table THEN
                -- The default partition has rows of that time, or someone reads for long.
            END;
        END IF;
    END LOOP;
    FOR v_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(p_table) AND c.relname ~ ('^' || p_table || '_[0-9]+$')
            AND substring(c.relname FROM '[0-9]+$')::BIGINT + p_span <= p_until
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', v_name);
        EXCEPTION WHEN lock_not_available OR undefined_table THEN
            -- The next time.
        END;
    END LOOP;
    EXECUTE format('DELETE FROM %I WHERE millis < %s', p_table || '_other', p_until);
END
$$;
