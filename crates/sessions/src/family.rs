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

#[cfg(test)]
mod tests {
    //! A state machine of one family: whatever clients do, in whatever order, one leaf lives at a time.

    use identsphere_kernel::{OsRandom, SecretBytes, SessionId, SystemClock};
    use proptest::prelude::*;

    use super::*;
    use crate::{RefreshKey, RefreshToken};

    const GRACE: Duration = Duration::from_secs(10);
    const LIFE: Duration = Duration::from_secs(30 * 86_400);

    /// A family together with every token it ever handed out.
    struct Model {
        key: RefreshKey,
        issued: Vec<RefreshToken>,
        state: RefreshState,
        now: Timestamp,
    }

    #[derive(Debug, Clone)]
    enum Command {
        /// Present the token `back` generations before the newest.
        Present { back: usize },
        /// Let time pass.
        Wait { seconds: u64 },
        /// Sign out.
        Revoke,
    }

    impl Model {
        fn new() -> Self {
            let key = RefreshKey::new(SecretBytes::new([9; 32]));
            let first = key.first(SessionId::new(&SystemClock, &OsRandom), &OsRandom);
            let now = Timestamp::from_unix_seconds(1_000_000);
            let leaf = Leaf { hash: first.hash(), generation: 0, issued_at: now };
            let state = RefreshState { leaf, expires_at: now.plus(LIFE), revoked_at: None };
            Self { key, issued: vec![first], state, now }
        }

        /// What the use case does with a verdict, on one row.
        fn present(&mut self, at: usize) -> Verdict {
            let token = self.issued[at].clone();
            let successor = self.key.successor(&token);
            let verdict =
                judge(&self.state, token.generation(), &token.hash(), &successor.hash(), self.now, GRACE);
            match verdict {
                Verdict::Rotate => {
                    let generation = successor.generation();
                    self.state.leaf = Leaf { hash: successor.hash(), generation, issued_at: self.now };
                    self.issued.push(successor);
                }
                Verdict::Reused => self.state.revoked_at = Some(self.now),
                Verdict::Replay | Verdict::Dead => {}
            }
            verdict
        }

        /// Whether a token would still be exchanged for something new.
        fn is_live(&self, token: &RefreshToken) -> bool {
            let successor = self.key.successor(token);
            judge(&self.state, token.generation(), &token.hash(), &successor.hash(), self.now, GRACE)
                == Verdict::Rotate
        }
    }

    fn commands() -> impl Strategy<Value = Vec<Command>> {
        let command = prop_oneof![
            8 => (0usize..4).prop_map(|back| Command::Present { back }),
            6 => prop_oneof![0u64..12, 12u64..90_000].prop_map(|seconds| Command::Wait { seconds }),
            1 => Just(Command::Revoke),
        ];
        prop::collection::vec(command, 1..60)
    }

    proptest! {
        /// RF-01, RF-02, RF-03.
        #[test]
        fn one_leaf_lives_under_any_interleaving(commands in commands()) {
            let mut family = Model::new();
            for command in commands {
                match command {
                    Command::Wait { seconds } => family.now = family.now.plus(Duration::from_secs(seconds)),
                    Command::Revoke => family.state.revoked_at = Some(family.now),
                    Command::Present { back } => {
                        let newest = family.issued.len() - 1;
                        let at = newest.saturating_sub(back);
                        let (was_over, rotated_at) =
                            (family.state.revoked_at.is_some() || family.state.expires_at <= family.now, family.state.leaf.issued_at);
                        let in_grace = family.now.since(rotated_at) <= GRACE;
                        let expected = match newest - at {
                            _ if was_over => Verdict::Dead,
                            0 => Verdict::Rotate,
                            1 if in_grace => Verdict::Replay,
                            _ => Verdict::Reused,
                        };
                        prop_assert_eq!(family.present(at), expected);
                    }
                }
                let live = family.issued.iter().filter(|token| family.is_live(token)).count();
                let over = family.state.revoked_at.is_some() || family.state.expires_at <= family.now;
                prop_assert_eq!(live, usize::from(!over));
            }
        }
    }

    #[test]
    fn without_a_grace_a_parent_is_a_replay() {
        let mut family = Model::new();
        assert_eq!(family.present(0), Verdict::Rotate);
        let parent = family.issued[0].clone();
        let successor = family.key.successor(&parent);
        let verdict = judge(&family.state, 0, &parent.hash(), &successor.hash(), family.now, Duration::ZERO);
        assert_eq!(verdict, Verdict::Reused);
    }

    #[test]
    fn a_token_beside_the_leaf_is_neither_it_nor_its_parent() {
        let mut family = Model::new();
        family.present(0);
        let (leaf, elsewhere) = (family.issued[1].clone(), TokenHash::of(b"of another line"));
        let judge = |generation, hash: &TokenHash, successor: &TokenHash| {
            judge(&family.state, generation, hash, successor, family.now, GRACE)
        };
        assert_eq!(judge(1, &elsewhere, &elsewhere), Verdict::Dead, "of the leaf's generation");
        assert_eq!(judge(2, &leaf.hash(), &elsewhere), Verdict::Dead, "of the next one");
        assert_eq!(judge(0, &elsewhere, &elsewhere), Verdict::Reused, "of the parent's, with other heirs");
        assert_eq!(
            judge(7, &elsewhere, &leaf.hash()),
            Verdict::Dead,
            "whose heir is the leaf, and which is younger"
        );
    }

    #[test]
    fn a_store_restored_to_an_older_point_refuses_without_revoking() {
        let mut family = Model::new();
        let backup = family.state.clone();
        family.present(0);
        family.present(1);
        family.state = backup;
        assert_eq!(family.present(2), Verdict::Dead);
        assert_eq!(family.state.revoked_at, None);
    }
}
