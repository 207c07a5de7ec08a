//! The catalogue of public errors: one enum, from which answers, the API document and the documentation are made.

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal, $kind:ident, $message:literal;)+) => {
        /// A public error code: a stable name, an HTTP status and a type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable name (`error.code`).
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The family of the error (`error.type`).
            pub const fn kind(self) -> ErrorType {
                match self { $(Self::$name => ErrorType::$kind,)+ }
            }

            /// What is said when nothing more particular is known.
            pub const fn default_message(self) -> &'static str {
                match self { $(Self::$name => $message,)+ }
            }

            /// When this error is sent.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

catalogue! {
    /// Sign-in refused: unknown e-mail, wrong password, disabled or deleted account. One constant message, the same work done in each case.
    InvalidCredentials = "invalid_credentials", 401, Authentication, "wrong password or unknown email";
    /// No credential, or one that is bad, expired or revoked; a bad or used token, code or ceremony.
    AuthenticationRequired = "authentication_required", 401, Authentication, "sign in first: no valid credential was presented";
    /// The route wants a fresh step-up.
    MfaRequired = "mfa_required", 401, MfaRequired, "confirm your second factor and repeat the request";
    /// Missing permission, another organisation, an API key where a browser session is due, or a foreign origin.
    Forbidden = "forbidden", 403, Authorization, "you may not do this";
    /// A write authenticated by cookie without a matching CSRF header.
    CsrfFailed = "csrf_failed", 403, Authorization, "send the value of the csrf cookie in the X-CSRF-Token header";
    /// Absent, or not the caller's.
    NotFound = "not_found", 404, NotFound, "there is nothing here";
    /// The path exists, the method does not; `Allow` lists those that do.
    MethodNotAllowed = "method_not_allowed", 405, NotFound, "this path does not answer that method; see the Allow header";
    /// The change contradicts what is there: e-mail or slug taken.
    Conflict = "conflict", 409, Conflict, "this contradicts what is already there";
    /// The request breaks a rule; the message names the field and the rule, `error.fields` lists them all.
    InvalidInput = "invalid_input", 400, Validation, "the request is not valid";
    /// The body is not JSON where JSON is due.
    UnsupportedMediaType = "unsupported_media_type", 415, Validation, "send the body as application/json";
    /// The body is larger than the route takes.
    PayloadTooLarge = "payload_too_large", 413, Validation, "the body is too large";
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited = "rate_limited", 429, RateLimited, "too many requests: wait and try again";
    /// The server sheds load; `Retry-After` says when to come back.
    Overloaded = "overloaded", 503, Overloaded, "the service is busy: wait a moment and try again";
    /// Reserved; never sent.
    LicenseRequired = "license_required", 403, LicenseRequired, "reserved";
    /// Something broke on our side; the cause is in the log under the request id.
    InternalError = "internal_error", 500, Internal, "something went wrong on our side";
}

/// The family of a public error (`error.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Who the caller is could not be established.
    Authentication,
    /// A second factor is due.
    MfaRequired,
    /// The caller may not do this.
    Authorization,
    /// The thing or the method does not exist.
    NotFound,
    /// The change contradicts what is there.
    Conflict,
    /// The request breaks a rule.
    Validation,
    /// The caller is too fast.
    RateLimited,
    /// The service is too slow.
    Overloaded,
    /// Reserved.
    LicenseRequired,
    /// A fault on our side.
    Internal,
}

impl ErrorType {
    /// The stable name (`error.type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication_error",
            Self::MfaRequired => "mfa_required",
            Self::Authorization => "authorization_error",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Validation => "validation_error",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::LicenseRequired => "license_required",
            Self::Internal => "internal_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let codes: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| (400..600).contains(&code.status())));
    }
}
