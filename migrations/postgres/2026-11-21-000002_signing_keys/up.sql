-- A chain: each key names the one it replaces, and each key has at most one successor. The first names '', not NULL,
-- so that two first keys collide too.
CREATE TABLE signing_keys (
    kid text CONSTRAINT signing_keys_pkey PRIMARY KEY,
    algorithm text NOT NULL DEFAULT 'RS256',
    public_n bytea NOT NULL,
    public_e bytea NOT NULL,
    private_sealed bytea NOT NULL,
    predecessor text NOT NULL CONSTRAINT signing_keys_predecessor_key UNIQUE,
    created_at timestamptz NOT NULL,
    activates_at timestamptz NOT NULL
);
