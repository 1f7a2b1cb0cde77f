-- How a run lost its attempts: how many lost attempts do not count, and how many graph hosts the run killed or may have
-- killed.
ALTER TABLE runs ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN suspected INTEGER NOT NULL DEFAULT 0;
