//! Ceremonies that have begun: what is kept of a challenge until its answer comes.

use identsphere_kernel::{Duration, SessionId, Timestamp, TokenHash, UserId};

use super::Challenge;

/// What a ceremony is for. An answer to one is nothing for another (WN-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CeremonyKind {
    /// To make a passkey.
    Registration,
    /// To sign in with whatever passkey is presented.
    SignIn,
    /// To sign in to the account that was named. Without a user nobody has that name, and no answer is right.
    NamedSignIn,
    /// To show a passkey in a session.
    StepUp,
}

impl CeremonyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Registration, Self::SignIn, Self::NamedSignIn, Self::StepUp];

    /// The stable name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::SignIn => "sign_in",
            Self::NamedSignIn => "named_sign_in",
            Self::StepUp => "step_up",
        }
    }

    /// The kind with this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A ceremony that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunCeremony {
    /// Of its challenge.
    pub hash: TokenHash,
    /// What it is for.
    pub kind: CeremonyKind,
    /// Whose it is, where that is known.
    pub user: Option<UserId>,
    /// The session in which it was begun, where there is one.
    pub session: Option<SessionId>,
    /// The browser that began it, if that could be told; it alone may end it.
    pub browser: Option<TokenHash>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

impl BegunCeremony {
    /// How long one may take (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(300);

    /// What a store keeps of a challenge.
    pub fn hash_of(challenge: &Challenge) -> TokenHash {
        TokenHash::of(challenge.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_names_for_they_are_stored() {
        let names = CeremonyKind::ALL.map(CeremonyKind::name);
        assert_eq!(names, ["registration", "sign_in", "named_sign_in", "step_up"]);
        assert_eq!(names.map(CeremonyKind::from_name), CeremonyKind::ALL.map(Some));
        assert_eq!(CeremonyKind::from_name("sign_out"), None);
    }
}
