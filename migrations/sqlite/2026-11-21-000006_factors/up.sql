-- Second factors and passkeys: secrets sealed, everything that is presented kept as a hash.

-- The time step of the last code that was accepted, so that none is accepted twice.
ALTER TABLE users ADD COLUMN mfa_last_step INTEGER;
-- What the user's passkeys present instead of a name.
ALTER TABLE users ADD COLUMN passkey_handle BLOB;
CREATE UNIQUE INDEX users_passkey_handle_key ON users (passkey_handle);

-- What raised the session to its level, and when its user last showed it.
ALTER TABLE user_sessions ADD COLUMN second_factor TEXT;
ALTER TABLE user_sessions ADD COLUMN passkey_id BLOB;
ALTER TABLE user_sessions ADD COLUMN mfa_verified_at TEXT;

CREATE TABLE user_recovery_codes (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    CONSTRAINT user_recovery_codes_pkey PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;

-- Sign-ins whose first factor was right.
CREATE TABLE mfa_challenges (
    token_hash BLOB NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    first_factor TEXT NOT NULL,
    passkey_id BLOB,
    browser BLOB,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT mfa_challenges_pkey PRIMARY KEY (token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX mfa_challenges_user_id_idx ON mfa_challenges (user_id);
CREATE INDEX mfa_challenges_expires_at_idx ON mfa_challenges (expires_at);

CREATE TABLE trusted_browsers (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash BLOB NOT NULL,
    label TEXT,
    ip_address TEXT,
    user_agent TEXT,
    created_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT trusted_browsers_pkey PRIMARY KEY (id),
    CONSTRAINT trusted_browsers_token_hash_key UNIQUE (token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX trusted_browsers_user_id_idx ON trusted_browsers (user_id);
CREATE INDEX trusted_browsers_expires_at_idx ON trusted_browsers (expires_at);

CREATE TABLE user_passkeys (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id BLOB NOT NULL,
    -- As its authenticator encoded it (RFC 9052 section 7).
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL,
    backup_eligible INTEGER NOT NULL CHECK (backup_eligible IN (0, 1)),
    backed_up INTEGER NOT NULL CHECK (backed_up IN (0, 1)),
    transports TEXT NOT NULL CHECK (json_valid(transports)),
    aaguid BLOB NOT NULL,
    label TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_used_at TEXT,
    CONSTRAINT user_passkeys_pkey PRIMARY KEY (id),
    CONSTRAINT user_passkeys_credential_id_key UNIQUE (credential_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_passkeys_user_id_idx ON user_passkeys (user_id);

-- Ceremonies that have begun.
CREATE TABLE passkey_challenges (
    challenge_hash BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('registration', 'sign_in', 'named_sign_in', 'step_up')),
    user_id BLOB REFERENCES users (id) ON DELETE CASCADE,
    session_id BLOB,
    browser BLOB,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT passkey_challenges_pkey PRIMARY KEY (challenge_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_challenges_user_id_idx ON passkey_challenges (user_id);
CREATE INDEX passkey_challenges_expires_at_idx ON passkey_challenges (expires_at);
