-- The keys form a chain: each names the one it replaces, the first one names ''. One successor each, so that of two
-- nodes that make the same step one fails.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL DEFAULT 'RS256',
    public_n BLOB NOT NULL,
    public_e BLOB NOT NULL,
    private_sealed BLOB NOT NULL,
    predecessor TEXT NOT NULL,
    created_at TEXT NOT NULL,
    activates_at TEXT NOT NULL,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (kid),
    CONSTRAINT signing_keys_predecessor_key UNIQUE (predecessor)
) STRICT;
