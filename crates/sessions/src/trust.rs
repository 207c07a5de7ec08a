//! Browsers that are asked for no second factor at sign-in, because one was shown in them before (contract §4.5).

use identsphere_kernel::{Duration, Label, Timestamp, TokenHash, TrustedBrowserId, UserId};

use crate::ClientInfo;

/// A browser that a user trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedBrowser {
    /// Our id of it.
    pub id: TrustedBrowserId,
    /// Who trusts it.
    pub user: UserId,
    /// Of the token in its cookie.
    pub hash: TokenHash,
    /// What its user calls it.
    pub label: Option<Label>,
    /// From where it was last seen.
    pub client: ClientInfo,
    /// Since when it is trusted.
    pub created_at: Timestamp,
    /// When it last took the place of a second factor.
    pub last_seen_at: Timestamp,
    /// Until when it is trusted: using it never moves this.
    pub expires_at: Timestamp,
}

impl TrustedBrowser {
    /// How long a browser is trusted (contract §10).
    pub const LIFETIME: Duration = Duration::from_secs(30 * 86_400);
}

/// The exchange of a trusted browser's token for its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRotation {
    /// Who signs in.
    pub user: UserId,
    /// Of the token that is presented.
    pub presented: TokenHash,
    /// Of the token that replaces it.
    pub successor: TokenHash,
    /// From where.
    pub client: ClientInfo,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_trusted_for_thirty_days() {
        assert_eq!(TrustedBrowser::LIFETIME, Duration::from_secs(2_592_000));
    }
}
