//! Closed sets of names, as schemas: the API document lists what the code can say.

use identsphere_kernel::ErrorCode;
use identsphere_sessions::{AssuranceLevel, AuthMethod, SecondFactor};
use utoipa::openapi::{Object, ObjectBuilder, Type};

pub(crate) fn error_codes() -> Object {
    one_of(ErrorCode::ALL.iter().map(|code| code.code()), "The stable name of the error.")
}

pub(crate) fn error_types() -> Object {
    let mut types: Vec<_> = ErrorCode::ALL.iter().map(|code| code.kind().name()).collect();
    types.sort_unstable();
    types.dedup();
    one_of(types, "The family of the error.")
}

pub(crate) fn auth_methods() -> Object {
    one_of(AuthMethod::ALL.iter().map(|method| method.name()), "How the user authenticated.")
}

pub(crate) fn assurance_levels() -> Object {
    one_of(AssuranceLevel::ALL.iter().map(|level| level.name()), "How sure that made us.")
}

pub(crate) fn second_factors() -> Object {
    one_of(SecondFactor::ALL.iter().map(|factor| factor.name()), "What may be shown.")
}

pub(crate) fn mfa_required() -> Object {
    one_of(["mfa_required"], "That a second factor is due.")
}

pub(crate) fn success() -> Object {
    one_of(["success"], "That a session has begun.")
}

pub(crate) fn bearer() -> Object {
    one_of(["Bearer"], "How to send the access token.")
}

fn one_of(names: impl IntoIterator<Item = &'static str>, description: &str) -> Object {
    let builder = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    builder.enum_values(Some(names)).build()
}
