-- 1: the run waits for its start time. Once that has come, the run stays in line, even if the clock goes back.
ALTER TABLE runs ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET delayed = 1 WHERE status = 'pending' AND available_at > unixepoch() * 1000000;
-- At most one run of a thread is ready: the first run in line, while no run is running.
UPDATE runs SET ready = status = 'pending' AND delayed = 0
    AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = runs.thread_id AND o.status = 'running')
    AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = runs.thread_id AND o.status = 'pending' AND o.delayed = 0
        AND (o.available_at, o.run_id) < (runs.available_at, runs.run_id));
CREATE UNIQUE INDEX runs_one_ready ON runs (thread_id) WHERE ready = 1;
CREATE INDEX runs_delayed ON runs (available_at, tenant) WHERE delayed = 1;
