-- Instants are RFC 3339 text in UTC with six decimals, so that they sort as text; ids are 16 bytes.

CREATE TABLE organizations (
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    settings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
    authz_version INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT,
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT organizations_slug_key UNIQUE (slug)
) STRICT;

CREATE TABLE users (
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    -- The canonical form of the address, compared byte for byte.
    email_key TEXT NOT NULL,
    password_hash TEXT,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    -- A copy of the role in the home organisation, for JOINs; organization_memberships.role decides.
    role TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'invited', 'disabled', 'deleted')),
    display_name TEXT,
    job_title TEXT,
    phone_number TEXT,
    avatar_url TEXT,
    bio TEXT,
    preferences TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(preferences)),
    mfa_enabled INTEGER NOT NULL DEFAULT 0 CHECK (mfa_enabled IN (0, 1)),
    -- Sealed under the master key.
    mfa_secret BLOB,
    passkey_enabled INTEGER NOT NULL DEFAULT 0 CHECK (passkey_enabled IN (0, 1)),
    email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1)),
    last_password_change TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key_key UNIQUE (email_key)
) STRICT;

CREATE TABLE organization_memberships (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    joined_at TEXT NOT NULL,
    CONSTRAINT organization_memberships_pkey PRIMARY KEY (user_id, organization_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX organization_memberships_organization_id_idx ON organization_memberships (organization_id);

CREATE TABLE user_sessions (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    auth_method TEXT NOT NULL,
    aal TEXT NOT NULL,
    auth_time TEXT NOT NULL,
    refresh_hash BLOB NOT NULL,
    refresh_generation INTEGER NOT NULL,
    refresh_issued_at TEXT NOT NULL,
    ip_address TEXT,
    user_agent TEXT,
    created_at TEXT NOT NULL,
    last_active_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    revoked_reason TEXT,
    CONSTRAINT user_sessions_pkey PRIMARY KEY (id)
) STRICT;

CREATE INDEX user_sessions_live_idx ON user_sessions (user_id) WHERE revoked_at IS NULL;
CREATE INDEX user_sessions_expires_at_idx ON user_sessions (expires_at);

-- No foreign keys: a row outlives what it speaks of.
CREATE TABLE audit_logs (
    id BLOB NOT NULL,
    organization_id BLOB,
    actor_id BLOB,
    actor_type TEXT NOT NULL CHECK (actor_type IN ('user', 'api_key', 'system')),
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT,
    status TEXT NOT NULL CHECK (status IN ('success', 'failure')),
    user_agent TEXT,
    ip_address TEXT,
    metadata TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    created_at TEXT NOT NULL,
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id)
) STRICT;

CREATE INDEX audit_logs_organization_id_created_at_idx ON audit_logs (organization_id, created_at DESC);
