-- The event log. The appending process proposes a record for a position that follows the thread's last one; the
-- database takes the record only if that is still the last position. See langopen_core::event_log for the algorithm.

-- The last position of each thread that was appended to lately. No index holds a position, so an append updates the row
-- in place.
CREATE TABLE log_threads (
    thread_id UUID PRIMARY KEY,
    millis BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    -- The position that the last append expected here.
    expected_millis BIGINT NOT NULL,
    expected_sequence BIGINT NOT NULL,
    -- The run whose events came last, and its attempt: earlier attempts of that run are refused.
    run_id UUID,
    attempt BIGINT
) WITH (fillfactor = 50);

-- The logs of resumable runs.
CREATE TABLE event_logs (
    run_id UUID PRIMARY KEY,
    thread_id UUID NOT NULL,
    first_millis BIGINT NOT NULL, -- when it began
    ended_at BIGINT
);
CREATE INDEX event_logs_of_thread ON event_logs (thread_id);
CREATE INDEX event_logs_by_end ON event_logs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX event_logs_by_beginning ON event_logs (first_millis);

-- The records: `kept_records` for replay, `live_records` for the readers of the moment. One append call writes one
-- record; the position of a record is that of its last event. Partitions go by the milliseconds of the position and are
-- dropped as a whole.
CREATE TABLE kept_records (
    thread_id UUID NOT NULL,
    millis BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    before_millis BIGINT NOT NULL, -- the position of the thread's previous record
    before_sequence BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('r', 't', 'e', 'x')), -- of a run, of the thread, the end of a run, the removal of the thread
    run_id UUID,
    mark UUID NOT NULL, -- identifies the append call
    bytes BYTEA NOT NULL,
    PRIMARY KEY (thread_id, millis, sequence)
) PARTITION BY RANGE (millis);
CREATE TABLE kept_records_other PARTITION OF kept_records DEFAULT;
CREATE TABLE live_records (LIKE kept_records INCLUDING ALL) PARTITION BY RANGE (millis);
CREATE TABLE live_records_other PARTITION OF live_records DEFAULT;

-- Which processes read which threads. A record that no process reads and that is not kept is not written.
CREATE TABLE event_processes (
    process_id UUID PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL -- by the server's clock; the process renews it
);
-- A foreign key would lock the row of the process for each reader. The sweep removes the rows of a process that is gone.
CREATE TABLE event_readers (
    thread_id UUID NOT NULL,
    process_id UUID NOT NULL,
    PRIMARY KEY (thread_id, process_id)
);

-- Appends one record to each of several threads. Each array has one element per thread. The outcomes are:
--
-- - taken: the record is there; `heard` says whether another process reads the thread.
-- - unwanted: the record is not kept, and nobody reads the thread.
-- - refused: the thread's last position is not the expected one, or a later attempt of the run has begun. The other
--   columns describe the thread; `done` says whether an earlier call of the same append has written the record.
CREATE FUNCTION event_log_append(
    p_process UUID, p_now BIGINT, p_threads UUID[], p_kinds TEXT[], p_runs UUID[], p_attempts BIGINT[], p_keeps BOOLEAN[], p_begins BOOLEAN[], p_reads BOOLEAN[], p_marks UUID[],
    p_expected_millis BIGINT[], p_expected_sequences BIGINT[], p_before_millis BIGINT[], p_before_sequences BIGINT[], p_millis BIGINT[], p_sequences BIGINT[], p_bytes BYTEA[]
) RETURNS TABLE (
    n BIGINT, outcome TEXT, heard BOOLEAN, millis BIGINT, sequence BIGINT, speaker UUID, speaker_attempt BIGINT, run_attempt BIGINT, kept BOOLEAN, ended BOOLEAN, done BOOLEAN
) LANGUAGE plpgsql ROWS 10 SET plan_cache_mode = 'force_generic_plan' AS $$
#variable_conflict use_column
DECLARE
    v_wanted UUID[] := p_threads;
    v_taken UUID[];
    v_answers BIGINT;
BEGIN
    -- A record that is not kept promises nothing after a crash, so its commit need not wait for the disk.
    IF NOT TRUE = ANY (p_keeps) THEN
        PERFORM set_config('synchronous_commit', 'off', TRUE);
    END IF;

    -- A record that is not kept is wanted if some process reads the thread, or if the appending process does not know
    -- yet that the run's log is kept, or that the thread which it removes has a log. A subquery for each condition is
    -- many times faster than a function, which Postgres would start anew for each thread.
    IF FALSE = ANY (p_keeps) THEN
        SELECT coalesce(array_agg(u.thread_id), '{}') INTO v_wanted
        FROM unnest(p_threads, p_kinds, p_runs, p_keeps, p_reads) AS u (thread_id, kind, run_id, keep, is_read)
        WHERE u.keep OR u.is_read
            OR EXISTS (SELECT 1 FROM event_readers r JOIN event_processes p USING (process_id) WHERE r.thread_id = u.thread_id AND p.until > clock_timestamp())
            OR EXISTS (SELECT 1 FROM event_logs l WHERE l.run_id = u.run_id)
            OR (u.kind = 'x' AND EXISTS (SELECT 1 FROM log_threads t WHERE t.thread_id = u.thread_id));
        IF cardinality(v_wanted) < cardinality(p_threads) THEN
            RETURN QUERY
            SELECT u.n, 'unwanted', FALSE,
                NULL::BIGINT, NULL::BIGINT, NULL::UUID, NULL::BIGINT, NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, NULL::BOOLEAN
            FROM unnest(p_threads) WITH ORDINALITY AS u (thread_id, n) WHERE NOT u.thread_id = ANY (v_wanted);
        END IF;
        IF v_wanted = '{}' THEN
            RETURN;
        END IF;
    END IF;

    -- Rows are locked in the order of their ids, so that two calls cannot wait for each other.
    WITH t AS (
        INSERT INTO log_threads AS t (thread_id, millis, sequence, expected_millis, expected_sequence, run_id, attempt)
        SELECT u.thread_id, u.millis, u.sequence, u.expected_millis, u.expected_sequence, CASE u.kind WHEN 'r' THEN u.run_id END, CASE u.kind WHEN 'r' THEN u.attempt END
        FROM unnest(p_threads, p_kinds, p_runs, p_attempts, p_expected_millis, p_expected_sequences, p_millis, p_sequences)
            AS u (thread_id, kind, run_id, attempt, expected_millis, expected_sequence, millis, sequence)
        WHERE u.thread_id = ANY (v_wanted)
            -- The sweep may have removed the thread's row, and then its last position is zero.
            AND (u.expected_millis = 0 OR EXISTS (SELECT 1 FROM log_threads t WHERE t.thread_id = u.thread_id))
            -- A later attempt has begun, even if it has appended nothing yet.
            AND NOT (u.kind = 'r' AND EXISTS (SELECT 1 FROM runs r WHERE r.run_id = u.run_id AND r.attempt > u.attempt))
        ORDER BY u.thread_id
        ON CONFLICT (thread_id) DO UPDATE SET millis = excluded.millis, sequence = excluded.sequence,
            expected_millis = excluded.expected_millis, expected_sequence = excluded.expected_sequence,
            run_id = coalesce(excluded.run_id, t.run_id), attempt = coalesce(excluded.attempt, t.attempt)
        WHERE t.millis = excluded.expected_millis AND t.sequence = excluded.expected_sequence
        RETURNING thread_id
    ) SELECT array_agg(thread_id) INTO v_taken FROM t;

    v_answers := coalesce(cardinality(v_taken), 0);

    IF v_answers > 0 AND TRUE = ANY (p_keeps) THEN
        INSERT INTO kept_records (thread_id, millis, sequence, before_millis, before_sequence, kind, run_id, mark, bytes)
        SELECT u.thread_id, u.millis, u.sequence, u.before_millis, u.before_sequence, u.kind, u.run_id, u.mark, u.bytes
        FROM unnest(p_threads, p_kinds, p_runs, p_keeps, p_marks, p_before_millis, p_before_sequences, p_millis, p_sequences, p_bytes)
            AS u (thread_id, kind, run_id, keep, mark, before_millis, before_sequence, millis, sequence, bytes)
        WHERE u.keep AND u.thread_id = ANY (v_taken);
    END IF;
    IF v_answers > 0 AND FALSE = ANY (p_keeps) THEN
        INSERT INTO live_records (thread_id, millis, sequence, before_millis, before_sequence, kind, run_id, mark, bytes)
        SELECT u.thread_id, u.millis, u.sequence, u.before_millis, u.before_sequence, u.kind, u.run_id, u.mark, u.bytes
        FROM unnest(p_threads, p_kinds, p_runs, p_keeps, p_marks, p_before_millis, p_before_sequences, p_millis, p_sequences, p_bytes)
            AS u (thread_id, kind, run_id, keep, mark, before_millis, before_sequence, millis, sequence, bytes)
        WHERE NOT u.keep AND u.thread_id = ANY (v_taken);
    END IF;
    IF TRUE = ANY (p_begins) THEN
        INSERT INTO event_logs (run_id, thread_id, first_millis) SELECT u.run_id, u.thread_id, u.millis
        FROM unnest(p_threads, p_runs, p_begins, p_millis) AS u (thread_id, run_id, begins, millis)
        WHERE u.begins AND u.thread_id = ANY (v_taken) ON CONFLICT DO NOTHING;
    END IF;
    IF 'e' = ANY (p_kinds) THEN
        UPDATE event_logs l SET ended_at = p_now FROM unnest(p_threads, p_kinds, p_runs) AS u (thread_id, kind, run_id)
        WHERE u.kind = 'e' AND u.thread_id = ANY (v_taken) AND l.run_id = u.run_id;
    END IF;
    IF 'x' = ANY (p_kinds) THEN
        DELETE FROM event_logs l USING unnest(p_threads, p_kinds) AS u (thread_id, kind)
        WHERE u.kind = 'x' AND u.thread_id = ANY (v_taken) AND l.thread_id = u.thread_id;
        DELETE FROM kept_records k USING unnest(p_threads, p_kinds) AS u (thread_id, kind)
        WHERE u.kind = 'x' AND u.thread_id = ANY (v_taken) AND k.thread_id = u.thread_id;
    END IF;

    IF v_answers > 0 THEN
        RETURN QUERY
        SELECT u.n, 'taken', EXISTS (SELECT 1 FROM event_readers r JOIN event_processes p USING (process_id)
                WHERE r.thread_id = u.thread_id AND r.process_id <> p_process AND p.until > clock_timestamp()),
            NULL::BIGINT, NULL::BIGINT, NULL::UUID, NULL::BIGINT, NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, NULL::BOOLEAN
        FROM unnest(p_threads) WITH ORDINALITY AS u (thread_id, n) WHERE u.thread_id = ANY (v_taken);
    END IF;
    IF v_answers = cardinality(v_wanted) THEN
        RETURN;
    END IF;
    -- This looks into every partition, so it is only for what was refused.
    RETURN QUERY
    SELECT u.n, 'refused', FALSE,
        t.millis, t.sequence, t.run_id, t.attempt, (SELECT r.attempt FROM runs r WHERE r.run_id = u.run_id), l.run_id IS NOT NULL, l.ended_at IS NOT NULL,
        EXISTS (SELECT 1 FROM kept_records k WHERE k.thread_id = u.thread_id AND k.millis = u.millis AND k.sequence = u.sequence AND k.mark = u.mark)
            OR EXISTS (SELECT 1 FROM live_records v WHERE v.thread_id = u.thread_id AND v.millis = u.millis AND v.sequence = u.sequence AND v.mark = u.mark)
    FROM unnest(p_threads, p_runs, p_marks, p_millis, p_sequences) WITH ORDINALITY AS u (thread_id, run_id, mark, millis, sequence, n)
    LEFT JOIN log_threads t USING (thread_id) LEFT JOIN event_logs l ON l.run_id = u.run_id
    WHERE u.thread_id = ANY (v_wanted) AND NOT u.thread_id = ANY (coalesce(v_taken, '{}'));
END
$$;

-- Creates the partitions of a table for the time from `p_from`, each `p_span` milliseconds long, and drops those that
-- end before `p_until`. If another transaction holds a lock for long, the next sweep does it; until then the default
-- partition takes the records.
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
