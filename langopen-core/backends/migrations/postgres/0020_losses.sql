-- How a run's attempts were lost: how many do not count, and how many graph hosts the run ended or may have ended.
ALTER TABLE runs ADD COLUMN excused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN suspected BIGINT NOT NULL DEFAULT 0;
