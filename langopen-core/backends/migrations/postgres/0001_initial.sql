-- Ids are UUIDs and times are microseconds since the Unix epoch. Documents are JSON text, so clients read them back
-- with the same order and spelling.
-- Texts compare by their bytes (COLLATE "C"), independent of the database's locale.
--
-- Statements name the columns that they read and write, never "*". So a process of the previous version still works
-- with a newer schema.

-- A system assistant has the same id in every tenant, so ids are unique within a tenant.
CREATE TABLE assistants (
    tenant TEXT COLLATE "C" NOT NULL,
    assistant_id UUID NOT NULL,
    version BIGINT NOT NULL, -- the current version
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, assistant_id)
);

CREATE TABLE assistant_versions (
    tenant TEXT COLLATE "C" NOT NULL,
    assistant_id UUID NOT NULL,
    version BIGINT NOT NULL,
    graph_id TEXT COLLATE "C" NOT NULL,
    graph_folded TEXT COLLATE "C" NOT NULL, -- graph_id in lower case, to sort by
    name TEXT COLLATE "C" NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL, -- name in lower case, to search in and to sort by
    description TEXT,
    updated_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    metadata_search JSONB NOT NULL, -- as SQL conditions read it
    config TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (tenant, assistant_id, version),
    FOREIGN KEY (tenant, assistant_id) REFERENCES assistants ON DELETE CASCADE
);

CREATE TABLE threads (
    thread_id UUID PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state_updated_at BIGINT NOT NULL,
    state_checkpoint_id TEXT COLLATE "C", -- the root checkpoint that "values" and state_rest describe
    metadata TEXT NOT NULL,
    metadata_search JSONB NOT NULL, -- as SQL conditions read it
    config TEXT NOT NULL,
    error TEXT,
    interrupts TEXT,
    state_rest TEXT, -- the latest state without its values
    ttl_strategy TEXT CHECK (ttl_strategy IN ('delete', 'keep_latest')), -- NULL: the thread never expires
    ttl_minutes DOUBLE PRECISION,
    pruned_at BIGINT, -- when its history was last cut
    -- 9223372036854774784 is the greatest number that both BIGINT and DOUBLE PRECISION can represent.
    expires_at BIGINT GENERATED ALWAYS AS
        (trunc(least(greatest(updated_at, coalesce(pruned_at, updated_at)) + ttl_minutes * 60e6, 9223372036854774784))::BIGINT) STORED,
    "values" TEXT
);
CREATE INDEX threads_by_expiry ON threads (expires_at) WHERE ttl_minutes IS NOT NULL;
CREATE INDEX threads_by_update ON threads (tenant, updated_at, thread_id);
CREATE INDEX threads_by_metadata ON threads USING gin (metadata_search jsonb_path_ops);

-- A transaction that changes which run of a thread is next first locks the thread's row, then the run's row. See 0002.
CREATE TABLE runs (
    run_id UUID PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    thread_id UUID NOT NULL REFERENCES threads ON DELETE CASCADE,
    assistant_id UUID NOT NULL,
    graph_id TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'running', 'error', 'success', 'timeout', 'interrupted')),
    ready BOOLEAN NOT NULL CHECK (NOT ready OR status = 'pending'), -- a worker may start it now
    -- At most one run of a thread is in front: the running one, else the ready one. This is a column, because the
    -- planner could otherwise use the index runs_in_front for queries on ready runs.
    in_front BOOLEAN GENERATED ALWAYS AS (ready OR status = 'running') STORED,
    -- The run waits for its start time. Once that has come, the run stays in line, even if the clock goes back.
    delayed BOOLEAN NOT NULL CHECK (NOT delayed OR status = 'pending'),
    available_at BIGINT NOT NULL, -- when it may start; runs of a thread start in this order
    attempt BIGINT NOT NULL,
    lease_owner TEXT,
    lease_expires_at BIGINT,
    cancel_action TEXT,
    cancel_reason TEXT,
    multitask_strategy TEXT NOT NULL,
    resumable BOOLEAN NOT NULL,
    temporary BOOLEAN NOT NULL,
    webhook TEXT, -- a URL that receives a request when the run ends
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    kwargs TEXT NOT NULL,
    origin TEXT, -- what created the run: the request's id and its trace context
    CHECK (NOT (ready AND delayed))
);
CREATE UNIQUE INDEX runs_in_front ON runs (thread_id) WHERE in_front; -- so a thread never has two running runs
CREATE INDEX runs_ready ON runs (tenant, available_at, run_id) WHERE ready;
CREATE INDEX runs_delayed ON runs (available_at, run_id) WHERE delayed;
CREATE INDEX runs_pending ON runs (thread_id, available_at, run_id) WHERE status = 'pending';
CREATE INDEX runs_pending_of_tenants ON runs (tenant) WHERE status = 'pending';
CREATE INDEX runs_running ON runs (tenant, lease_expires_at) WHERE status = 'running';
CREATE INDEX runs_by_thread ON runs (thread_id, created_at, run_id);

CREATE TABLE checkpoints (
    -- The order in which the database accepted the checkpoints; the latest has the highest position. Ids do not give
    -- this order, because they contain the clocks of hosts. Within a thread, positions increase, with gaps.
    position BIGINT GENERATED ALWAYS AS IDENTITY,
    thread_id UUID NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT COLLATE "C" NOT NULL,
    checkpoint_id TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    parent_checkpoint_id TEXT COLLATE "C",
    run_id UUID, -- the run that created it; NULL for a state update or a copy
    kind TEXT NOT NULL,
    channels TEXT[] COLLATE "C" NOT NULL, -- the blobs with its values: the channels,
    versions TEXT[] COLLATE "C" NOT NULL, -- and the version of each, in the same order
    metadata TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX checkpoints_by_position ON checkpoints (thread_id, checkpoint_ns, position);

CREATE TABLE checkpoint_blobs (
    thread_id UUID NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);

CREATE TABLE checkpoint_writes (
    thread_id UUID NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT COLLATE "C" NOT NULL,
    checkpoint_id TEXT COLLATE "C" NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    idx BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    run_id UUID,
    task_path TEXT COLLATE "C" NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);

CREATE TABLE store_items (
    tenant TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL, -- each label as JSON text, followed by a comma
    key TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    ttl_minutes DOUBLE PRECISION,
    value TEXT NOT NULL,
    PRIMARY KEY (tenant, namespace, key)
);
CREATE INDEX store_items_by_expiry ON store_items (expires_at) WHERE expires_at IS NOT NULL;

-- The embeddings of the texts in store items: vectors of 32-bit floats, little-endian.
CREATE TABLE store_vectors (
    tenant TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL, -- the path of the text in the item's value
    vector BYTEA NOT NULL,
    PRIMARY KEY (tenant, namespace, key, path),
    FOREIGN KEY (tenant, namespace, key) REFERENCES store_items ON DELETE CASCADE
);

-- Runs on a schedule. A cron is deleted with its assistant, and with its thread if it has one.
CREATE TABLE crons (
    cron_id UUID PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    assistant_id UUID NOT NULL,
    thread_id UUID REFERENCES threads ON DELETE CASCADE, -- NULL: each run gets a new thread
    enabled BOOLEAN NOT NULL,
    next_run_date BIGINT, -- NULL: the cron does not fire again
    end_time BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    schedule TEXT NOT NULL,
    timezone TEXT,
    on_run_completed TEXT,
    metadata TEXT NOT NULL,
    creator TEXT NOT NULL, -- the identity that its runs act for
    payload TEXT NOT NULL,
    FOREIGN KEY (tenant, assistant_id) REFERENCES assistants ON DELETE CASCADE
);
CREATE INDEX crons_due ON crons (next_run_date, cron_id) WHERE enabled AND next_run_date IS NOT NULL;
CREATE INDEX crons_by_assistant ON crons (tenant, assistant_id);
CREATE INDEX crons_by_thread ON crons (thread_id) WHERE thread_id IS NOT NULL;

-- Webhooks of runs that have ended. A row has no foreign key to its run or thread, because both may be deleted before
-- the webhook is sent.
CREATE TABLE webhook_deliveries (
    run_id UUID PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL, -- when the webhook is due; while claimed: when the claim expires
    attempt BIGINT NOT NULL, -- the number of claims so far
    claimed BOOLEAN NOT NULL,
    failed_at BIGINT, -- when the dispatcher gave up
    last_error TEXT,
    payload TEXT -- NULL after the dispatcher gave up
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, run_id) WHERE failed_at IS NULL;
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (failed_at) WHERE failed_at IS NOT NULL;

-- Deployments and API keys of the installation. A deployment without a row has no host and no limit.
CREATE TABLE deployments (
    tenant TEXT COLLATE "C" PRIMARY KEY,
    hosts TEXT NOT NULL, -- a JSON array of names in lower case
    max_running_runs BIGINT,
    max_runs_in_flight BIGINT,
    max_requests_per_second BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    key_id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE, -- of the secret, which is not stored
    prefix TEXT NOT NULL, -- the first characters of the secret
    scope TEXT NOT NULL, -- organization/project/deployment, organization/project/* or organization/*
    role TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'operator', 'admin')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);

-- Health checks write to this row, to test that writes work.
CREATE TABLE health (
    one BOOLEAN PRIMARY KEY CHECK (one),
    checked_at BIGINT NOT NULL
);
