-- Links and codes that prove a mailbox: hashes only, one of a kind for each user.

CREATE TABLE email_verification_tokens (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Whether the address becomes that of the account, or is it already.
    changes_address boolean NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT email_verification_tokens_token_hash_key UNIQUE,
    email text NOT NULL,
    email_key text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT email_verification_tokens_pkey PRIMARY KEY (user_id, changes_address)
);
CREATE INDEX email_verification_tokens_expires_at_idx ON email_verification_tokens (expires_at);

CREATE TABLE password_reset_tokens (
    user_id uuid CONSTRAINT password_reset_tokens_pkey PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT password_reset_tokens_token_hash_key UNIQUE,
    email_key text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX password_reset_tokens_expires_at_idx ON password_reset_tokens (expires_at);

CREATE TABLE email_otp_challenges (
    user_id uuid CONSTRAINT email_otp_challenges_pkey PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Keyed: six digits are too few to be hashed alone.
    code_hash bytea NOT NULL,
    email_key text COLLATE "C" NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX email_otp_challenges_expires_at_idx ON email_otp_challenges (expires_at);

-- Browsers that users have signed in from, so that they can be told of others.
CREATE TABLE known_browsers (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser bytea NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    CONSTRAINT known_browsers_pkey PRIMARY KEY (user_id, browser)
);
CREATE INDEX known_browsers_last_seen_at_idx ON known_browsers (last_seen_at);

-- What has to be done outside of the database, mails above all. Sealed under the master key.
CREATE TABLE outbox (
    id uuid CONSTRAINT outbox_pkey PRIMARY KEY,
    sealed bytea NOT NULL,
    attempts integer NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX outbox_due_at_idx ON outbox (due_at);
