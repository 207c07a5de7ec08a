//! What may happen when a refresh token is presented: the rotation and reuse rules of RFC 9700 §4.14.2, as a pure
//! decision over the family's state.

use identsphere_kernel::{Duration, Timestamp, TokenHash};

/// The one refresh token of a family that may be exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Hash of the token.
    pub hash: TokenHash,
    /// How many tokens the family had before it.
    pub generation: u32,
    /// When it came to be.
    pub issued_at: Timestamp,
}

/// What a decision about a refresh needs to know of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshState {
    /// The live leaf.
    pub leaf: Leaf,
    /// The absolute end.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What to do with a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the leaf: replace it by its successor.
    Rotate,
    /// It is the leaf's parent, presented again within the grace: hand out the same leaf once more.
    Replay,
    /// It was replaced earlier: somebody else holds it too. Revoke the family.
    Reused,
    /// The family is over, or never got this far. Refuse; there is nothing to revoke.
    Dead,
}

/// Judges a token of `generation` and `hash` whose successor would have `successor`. The token must be genuine
/// (see [`RefreshKey::read`](crate::RefreshKey::read)): a forged one must not be able to end a session.
pub fn judge(
    state: &RefreshState,
    generation: u32,
    hash: &TokenHash,
    successor: &TokenHash,
    now: Timestamp,
    grace: Duration,
) -> Verdict {
    if state.revoked_at.is_some() || state.expires_at <= now {
        return Verdict::Dead;
    }
    let leaf = &state.leaf;
    if generation == leaf.generation && *hash == leaf.hash {
        return Verdict::Rotate;
    }
    let is_parent = generation.checked_add(1) == Some(leaf.generation) && *successor == leaf.hash;
    if is_parent && now.since(leaf.issued_at) <= grace && !grace.is_zero() {
        return Verdict::Replay;
    }
    if generation < leaf.generation { Verdict::Reused } else { Verdict::Dead }
}
