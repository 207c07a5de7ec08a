-- Links and codes that prove a mailbox: hashes only, one of a kind for each user.

CREATE TABLE email_verification_tokens (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Whether the address becomes that of the account, or is it already.
    changes_address INTEGER NOT NULL CHECK (changes_address IN (0, 1)),
    token_hash BLOB NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT email_verification_tokens_pkey PRIMARY KEY (user_id, changes_address),
    CONSTRAINT email_verification_tokens_token_hash_key UNIQUE (token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX email_verification_tokens_expires_at_idx ON email_verification_tokens (expires_at);

CREATE TABLE password_reset_tokens (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash BLOB NOT NULL,
    email_key TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT password_reset_tokens_pkey PRIMARY KEY (user_id),
    CONSTRAINT password_reset_tokens_token_hash_key UNIQUE (token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX password_reset_tokens_expires_at_idx ON password_reset_tokens (expires_at);

CREATE TABLE email_otp_challenges (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Keyed: six digits are too few to be hashed alone.
    code_hash BLOB NOT NULL,
    email_key TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT email_otp_challenges_pkey PRIMARY KEY (user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX email_otp_challenges_expires_at_idx ON email_otp_challenges (expires_at);

-- Browsers that users have signed in from, so that they can be told of others.
CREATE TABLE known_browsers (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser BLOB NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    CONSTRAINT known_browsers_pkey PRIMARY KEY (user_id, browser)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_browsers_last_seen_at_idx ON known_browsers (last_seen_at);

-- What has to be done outside of the database, mails above all. Sealed under the master key.
CREATE TABLE outbox (
    id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
) STRICT;
CREATE INDEX outbox_due_at_idx ON outbox (due_at);
