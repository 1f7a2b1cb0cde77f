-- Ids are UUIDs of 16 bytes, times are microseconds since the Unix epoch, and documents are JSON text.
-- Rows that belong to a thread or an assistant are deleted with it (ON DELETE CASCADE).

-- A system assistant has the same id in every tenant, so ids are unique within a tenant.
CREATE TABLE assistants (
    tenant TEXT NOT NULL,
    assistant_id BLOB NOT NULL,
    version INTEGER NOT NULL, -- the current version
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, assistant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE assistant_versions (
    tenant TEXT NOT NULL,
    assistant_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    graph_id TEXT NOT NULL,
    graph_folded TEXT NOT NULL, -- graph_id in lower case, to sort by
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL, -- name in lower case, to search in and to sort by
    description TEXT,
    updated_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    config TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (tenant, assistant_id, version),
    FOREIGN KEY (tenant, assistant_id) REFERENCES assistants ON DELETE CASCADE
) STRICT;

CREATE TABLE threads (
    thread_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    state_updated_at INTEGER NOT NULL,
    state_checkpoint_id TEXT, -- the root checkpoint that "values" and state_rest describe
    metadata TEXT NOT NULL,
    config TEXT NOT NULL,
    error TEXT,
    interrupts TEXT,
    state_rest TEXT, -- the latest state without its values
    ttl_strategy TEXT CHECK (ttl_strategy IN ('delete', 'keep_latest')), -- NULL: the thread never expires
    ttl_minutes REAL,
    pruned_at INTEGER, -- when its history was last cut
    expires_at INTEGER AS (CAST(max(updated_at, coalesce(pruned_at, updated_at)) + ttl_minutes * 60e6 AS INTEGER)),
    "values" TEXT
) STRICT;
CREATE INDEX threads_by_expiry ON threads (expires_at) WHERE ttl_minutes IS NOT NULL;
CREATE INDEX threads_by_update ON threads (tenant, updated_at, thread_id);

CREATE TABLE runs (
    run_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    thread_id BLOB NOT NULL REFERENCES threads ON DELETE CASCADE,
    assistant_id BLOB NOT NULL,
    graph_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'error', 'success', 'timeout', 'interrupted')),
    ready INTEGER NOT NULL, -- 1: no earlier run of the thread blocks this pending run
    available_at INTEGER NOT NULL, -- when it may start; runs of a thread start in this order
    attempt INTEGER NOT NULL,
    lease_owner TEXT,
    lease_expires_at INTEGER,
    cancel_action TEXT,
    cancel_reason TEXT,
    multitask_strategy TEXT NOT NULL,
    resumable INTEGER NOT NULL,
    temporary INTEGER NOT NULL,
    webhook TEXT, -- a URL that receives a request when the run ends
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    kwargs TEXT NOT NULL,
    origin TEXT -- what created the run: the request's id and its trace context
) STRICT;
CREATE UNIQUE INDEX runs_one_running ON runs (thread_id) WHERE status = 'running';
CREATE INDEX runs_ready ON runs (available_at, run_id) WHERE status = 'pending' AND ready = 1;
CREATE INDEX runs_pending ON runs (thread_id, available_at, run_id) WHERE status = 'pending';
CREATE INDEX runs_leases ON runs (lease_expires_at) WHERE status = 'running';
CREATE INDEX runs_by_thread ON runs (thread_id, created_at, run_id);

CREATE TABLE checkpoints (
    position INTEGER PRIMARY KEY, -- the order of acceptance: SQLite gives a new row a number above all others
    thread_id BLOB NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    parent_checkpoint_id TEXT,
    run_id BLOB, -- the run that created it; NULL for a state update or a copy
    kind TEXT NOT NULL,
    channel_versions TEXT NOT NULL, -- [[channel, version], ...]: the blobs with its values
    metadata TEXT NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (thread_id, checkpoint_ns, checkpoint_id)
) STRICT;
CREATE INDEX checkpoints_by_position ON checkpoints (thread_id, checkpoint_ns, position);

CREATE TABLE checkpoint_blobs (
    thread_id BLOB NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT NOT NULL,
    channel TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
) STRICT;

CREATE TABLE checkpoint_writes (
    thread_id BLOB NOT NULL REFERENCES threads ON DELETE CASCADE,
    checkpoint_ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    run_id BLOB,
    task_path TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
) STRICT;

CREATE TABLE store_items (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL, -- each label as JSON text, followed by a comma
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    ttl_minutes REAL,
    value TEXT NOT NULL,
    PRIMARY KEY (tenant, namespace, key)
) STRICT;
CREATE INDEX store_items_by_expiry ON store_items (expires_at) WHERE expires_at IS NOT NULL;

-- The logs of resumable runs. A log outlives its run's row for a while, so that readers can reconnect.
CREATE TABLE event_logs (
    run_id BLOB PRIMARY KEY,
    thread_id BLOB NOT NULL,
    first_millis INTEGER NOT NULL, -- the position of its first event among the thread's events
    first_sequence INTEGER NOT NULL,
    last_millis INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX event_logs_by_end ON event_logs (ended_at) WHERE ended_at IS NOT NULL;

-- The stored events of threads: those of resumable runs, and those of the thread itself.
CREATE TABLE events (
    thread_id BLOB NOT NULL,
    millis INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    run_id BLOB, -- NULL: an event of the thread itself
    name TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (thread_id, millis, sequence)
) STRICT;
CREATE INDEX events_of_threads ON events (millis) WHERE run_id IS NULL;

-- Health checks write to this row, to test that writes work.
CREATE TABLE health (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    checked_at INTEGER NOT NULL
) STRICT;
