//! The session record.

use std::net::IpAddr;

use identsphere_kernel::{Duration, OrganizationId, PasskeyId, SessionId, Timestamp, UserId};

use crate::Leaf;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name, as stored and sent.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with this stable name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

named! {
    /// How the user authenticated (the token's `auth_method`).
    AuthMethod {
        /// Password alone.
        Password = "password",
        /// Password and a second factor.
        PasswordWithMfa = "password_with_mfa",
        /// A passkey.
        Passkey = "passkey",
        /// Google, GitHub or another provider.
        SocialOauth = "social_oauth",
        /// A code sent by e-mail.
        EmailOtp = "email_otp",
    }
}

named! {
    /// Authenticator assurance level (NIST SP 800-63B-4 §2; the token's `aal`). Ordered: a higher one is more.
    AssuranceLevel {
        /// One factor.
        Aal1 = "aal1",
        /// Two factors of different kinds.
        Aal2 = "aal2",
    }
}

named! {
    /// What raised a session to its level, besides what it was begun with.
    SecondFactor {
        /// A code of an authenticator (RFC 6238).
        Totp = "totp",
        /// A recovery code.
        RecoveryCode = "recovery_code",
        /// A browser that had shown a second factor before. Nobody was asked for anything now.
        TrustedBrowser = "trusted_browser",
        /// A passkey that verified its user.
        Passkey = "passkey",
    }
}

named! {
    /// Why a session ended before its time.
    RevocationReason {
        /// Its owner signed out.
        Logout = "logout",
        /// Its owner ended it from the list of sessions.
        EndedByUser = "ended_by_user",
        /// Its owner said, from a mail about it, that it is not theirs.
        Disowned = "disowned",
        /// The password was chosen anew by mail.
        PasswordReset = "password_reset",
        /// The mailbox was proven for the first time: whoever had signed in before may have been somebody else.
        MailboxProven = "mailbox_proven",
        /// A refresh token was presented that had been replaced (RFC 9700 §4.14.2).
        ReuseDetected = "reuse_detected",
        /// Its owner changed their password elsewhere (PW-06).
        PasswordChanged = "password_changed",
        /// The factor that its level came from was removed (MF-15).
        FactorRemoved = "factor_removed",
    }
}

/// From where a request came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address, seen through trusted proxies.
    pub ip_address: Option<IpAddr>,
    /// The `User-Agent` header: at most [`ClientInfo::MAX_USER_AGENT_CHARS`] characters, none of them control characters.
    pub user_agent: Option<String>,
}

impl ClientInfo {
    /// Longest user agent that is kept.
    pub const MAX_USER_AGENT_CHARS: usize = 300;

    /// Cleans what a client says about itself.
    pub fn new(ip_address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let clean =
            |text: &str| text.chars().filter(|c| !c.is_control()).take(Self::MAX_USER_AGENT_CHARS).collect();
        Self { ip_address, user_agent: user_agent.map(clean).filter(|agent: &String| !agent.is_empty()) }
    }
}

/// A session family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The family's id (the token's `sid`): the same across refreshes.
    pub id: SessionId,
    /// Whose session this is.
    pub user: UserId,
    /// The organisation it works in.
    pub organization: OrganizationId,
    /// How the user authenticated.
    pub auth_method: AuthMethod,
    /// How sure that made us.
    pub aal: AssuranceLevel,
    /// When the user really authenticated.
    pub auth_time: Timestamp,
    /// What raised it to its level, if that was more than `auth_method`.
    pub second_factor: Option<SecondFactor>,
    /// The passkey that it rests on.
    pub passkey: Option<PasskeyId>,
    /// When its user last showed a second factor: at the sign-in or by a step-up.
    pub mfa_verified_at: Option<Timestamp>,
    /// The live refresh token.
    pub leaf: Leaf,
    /// From where it was last seen.
    pub client: ClientInfo,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_active_at: Timestamp,
    /// Its absolute end: refreshing never moves it.
    pub expires_at: Timestamp,
}

impl Session {
    /// Until when the second factor that was shown counts as fresh (a step-up): `None` when none was, or not within `ttl`.
    pub fn stepped_up_until(&self, ttl: Duration, now: Timestamp) -> Option<Timestamp> {
        self.mfa_verified_at.map(|at| at.plus(ttl)).filter(|end| now < *end)
    }
}

#[cfg(test)]
mod tests {
    use identsphere_kernel::{OsRandom, SystemClock, TokenHash};

    use super::*;

    #[test]
    fn a_second_factor_is_fresh_until_its_time_is_over() {
        const TTL: Duration = Duration::from_secs(60);
        let shown = Timestamp::from_unix_seconds(1_000_000);
        let end = shown.plus(TTL);
        let session = session(Some(shown));
        assert_eq!(session.stepped_up_until(TTL, shown), Some(end));
        assert_eq!(session.stepped_up_until(TTL, end.minus(Duration::from_micros(1))), Some(end));
        for later in [end, end.plus(TTL)] {
            assert_eq!(session.stepped_up_until(TTL, later), None);
        }
        assert_eq!(self::session(None).stepped_up_until(TTL, shown), None);
    }

    fn session(mfa_verified_at: Option<Timestamp>) -> Session {
        let began = Timestamp::from_unix_seconds(999_000);
        Session {
            id: SessionId::new(&SystemClock, &OsRandom),
            user: UserId::new(&SystemClock, &OsRandom),
            organization: OrganizationId::new(&SystemClock, &OsRandom),
            auth_method: AuthMethod::Password,
            aal: AssuranceLevel::Aal2,
            auth_time: began,
            second_factor: None,
            passkey: None,
            mfa_verified_at,
            leaf: Leaf { hash: TokenHash::of(b"a leaf"), generation: 0, issued_at: began },
            client: ClientInfo::new(None, None),
            created_at: began,
            last_active_at: began,
            expires_at: began.plus(Duration::from_secs(86_400)),
        }
    }
}
