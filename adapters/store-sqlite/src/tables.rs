//! The tables, as far as this program reads and writes them. Columns that only host applications use stay out; the
//! migrations give them their defaults.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    organizations (id) {
        id -> Binary,
        name -> Text,
        slug -> Text,
        created_at -> Text,
        updated_at -> Text,
        deleted_at -> Nullable<Text>,
    }
}

table! {
    users (id) {
        id -> Binary,
        email -> Text,
        email_key -> Text,
        password_hash -> Nullable<Text>,
        organization_id -> Binary,
        role -> Text,
        status -> Text,
        display_name -> Nullable<Text>,
        job_title -> Nullable<Text>,
        phone_number -> Nullable<Text>,
        avatar_url -> Nullable<Text>,
        bio -> Nullable<Text>,
        preferences -> Text,
        mfa_enabled -> Bool,
        mfa_secret -> Nullable<Binary>,
        mfa_last_step -> Nullable<BigInt>,
        passkey_enabled -> Bool,
        passkey_handle -> Nullable<Binary>,
        email_verified -> Bool,
        last_password_change -> Nullable<Text>,
        created_at -> Text,
        updated_at -> Text,
        deleted_at -> Nullable<Text>,
    }
}

table! {
    organization_memberships (user_id, organization_id) {
        user_id -> Binary,
        organization_id -> Binary,
        role -> Text,
        joined_at -> Text,
    }
}

table! {
    user_sessions (id) {
        id -> Binary,
        user_id -> Binary,
        organization_id -> Binary,
        auth_method -> Text,
        aal -> Text,
        auth_time -> Text,
        second_factor -> Nullable<Text>,
        passkey_id -> Nullable<Binary>,
        mfa_verified_at -> Nullable<Text>,
        refresh_hash -> Binary,
        refresh_generation -> BigInt,
        refresh_issued_at -> Text,
        ip_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        created_at -> Text,
        last_active_at -> Text,
        expires_at -> Text,
        revoked_at -> Nullable<Text>,
        revoked_reason -> Nullable<Text>,
    }
}

table! {
    mfa_challenges (token_hash) {
        token_hash -> Binary,
        user_id -> Binary,
        first_factor -> Text,
        passkey_id -> Nullable<Binary>,
        browser -> Nullable<Binary>,
        attempts -> Integer,
        created_at -> Text,
        expires_at -> Text,
    }
}

table! {
    trusted_browsers (id) {
        id -> Binary,
        user_id -> Binary,
        token_hash -> Binary,
        label -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        created_at -> Text,
        last_seen_at -> Text,
        expires_at -> Text,
    }
}

table! {
    user_recovery_codes (user_id, code_hash) {
        user_id -> Binary,
        code_hash -> Binary,
    }
}

table! {
    user_passkeys (id) {
        id -> Binary,
        user_id -> Binary,
        credential_id -> Binary,
        public_key -> Binary,
        sign_count -> BigInt,
        backup_eligible -> Bool,
        backed_up -> Bool,
        transports -> Text,
        aaguid -> Binary,
        label -> Text,
        created_at -> Text,
        last_used_at -> Nullable<Text>,
    }
}

table! {
    passkey_challenges (challenge_hash) {
        challenge_hash -> Binary,
        kind -> Text,
        user_id -> Nullable<Binary>,
        session_id -> Nullable<Binary>,
        browser -> Nullable<Binary>,
        created_at -> Text,
        expires_at -> Text,
    }
}

table! {
    audit_logs (id) {
        id -> Binary,
        organization_id -> Nullable<Binary>,
        actor_id -> Nullable<Binary>,
        actor_type -> Text,
        action -> Text,
        resource_type -> Text,
        resource_id -> Nullable<Text>,
        status -> Text,
        user_agent -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        metadata -> Text,
        created_at -> Text,
    }
}

table! {
    email_verification_tokens (user_id, changes_address) {
        user_id -> Binary,
        changes_address -> Bool,
        token_hash -> Binary,
        email -> Text,
        email_key -> Text,
        created_at -> Text,
        expires_at -> Text,
    }
}

table! {
    password_reset_tokens (user_id) {
        user_id -> Binary,
        token_hash -> Binary,
        email_key -> Text,
        created_at -> Text,
        expires_at -> Text,
    }
}

table! {
    email_otp_challenges (user_id) {
        user_id -> Binary,
        code_hash -> Binary,
        email_key -> Text,
        attempts -> Integer,
        created_at -> Text,
        expires_at -> Text,
    }
}

table! {
    known_browsers (user_id, browser) {
        user_id -> Binary,
        browser -> Binary,
        first_seen_at -> Text,
        last_seen_at -> Text,
    }
}

table! {
    outbox (id) {
        id -> Binary,
        sealed -> Binary,
        attempts -> Integer,
        created_at -> Text,
        due_at -> Text,
        expires_at -> Text,
    }
}

table! {
    signing_keys (kid) {
        kid -> Text,
        public_n -> Binary,
        public_e -> Binary,
        private_sealed -> Binary,
        predecessor -> Text,
        created_at -> Text,
        activates_at -> Text,
    }
}

table! {
    rate_limits (bucket) {
        bucket -> Binary,
        arrival_at -> Text,
    }
}

table! {
    /// What the migration harness has applied.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

table! {
    /// SQLite's own catalogue.
    sqlite_schema (name) {
        name -> Text,
    }
}

allow_tables_to_appear_in_same_query!(
    organizations,
    users,
    organization_memberships,
    user_sessions,
    user_passkeys
);
