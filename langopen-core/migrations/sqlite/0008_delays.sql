-- 1: its time lay ahead when it was last looked at. A run that was due once is so still, whatever the clock says later.
ALTER TABLE runs ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET delayed = 1 WHERE status = 'pending' AND available_at > unixepoch() * 1000000;
