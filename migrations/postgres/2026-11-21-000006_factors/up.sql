-- Second factors and passkeys: secrets sealed, everything that is presented kept as a hash.

-- The time step of the last code that was accepted, so that none is accepted twice.
ALTER TABLE users ADD COLUMN mfa_last_step bigint;
-- What the user's passkeys present instead of a name.
ALTER TABLE users ADD COLUMN passkey_handle bytea;
CREATE UNIQUE INDEX users_passkey_handle_key ON users (passkey_handle);

-- What raised the session to its level, and when its user last showed it.
ALTER TABLE user_sessions ADD COLUMN second_factor text;
ALTER TABLE user_sessions ADD COLUMN passkey_id uuid;
ALTER TABLE user_sessions ADD COLUMN mfa_verified_at timestamptz;

CREATE TABLE user_recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    CONSTRAINT user_recovery_codes_pkey PRIMARY KEY (user_id, code_hash)
);

-- Sign-ins whose first factor was right.
CREATE TABLE mfa_challenges (
    token_hash bytea CONSTRAINT mfa_challenges_pkey PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    first_factor text NOT NULL,
    passkey_id uuid,
    browser bytea,
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX mfa_challenges_user_id_idx ON mfa_challenges (user_id);
CREATE INDEX mfa_challenges_expires_at_idx ON mfa_challenges (expires_at);

CREATE TABLE trusted_browsers (
    id uuid CONSTRAINT trusted_browsers_pkey PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT trusted_browsers_token_hash_key UNIQUE,
    label text,
    ip_address inet,
    user_agent text,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX trusted_browsers_user_id_idx ON trusted_browsers (user_id);
CREATE INDEX trusted_browsers_expires_at_idx ON trusted_browsers (expires_at);

CREATE TABLE user_passkeys (
    id uuid CONSTRAINT user_passkeys_pkey PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id bytea NOT NULL CONSTRAINT user_passkeys_credential_id_key UNIQUE,
    -- As its authenticator encoded it (RFC 9052 section 7).
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    backup_eligible boolean NOT NULL,
    backed_up boolean NOT NULL,
    transports jsonb NOT NULL,
    aaguid uuid NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX user_passkeys_user_id_idx ON user_passkeys (user_id);

-- Ceremonies that have begun.
CREATE TABLE passkey_challenges (
    challenge_hash bytea CONSTRAINT passkey_challenges_pkey PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('registration', 'sign_in', 'named_sign_in', 'step_up')),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    session_id uuid,
    browser bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenges_user_id_idx ON passkey_challenges (user_id);
CREATE INDEX passkey_challenges_expires_at_idx ON passkey_challenges (expires_at);
