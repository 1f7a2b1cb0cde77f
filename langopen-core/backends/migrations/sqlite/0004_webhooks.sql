-- Webhooks of runs that have ended. A row has no foreign key to its run or thread, because both may be deleted before
-- the webhook is sent.
CREATE TABLE webhook_deliveries (
    run_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, -- when the webhook is due; while claimed: when the claim expires
    attempt INTEGER NOT NULL, -- the number of claims so far
    claimed INTEGER NOT NULL,
    failed_at INTEGER, -- when the dispatcher gave up
    last_error TEXT,
    payload TEXT -- NULL after the dispatcher gave up
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, run_id) WHERE failed_at IS NULL;
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (failed_at) WHERE failed_at IS NOT NULL;
