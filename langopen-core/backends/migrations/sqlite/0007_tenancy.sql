-- Deployments and API keys of the installation, and the indexes for claims that take turns between tenants.

-- A deployment without a row has no host and no limit.
CREATE TABLE deployments (
    tenant TEXT PRIMARY KEY,
    hosts TEXT NOT NULL, -- a JSON array of names in lower case
    max_running_runs INTEGER,
    max_runs_in_flight INTEGER,
    max_requests_per_second INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    key_id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE, -- of the secret, which is not stored
    prefix TEXT NOT NULL, -- the first characters of the secret
    scope TEXT NOT NULL, -- organization/project/deployment, organization/project/* or organization/*
    role TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'operator', 'admin')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;

DROP INDEX runs_ready;
CREATE INDEX runs_ready ON runs (tenant, available_at, run_id) WHERE status = 'pending' AND ready = 1;
-- With these two indexes, SQLite counts the runs of a tenant without reading their rows.
DROP INDEX runs_pending;
CREATE INDEX runs_pending ON runs (thread_id, available_at, run_id, tenant) WHERE status = 'pending';
DROP INDEX runs_leases;
CREATE INDEX runs_leases ON runs (lease_expires_at, tenant) WHERE status = 'running';
