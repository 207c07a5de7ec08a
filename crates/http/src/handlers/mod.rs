//! Handlers: each decodes, calls one use case, and encodes.

pub(crate) mod avatar;
pub(crate) mod development;
pub(crate) mod documents;
pub(crate) mod email;
pub(crate) mod mfa;
pub(crate) mod operations;
pub(crate) mod pages;
pub(crate) mod passkeys;
pub(crate) mod profile;
pub(crate) mod sessions;
pub(crate) mod sign_in;
