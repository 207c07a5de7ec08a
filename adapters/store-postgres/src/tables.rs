//! The tables, as far as this crate reads or writes them. Columns with a default that no port knows are left out.

diesel::table! {
    organizations (id) {
        id -> Uuid,
        name -> Text,
        slug -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        email_key -> Text,
        password_hash -> Nullable<Text>,
        organization_id -> Uuid,
        role -> Text,
        status -> Text,
        display_name -> Nullable<Text>,
        job_title -> Nullable<Text>,
        phone_number -> Nullable<Text>,
        avatar_url -> Nullable<Text>,
        bio -> Nullable<Text>,
        preferences -> Jsonb,
        mfa_enabled -> Bool,
        mfa_secret -> Nullable<Binary>,
        mfa_last_step -> Nullable<BigInt>,
        passkey_enabled -> Bool,
        passkey_handle -> Nullable<Binary>,
        email_verified -> Bool,
        last_password_change -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    organization_memberships (user_id, organization_id) {
        user_id -> Uuid,
        organization_id -> Uuid,
        role -> Text,
        joined_at -> Timestamptz,
    }
}

diesel::table! {
    user_sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        organization_id -> Uuid,
        auth_method -> Text,
        aal -> Text,
        auth_time -> Timestamptz,
        second_factor -> Nullable<Text>,
        passkey_id -> Nullable<Uuid>,
        mfa_verified_at -> Nullable<Timestamptz>,
        refresh_hash -> Binary,
        refresh_generation -> BigInt,
        refresh_issued_at -> Timestamptz,
        ip_address -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
        created_at -> Timestamptz,
        last_active_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        revoked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    mfa_challenges (token_hash) {
        token_hash -> Binary,
        user_id -> Uuid,
        first_factor -> Text,
        passkey_id -> Nullable<Uuid>,
        browser -> Nullable<Binary>,
        attempts -> Integer,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    trusted_browsers (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_hash -> Binary,
        label -> Nullable<Text>,
        ip_address -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
        created_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    user_recovery_codes (user_id, code_hash) {
        user_id -> Uuid,
        code_hash -> Binary,
    }
}

diesel::table! {
    user_passkeys (id) {
        id -> Uuid,
        user_id -> Uuid,
        credential_id -> Binary,
        public_key -> Binary,
        sign_count -> BigInt,
        backup_eligible -> Bool,
        backed_up -> Bool,
        transports -> Jsonb,
        aaguid -> Uuid,
        label -> Text,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    passkey_challenges (challenge_hash) {
        challenge_hash -> Binary,
        kind -> Text,
        user_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        browser -> Nullable<Binary>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    audit_logs (id) {
        id -> Uuid,
        organization_id -> Nullable<Uuid>,
        actor_id -> Nullable<Uuid>,
        actor_type -> Text,
        action -> Text,
        resource_type -> Text,
        resource_id -> Nullable<Text>,
        status -> Text,
        user_agent -> Nullable<Text>,
        ip_address -> Nullable<Inet>,
        metadata -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    email_verification_tokens (user_id, changes_address) {
        user_id -> Uuid,
        changes_address -> Bool,
        token_hash -> Binary,
        email -> Text,
        email_key -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    password_reset_tokens (user_id) {
        user_id -> Uuid,
        token_hash -> Binary,
        email_key -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    email_otp_challenges (user_id) {
        user_id -> Uuid,
        code_hash -> Binary,
        email_key -> Text,
        attempts -> Integer,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    outbox (id) {
        id -> Uuid,
        sealed -> Binary,
        attempts -> Integer,
        created_at -> Timestamptz,
        due_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        public_n -> Binary,
        public_e -> Binary,
        private_sealed -> Binary,
        predecessor -> Text,
        created_at -> Timestamptz,
        activates_at -> Timestamptz,
    }
}

diesel::table! {
    rate_limits (bucket) {
        bucket -> Binary,
        arrival_at -> Timestamptz,
    }
}

diesel::table! {
    /// Kept by Diesel itself.
    __diesel_schema_migrations (version) {
        version -> VarChar,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    organizations,
    users,
    user_sessions,
    organization_memberships,
    mfa_challenges,
    user_passkeys,
);
