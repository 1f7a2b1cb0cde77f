-- The ended runs of an assistant by their last change. Runs in flight are few and change often, so queries use their
-- own indexes.
CREATE INDEX runs_ended ON runs (tenant, assistant_id, status, updated_at, run_id)
    WHERE status = 'error' OR status = 'success' OR status = 'timeout' OR status = 'interrupted';
