-- What is to be told about runs that have ended. It hangs on no run and no thread: both may be gone before it is sent.
CREATE TABLE webhook_deliveries (
    run_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, -- while claimed: when the claim expires
    attempt INTEGER NOT NULL, -- how often it was claimed
    claimed INTEGER NOT NULL,
    failed_at INTEGER, -- when it was given up
    last_error TEXT,
    payload TEXT -- NULL once it was given up
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, run_id) WHERE failed_at IS NULL;
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (failed_at) WHERE failed_at IS NOT NULL;
