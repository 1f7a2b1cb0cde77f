-- An assistant's runs by their last change. Those in flight are few, and change often: they are found by the indexes over them.
CREATE INDEX runs_ended ON runs (tenant, assistant_id, status, updated_at, run_id) WHERE status IN ('error', 'success', 'timeout', 'interrupted');
