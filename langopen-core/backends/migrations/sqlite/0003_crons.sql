-- Runs on a schedule. A cron is deleted with its assistant, and with its thread if it has one.

CREATE TABLE crons (
    cron_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    assistant_id BLOB NOT NULL,
    thread_id BLOB REFERENCES threads ON DELETE CASCADE, -- NULL: each run gets a new thread
    enabled INTEGER NOT NULL,
    next_run_date INTEGER, -- NULL: the cron does not fire again
    end_time INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    schedule TEXT NOT NULL,
    timezone TEXT,
    on_run_completed TEXT,
    metadata TEXT NOT NULL,
    creator TEXT NOT NULL, -- the identity that its runs act for
    payload TEXT NOT NULL,
    FOREIGN KEY (tenant, assistant_id) REFERENCES assistants ON DELETE CASCADE
) STRICT;
CREATE INDEX crons_due ON crons (next_run_date, cron_id) WHERE enabled = 1 AND next_run_date IS NOT NULL;
CREATE INDEX crons_by_assistant ON crons (tenant, assistant_id);
CREATE INDEX crons_by_thread ON crons (thread_id) WHERE thread_id IS NOT NULL;
