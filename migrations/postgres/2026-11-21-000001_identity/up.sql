-- Who there is, where they belong, how they are signed in, and what happened. Host applications may read and JOIN
-- these tables; they must not write to them.

CREATE TABLE organizations (
    id uuid CONSTRAINT organizations_pkey PRIMARY KEY,
    name text NOT NULL,
    slug text NOT NULL CONSTRAINT organizations_slug_key UNIQUE,
    settings jsonb NOT NULL DEFAULT '{}',
    authz_version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    -- As typed, for people.
    email text NOT NULL,
    -- As compared, byte for byte.
    email_key text COLLATE "C" NOT NULL CONSTRAINT users_email_key_key UNIQUE,
    password_hash text,
    -- The home organisation: where a new session starts.
    organization_id uuid NOT NULL REFERENCES organizations (id),
    -- A copy of the role in the home organisation, so that a host application can JOIN one table.
    role text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'invited', 'disabled', 'deleted')),
    display_name text,
    job_title text,
    phone_number text,
    avatar_url text,
    bio text,
    preferences jsonb NOT NULL DEFAULT '{}',
    mfa_enabled boolean NOT NULL DEFAULT false,
    -- Sealed under the master key.
    mfa_secret bytea,
    passkey_enabled boolean NOT NULL DEFAULT false,
    email_verified boolean NOT NULL DEFAULT false,
    last_password_change timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX users_organization_id_idx ON users (organization_id);

CREATE TABLE organization_memberships (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- The role that counts.
    role text NOT NULL,
    joined_at timestamptz NOT NULL,
    CONSTRAINT organization_memberships_pkey PRIMARY KEY (user_id, organization_id)
);
CREATE INDEX organization_memberships_organization_id_idx ON organization_memberships (organization_id);

-- A refresh changes no indexed column; the room left in each page keeps the new row version beside the old one.
CREATE TABLE user_sessions (
    id uuid CONSTRAINT user_sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    auth_method text NOT NULL,
    aal text NOT NULL,
    auth_time timestamptz NOT NULL,
    -- The one refresh token of the family that may be exchanged.
    refresh_hash bytea NOT NULL,
    refresh_generation bigint NOT NULL,
    refresh_issued_at timestamptz NOT NULL,
    ip_address inet,
    user_agent text,
    created_at timestamptz NOT NULL,
    last_active_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text
) WITH (fillfactor = 85);
CREATE INDEX user_sessions_live_idx ON user_sessions (user_id) WHERE revoked_at IS NULL;
CREATE INDEX user_sessions_expires_at_idx ON user_sessions (expires_at);

-- No foreign keys: a row outlives what it speaks of.
CREATE TABLE audit_logs (
    id uuid CONSTRAINT audit_logs_pkey PRIMARY KEY,
    organization_id uuid,
    actor_id uuid,
    actor_type text NOT NULL CHECK (actor_type IN ('user', 'api_key', 'system')),
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id text,
    status text NOT NULL CHECK (status IN ('success', 'failure')),
    user_agent text,
    ip_address inet,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL
);
CREATE INDEX audit_logs_organization_id_created_at_idx ON audit_logs (organization_id, created_at DESC);
