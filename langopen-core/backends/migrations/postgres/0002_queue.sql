-- The most frequent operations of the queue are functions, so that each is one round trip. Every statement in a
-- function sees all transactions that were committed before the statement, so a read under a lock is current.
--
-- To change a function, add one with a new name, because processes of the previous version still call these.
--
-- Statistics about a queue are always out of date, so the functions make the planner use the indexes.
--
-- Every transaction takes its locks in this order: rows of threads (by id), advisory locks of limited tenants (by key),
-- rows of runs. A claim never waits for the row of a thread or a run.

-- Makes the thread's first due pending run ready and returns it. Does nothing if a run of the thread is ready or
-- running. The caller must hold the lock of the thread's row.
CREATE FUNCTION langopen_promote(p_thread_id UUID, p_now BIGINT) RETURNS UUID LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    v_next UUID;
BEGIN
    IF EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = p_thread_id AND r.in_front) THEN
        RETURN NULL;
    END IF;
    UPDATE runs SET ready = TRUE, delayed = FALSE WHERE run_id = (
        SELECT r.run_id FROM runs r
        WHERE r.thread_id = p_thread_id AND r.status = 'pending' AND (NOT r.delayed OR r.available_at <= p_now)
        ORDER BY r.available_at, r.run_id LIMIT 1)
    RETURNING run_id INTO v_next;
    RETURN v_next;
END $$;

-- Returns how many runs of a deployment are in flight, and their maximum; no row without a limit. Holds a lock until
-- the transaction ends, so that no other transaction uses the same room.
CREATE FUNCTION langopen_room(p_tenant TEXT) RETURNS TABLE (in_flight BIGINT, most BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    SELECT d.max_runs_in_flight INTO most FROM deployments d WHERE d.tenant = p_tenant;
    IF most IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(1818324335, hashtext(p_tenant));
    in_flight := (SELECT count(*) FROM runs r WHERE r.tenant = p_tenant AND r.status = 'pending')
        + (SELECT count(*) FROM runs r WHERE r.tenant = p_tenant AND r.status = 'running');
    RETURN NEXT;
END $$;

-- Creates a run, and its thread if need be. Outcomes:
--   added       created the run; returns when it may start, whether a claim may find a new run, and whether the thread
--               has no checkpoints
--   changed     the thread differs from what the caller read; returns its row, or a NULL tenant if it does not exist
--   taken       the run already exists, and conflicts with itself
--   in flight   another run is in flight, and the strategy is to reject
--   full        the deployment is at its limit; returns the number of runs in flight and the limit
--   supersedes  the caller must first cancel other runs in flight, and then call again with p_settled
CREATE FUNCTION langopen_enqueue(
    p_now BIGINT, p_run_id UUID, p_tenant TEXT, p_thread_id UUID, p_assistant_id UUID, p_graph_id TEXT, p_available_at BIGINT,
    p_multitask_strategy TEXT, p_resumable BOOLEAN, p_temporary BOOLEAN, p_webhook TEXT, p_metadata TEXT, p_kwargs TEXT, p_origin TEXT,
    -- the new content of the thread
    p_thread_metadata TEXT, p_thread_search TEXT, p_thread_config TEXT, p_ttl_strategy TEXT, p_ttl_minutes DOUBLE PRECISION,
    -- the thread as the caller read it; NULL: it did not exist
    p_seen_metadata TEXT, p_seen_config TEXT,
    p_settled BOOLEAN
) RETURNS TABLE (outcome TEXT, available_at BIGINT, wakes BOOLEAN, fresh_thread BOOLEAN, tenant TEXT, metadata TEXT, config TEXT,
    in_flight BIGINT, most BIGINT)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_thread RECORD;
    v_room RECORD;
    v_last RECORD;
    v_in_front BOOLEAN := FALSE;
    v_pending BOOLEAN := FALSE;
    v_fresh BOOLEAN := TRUE;
    v_delayed BOOLEAN := p_available_at > p_now;
    v_ready BOOLEAN;
    v_at BIGINT := greatest(p_available_at, p_now);
BEGIN
    IF p_seen_metadata IS NULL THEN
        SELECT m.in_flight, m.most INTO v_room FROM langopen_room(p_tenant) m;
        -- On an existing thread, the run may supersede others, so the limit is checked later.
        IF v_room.in_flight >= v_room.most AND NOT EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = p_thread_id) THEN
            RETURN QUERY SELECT CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.run_id = p_run_id) THEN 'taken' ELSE 'full' END, NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, NULL::TEXT, NULL::TEXT, NULL::TEXT,
                v_room.in_flight, v_room.most;
            RETURN;
        END IF;
        INSERT INTO threads (thread_id, tenant, status, created_at, updated_at, state_updated_at, metadata, metadata_search, config,
            ttl_strategy, ttl_minutes)
        VALUES (p_thread_id, p_tenant, 'busy', p_now, p_now, p_now, p_thread_metadata, p_thread_search::JSONB, p_thread_config,
            p_ttl_strategy, p_ttl_minutes)
        ON CONFLICT (thread_id) DO NOTHING;
        IF NOT FOUND THEN
            SELECT t.tenant, t.metadata, t.config INTO v_thread FROM threads t WHERE t.thread_id = p_thread_id;
            RETURN QUERY SELECT 'changed', NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, v_thread.tenant, v_thread.metadata, v_thread.config,
                NULL::BIGINT, NULL::BIGINT;
            RETURN;
        END IF;
    ELSE
        SELECT t.tenant, t.metadata, t.config INTO v_thread FROM threads t WHERE t.thread_id = p_thread_id FOR NO KEY UPDATE;
        IF NOT FOUND OR v_thread.tenant <> p_tenant OR v_thread.metadata <> p_seen_metadata OR v_thread.config <> p_seen_config THEN
            RETURN QUERY SELECT 'changed', NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, v_thread.tenant, v_thread.metadata, v_thread.config,
                NULL::BIGINT, NULL::BIGINT;
            RETURN;
        END IF;
        SELECT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = p_thread_id AND r.in_front),
            EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = p_thread_id AND r.status = 'pending'),
            NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = p_thread_id)
            INTO v_in_front, v_pending, v_fresh;
        IF NOT p_settled AND (v_in_front OR v_pending) AND p_multitask_strategy <> 'enqueue' THEN
            RETURN QUERY SELECT CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.run_id = p_run_id) THEN 'taken'
                WHEN p_multitask_strategy = 'reject' THEN 'in flight' ELSE 'supersedes' END,
                NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, NULL::TEXT, NULL::TEXT, NULL::TEXT, NULL::BIGINT, NULL::BIGINT;
            RETURN;
        END IF;
        SELECT m.in_flight, m.most INTO v_room FROM langopen_room(p_tenant) m;
        IF v_room.in_flight >= v_room.most THEN
            RETURN QUERY SELECT CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.run_id = p_run_id) THEN 'taken' ELSE 'full' END, NULL::BIGINT, NULL::BOOLEAN, NULL::BOOLEAN, NULL::TEXT, NULL::TEXT, NULL::TEXT,
                v_room.in_flight, v_room.most;
            RETURN;
        END IF;
        IF (v_pending OR v_in_front) AND NOT v_delayed THEN
            -- Runs start in the order in which the queue accepts them, even if clocks differ or go back. The run in
            -- front counts because its worker may release it.
            SELECT l.available_at, l.run_id INTO v_last FROM (
                (SELECT r.available_at, r.run_id FROM runs r
                    WHERE r.thread_id = p_thread_id AND r.status = 'pending' AND NOT r.delayed ORDER BY r.available_at DESC, r.run_id DESC LIMIT 1)
                UNION ALL
                (SELECT r.available_at, r.run_id FROM runs r WHERE r.thread_id = p_thread_id AND r.in_front)) l
                ORDER BY l.available_at DESC, l.run_id DESC LIMIT 1;
            IF (v_last.available_at, v_last.run_id) > (v_at, p_run_id) THEN
                v_at := v_last.available_at + (v_last.run_id > p_run_id)::INTEGER;
            END IF;
        END IF;
        UPDATE threads SET status = 'busy', metadata = p_thread_metadata, metadata_search = p_thread_search::JSONB, config = p_thread_config,
            updated_at = p_now WHERE thread_id = p_thread_id;
    END IF;
    v_ready := NOT (v_delayed OR v_in_front OR v_pending);
    INSERT INTO runs (run_id, tenant, thread_id, assistant_id, graph_id, status, ready, delayed, available_at, attempt, multitask_strategy,
        resumable, temporary, webhook, created_at, updated_at, metadata, kwargs, origin)
    VALUES (p_run_id, p_tenant, p_thread_id, p_assistant_id, p_graph_id, 'pending', v_ready, v_delayed, v_at, 0, p_multitask_strategy,
        p_resumable, p_temporary, p_webhook, v_at, p_now, p_metadata, p_kwargs, p_origin);
    -- Delayed runs of the thread may be due now, with an earlier start time than the new run.
    IF (v_pending OR NOT v_delayed) AND NOT (v_ready OR v_in_front) THEN
        v_ready := langopen_promote(p_thread_id, p_now) IS NOT NULL;
    END IF;
    RETURN QUERY SELECT 'added', v_at, v_ready OR v_delayed, v_fresh, NULL::TEXT, NULL::TEXT, NULL::TEXT, NULL::BIGINT, NULL::BIGINT;
END $$;

-- Puts due delayed runs in line and returns their number. Looks at the threads of at most p_max due runs. Skips threads
-- that another transaction has locked; the next call handles those.
CREATE FUNCTION langopen_wake_delayed(p_now BIGINT, p_max INTEGER) RETURNS BIGINT LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    v_threads UUID[];
    v_woken BIGINT;
BEGIN
    v_threads := ARRAY(SELECT t.thread_id FROM threads t
        WHERE t.thread_id IN (SELECT d.thread_id FROM runs d WHERE d.delayed AND d.available_at <= p_now ORDER BY d.available_at, d.run_id LIMIT p_max)
        ORDER BY t.thread_id FOR NO KEY UPDATE SKIP LOCKED);
    UPDATE runs SET delayed = FALSE WHERE thread_id = ANY (v_threads) AND delayed AND available_at <= p_now;
    GET DIAGNOSTICS v_woken = ROW_COUNT;
    PERFORM langopen_promote(w.thread_id, p_now) FROM unnest(v_threads) AS w (thread_id);
    RETURN v_woken;
END $$;

-- Claims runs with expired leases, then ready runs. Locks their rows, so that a write of an earlier attempt is
-- committed first.
--
-- Ready runs of the tenant with the fewest running runs come first, and within a tenant the oldest. A tenant never gets
-- more running runs than its deployment allows.
--
-- If the function finds fewer runs than wanted, the last row has no run, but the time at which the next run becomes
-- due. If it returns no row, many runs became due at once, and the next call continues with the rest. So no transaction
-- locks the threads of all of them.
CREATE FUNCTION langopen_claim(p_now BIGINT, p_worker TEXT, p_max INTEGER, p_lease_expires_at BIGINT, p_tenants TEXT[], p_lease_now BIGINT)
RETURNS TABLE (
    run_id UUID, tenant TEXT, thread_id UUID, assistant_id UUID, graph_id TEXT, metadata TEXT, status TEXT, kwargs TEXT,
    multitask_strategy TEXT, resumable BOOLEAN, temporary BOOLEAN, webhook TEXT, origin TEXT, attempt BIGINT, created_at BIGINT, updated_at BIGINT,
    cancel_action TEXT, cancel_reason TEXT, fresh_thread BOOLEAN, next_due BIGINT
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_left INTEGER := p_max;
    v_found INTEGER;
    v_tenants TEXT[];
    v_limited BOOLEAN;
BEGIN
    IF EXISTS (SELECT 1 FROM runs r WHERE r.delayed AND r.available_at <= p_now) AND langopen_wake_delayed(p_now, 1000) >= 1000 THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT r.run_id FROM runs r
        WHERE r.status = 'running' AND r.lease_expires_at <= p_lease_now AND (p_tenants IS NULL OR r.tenant = ANY (p_tenants))
        ORDER BY r.lease_expires_at LIMIT v_left FOR UPDATE SKIP LOCKED)
    UPDATE runs r SET attempt = r.attempt + 1, lease_owner = p_worker, lease_expires_at = p_lease_expires_at, updated_at = p_now
    FROM chosen WHERE r.run_id = chosen.run_id
    RETURNING r.run_id, r.tenant, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.status, r.kwargs, r.multitask_strategy, r.resumable,
        r.temporary, r.webhook, r.origin, r.attempt, r.created_at, r.updated_at, r.cancel_action, r.cancel_reason,
        NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = r.thread_id), NULL::BIGINT;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    v_left := v_left - v_found;

    IF v_left > 0 AND p_tenants IS NULL THEN
        -- One index lookup for each tenant that has ready runs.
        WITH RECURSIVE waiting AS (
            (SELECT r.tenant FROM runs r WHERE r.ready ORDER BY r.tenant LIMIT 1)
            UNION ALL
            SELECT (SELECT r.tenant FROM runs r WHERE r.ready AND r.tenant > w.tenant ORDER BY r.tenant LIMIT 1) FROM waiting w
            WHERE w.tenant IS NOT NULL)
        SELECT array_agg(w.tenant) INTO v_tenants FROM waiting w WHERE w.tenant IS NOT NULL;
    ELSIF v_left > 0 THEN
        SELECT array_agg(w.tenant) INTO v_tenants FROM unnest(p_tenants) AS w (tenant)
        WHERE EXISTS (SELECT 1 FROM runs r WHERE r.ready AND r.tenant = w.tenant);
    END IF;

    IF v_tenants IS NOT NULL THEN
        -- Only the holder of this lock counts a limited tenant's running runs and adds to them.
        PERFORM pg_advisory_xact_lock(1818324334, l.key) FROM (
            SELECT hashtext(d.tenant) AS key FROM deployments d
            WHERE d.tenant = ANY (v_tenants) AND d.max_running_runs IS NOT NULL ORDER BY 1) l;
        v_limited := FOUND;
    END IF;

    -- Other transactions may claim the same runs first. Then try again: those runs are no longer ready.
    FOR v_try IN 1..3 LOOP
        EXIT WHEN v_left = 0 OR v_tenants IS NULL;
        IF cardinality(v_tenants) = 1 AND NOT v_limited THEN
            RETURN QUERY
            WITH chosen AS MATERIALIZED (
                SELECT r.run_id FROM runs r WHERE r.ready AND r.tenant = v_tenants[1]
                ORDER BY r.available_at, r.run_id LIMIT v_left FOR UPDATE SKIP LOCKED)
            UPDATE runs r SET status = 'running', ready = FALSE, attempt = r.attempt + 1, lease_owner = p_worker,
                lease_expires_at = p_lease_expires_at, updated_at = p_now
            FROM chosen WHERE r.run_id = chosen.run_id
            RETURNING r.run_id, r.tenant, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.status, r.kwargs, r.multitask_strategy,
                r.resumable, r.temporary, r.webhook, r.origin, r.attempt, r.created_at, r.updated_at, r.cancel_action, r.cancel_reason,
                NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = r.thread_id), NULL::BIGINT;
            GET DIAGNOSTICS v_found = ROW_COUNT;
            v_left := v_left - v_found;
            -- SKIP LOCKED has already skipped the rows of other transactions, so there are no more runs.
            EXIT;
        END IF;
        RETURN QUERY
        WITH heads AS (
            -- At most as many tenants as wanted runs can have a turn.
            SELECT w.tenant, n.running, d.max_running_runs AS most FROM unnest(v_tenants) AS w (tenant)
            CROSS JOIN LATERAL (
                SELECT r.available_at FROM runs r WHERE r.ready AND r.tenant = w.tenant ORDER BY r.available_at, r.run_id LIMIT 1) f
            CROSS JOIN LATERAL (SELECT count(*) AS running FROM runs r WHERE r.status = 'running' AND r.tenant = w.tenant) n
            LEFT JOIN deployments d ON d.tenant = w.tenant
            WHERE d.max_running_runs IS NULL OR n.running < d.max_running_runs
            ORDER BY n.running, f.available_at LIMIT v_left),
        candidates AS (
            SELECT h.most, f.run_id, f.available_at,
                h.running + row_number() OVER (PARTITION BY h.tenant ORDER BY f.available_at, f.run_id) - 1 AS turn
            FROM heads h CROSS JOIN LATERAL (
                SELECT r.run_id, r.available_at FROM runs r WHERE r.ready AND r.tenant = h.tenant
                ORDER BY r.available_at, r.run_id LIMIT v_left * 2 + 8) f),
        chosen AS MATERIALIZED (
            SELECT r.run_id FROM candidates c JOIN runs r ON r.run_id = c.run_id
            WHERE r.ready AND (c.most IS NULL OR c.turn < c.most)
            ORDER BY c.turn, c.available_at, c.run_id LIMIT v_left FOR UPDATE OF r SKIP LOCKED)
        UPDATE runs r SET status = 'running', ready = FALSE, attempt = r.attempt + 1, lease_owner = p_worker,
            lease_expires_at = p_lease_expires_at, updated_at = p_now
        FROM chosen WHERE r.run_id = chosen.run_id
        RETURNING r.run_id, r.tenant, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.status, r.kwargs, r.multitask_strategy, r.resumable,
            r.temporary, r.webhook, r.origin, r.attempt, r.created_at, r.updated_at, r.cancel_action, r.cancel_reason,
            NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = r.thread_id), NULL::BIGINT;
        GET DIAGNOSTICS v_found = ROW_COUNT;
        v_left := v_left - v_found;
    END LOOP;

    IF v_left > 0 THEN
        next_due := (SELECT r.available_at FROM runs r WHERE r.delayed AND (p_tenants IS NULL OR r.tenant = ANY (p_tenants))
            ORDER BY r.available_at, r.run_id LIMIT 1);
        RETURN NEXT;
    END IF;
END $$;

-- Ends a run. Outcomes:
--   ended  the run has ended; returns the thread's next run if it may start now, and whether a claim may find a new run
--   tell   no change: the run has a webhook; the caller must first store its delivery, and then call again with p_told
--   lost   no change: the attempt is not the current one
CREATE FUNCTION langopen_finish(
    p_now BIGINT, p_run_id UUID, p_attempt BIGINT, p_status TEXT, p_told BOOLEAN,
    -- the new content of the thread
    p_thread_status TEXT, p_error TEXT, p_interrupts TEXT, p_values TEXT, p_leave_state BOOLEAN, p_state_checkpoint_id TEXT, p_state_rest TEXT
) RETURNS TABLE (outcome TEXT, promoted UUID, wakes BOOLEAN) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_thread_id UUID;
    v_run RECORD;
    v_others BOOLEAN;
    v_promoted UUID;
    v_makes_room BOOLEAN;
BEGIN
    SELECT r.thread_id INTO v_thread_id FROM runs r WHERE r.run_id = p_run_id AND r.attempt = p_attempt AND r.status = 'running';
    PERFORM 1 FROM threads t WHERE t.thread_id = v_thread_id FOR NO KEY UPDATE;
    SELECT r.tenant, r.temporary, r.webhook IS NOT NULL AS tells INTO v_run FROM runs r
        WHERE r.run_id = p_run_id AND r.attempt = p_attempt AND r.status = 'running' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'lost', NULL::UUID, FALSE;
        RETURN;
    ELSIF v_run.tells AND NOT p_told THEN
        RETURN QUERY SELECT 'tell', NULL::UUID, FALSE;
        RETURN;
    END IF;
    v_makes_room := EXISTS (SELECT 1 FROM deployments d WHERE d.tenant = v_run.tenant AND d.max_running_runs IS NOT NULL);
    IF v_run.temporary THEN
        DELETE FROM threads WHERE thread_id = v_thread_id;
        RETURN QUERY SELECT 'ended', NULL::UUID, v_makes_room;
        RETURN;
    END IF;
    UPDATE runs SET status = p_status, lease_owner = NULL, lease_expires_at = NULL, updated_at = p_now WHERE run_id = p_run_id;
    v_others := EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = v_thread_id AND r.status = 'pending');
    UPDATE threads SET status = CASE WHEN v_others THEN 'busy' ELSE p_thread_status END, updated_at = p_now, state_updated_at = p_now,
        error = p_error, interrupts = p_interrupts, "values" = coalesce(p_values, "values"),
        state_checkpoint_id = CASE WHEN p_leave_state THEN state_checkpoint_id ELSE p_state_checkpoint_id END,
        state_rest = CASE WHEN p_leave_state THEN state_rest ELSE p_state_rest END
    WHERE thread_id = v_thread_id;
    IF v_others THEN
        v_promoted := langopen_promote(v_thread_id, p_now);
    END IF;
    RETURN QUERY SELECT 'ended', v_promoted, v_makes_room OR v_promoted IS NOT NULL;
END $$;
