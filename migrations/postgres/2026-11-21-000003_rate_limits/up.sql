-- Unlogged: counters need no crash safety, and a sign-in should not wait for a disk on their behalf. After a crash
-- every bucket is full.
CREATE UNLOGGED TABLE rate_limits (
    bucket bytea CONSTRAINT rate_limits_pkey PRIMARY KEY,
    -- The theoretical arrival time: the bucket is full from this instant on.
    arrival_at timestamptz NOT NULL
);
CREATE INDEX rate_limits_arrival_at_idx ON rate_limits (arrival_at);
