//! The life of signing keys: next, active, retiring, expired.
//!
//! Every node derives the same answer from the same rows and the clock, so a rotation needs no coordination: the new
//! key is published long before `activates_at`, and at that instant every node begins to sign with it.

use identsphere_kernel::{Duration, Timestamp};

use crate::{KeyId, SigningKey};

/// How keys live.
#[derive(Debug, Clone, Copy)]
pub struct KeyPolicy {
    /// How long a key signs.
    pub rotation_interval: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long a key stays published after it has stopped signing: longer than any token lives.
    pub keep_retired: Duration,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStage {
    /// Published, does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Published, signs no more.
    Retiring,
    /// No token of it can be valid: neither published nor accepted.
    Expired,
}

impl KeyStage {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Expired => "expired",
        }
    }
}

/// What has to be done for the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// Nothing yet.
    Rest,
    /// Make a key with these properties and add it.
    Add {
        /// The key it replaces; `None` for the first of all.
        predecessor: Option<KeyId>,
        /// From when it signs.
        activates_at: Timestamp,
    },
}

/// All keys there are.
#[derive(Debug, Clone, Default)]
pub struct KeyChain {
    keys: Vec<SigningKey>,
}

impl KeyChain {
    /// The chain made of these keys, in any order.
    pub fn new(mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by(|a, b| (a.activates_at, &a.kid).cmp(&(b.activates_at, &b.kid)));
        Self { keys }
    }

    /// The keys, oldest first.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The key that signs at `now`.
    pub fn active(&self, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().rev().find(|key| key.activates_at <= now)
    }

    /// Each key with its stage at `now`.
    pub fn stages(
        &self,
        now: Timestamp,
        policy: &KeyPolicy,
    ) -> impl Iterator<Item = (&SigningKey, KeyStage)> {
        let superseded = self.keys.iter().skip(1).map(|key| Some(key.activates_at)).chain([None]);
        self.keys.iter().zip(superseded).map(move |(key, superseded_at)| {
            let stage = match superseded_at {
                _ if key.activates_at > now => KeyStage::Next,
                Some(at) if at.plus(policy.keep_retired) <= now => KeyStage::Expired,
                Some(at) if at <= now => KeyStage::Retiring,
                Some(_) | None => KeyStage::Active,
            };
            (key, stage)
        })
    }

    /// What the schedule asks for at `now`.
    pub fn step(&self, now: Timestamp, policy: &KeyPolicy) -> KeyStep {
        let Some(newest) = self.keys.last() else {
            return KeyStep::Add { predecessor: None, activates_at: now };
        };
        let due = newest.activates_at.plus(policy.rotation_interval);
        if newest.activates_at > now || due.minus(policy.publish_ahead) > now {
            return KeyStep::Rest;
        }
        KeyStep::Add {
            predecessor: Some(newest.kid.clone()),
            activates_at: due.max(now.plus(policy.publish_ahead)),
        }
    }

    /// A rotation that an operator asks for now; `None` when a next key is waiting already.
    pub fn rotate(&self, now: Timestamp, publish_ahead: Duration) -> Option<KeyStep> {
        match self.keys.last() {
            Some(newest) if newest.activates_at > now => None,
            Some(newest) => Some(KeyStep::Add {
                predecessor: Some(newest.kid.clone()),
                activates_at: now.plus(publish_ahead),
            }),
            None => Some(KeyStep::Add { predecessor: None, activates_at: now }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{PublicKey, SealedKey};

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const POLICY: KeyPolicy = KeyPolicy {
        rotation_interval: Duration::from_secs(90 * 86_400),
        publish_ahead: DAY,
        keep_retired: HOUR,
    };

    fn key(
        kid: &str,
        predecessor: Option<KeyId>,
        created_at: Timestamp,
        activates_at: Timestamp,
    ) -> SigningKey {
        let public = PublicKey { n: vec![1], e: vec![1] };
        SigningKey {
            kid: KeyId::new(kid),
            public,
            private: SealedKey(vec![]),
            predecessor,
            created_at,
            activates_at,
        }
    }

    fn apply(chain: &KeyChain, step: KeyStep, now: Timestamp) -> KeyChain {
        let mut keys = chain.keys().to_vec();
        if let KeyStep::Add { predecessor, activates_at } = step {
            keys.push(key(&format!("k{}", keys.len()), predecessor, now, activates_at));
        }
        KeyChain::new(keys)
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let now = Timestamp::EPOCH;
        assert_eq!(
            KeyChain::default().step(now, &POLICY),
            KeyStep::Add { predecessor: None, activates_at: now }
        );
    }

    #[test]
    fn one_rotation_at_a_time() {
        let now = Timestamp::EPOCH;
        let chain = apply(&KeyChain::default(), KeyChain::default().step(now, &POLICY), now);
        let rotated = apply(&chain, chain.rotate(now.plus(HOUR), DAY).unwrap(), now.plus(HOUR));
        assert_eq!(rotated.rotate(now.plus(HOUR).plus(HOUR), DAY), None);
        assert_eq!(rotated.step(now.plus(HOUR).plus(HOUR), &POLICY), KeyStep::Rest);
    }

    #[test]
    fn a_key_goes_through_four_stages() {
        let activates = Timestamp::from_unix_seconds(10_000_000);
        let old = key("old", None, Timestamp::EPOCH, Timestamp::EPOCH);
        let new = key("new", Some(old.kid.clone()), activates.minus(DAY), activates);
        let chain = KeyChain::new(vec![new, old]);
        let stages = |now| chain.stages(now, &POLICY).map(|(_, stage)| stage.name()).collect::<Vec<_>>();
        let instant = Duration::from_micros(1);
        assert_eq!(stages(activates.minus(instant)), ["active", "next"]);
        assert_eq!(stages(activates), ["retiring", "active"]);
        assert_eq!(stages(activates.plus(HOUR).minus(instant)), ["retiring", "active"]);
        assert_eq!(stages(activates.plus(HOUR)), ["expired", "active"]);
    }

    #[test]
    fn the_next_key_is_made_as_early_as_it_is_published() {
        let (due, instant) = (Timestamp::EPOCH.plus(POLICY.rotation_interval), Duration::from_micros(1));
        let chain = KeyChain::new(vec![key("old", None, Timestamp::EPOCH, Timestamp::EPOCH)]);
        let add = |activates_at| KeyStep::Add { predecessor: Some(KeyId::new("old")), activates_at };
        assert_eq!(chain.step(due.minus(DAY).minus(instant), &POLICY), KeyStep::Rest);
        assert_eq!(chain.step(due.minus(DAY), &POLICY), add(due));
        assert_eq!(chain.step(due.plus(HOUR), &POLICY), add(due.plus(HOUR).plus(DAY)), "late");
    }

    #[test]
    fn one_key_waits_at_a_time_however_often_keys_change() {
        let now = Timestamp::from_unix_seconds(10_000_000);
        let chain = KeyChain::new(vec![key("old", None, Timestamp::EPOCH, now)]);
        for rotation_interval in [HOUR, DAY] {
            let policy = KeyPolicy { rotation_interval, ..POLICY };
            assert_eq!(chain.step(now.minus(Duration::from_micros(1)), &policy), KeyStep::Rest);
            assert!(matches!(chain.step(now, &policy), KeyStep::Add { .. }), "it signs");
        }
        assert_eq!(chain.rotate(now.minus(Duration::from_micros(1)), DAY), None);
        assert!(chain.rotate(now, DAY).is_some(), "it signs");
    }

    proptest! {
        /// TK-11: whatever the order of upkeep, rotation and passing time, one key signs, it has been published for
        /// `publish_ahead`, and a key that signed within `keep_retired` is still published.
        #[test]
        fn signing_keys_are_published_before_and_after(steps in prop::collection::vec((0u64..40 * 86_400, any::<bool>()), 1..60)) {
            let mut now = Timestamp::EPOCH;
            let mut chain = KeyChain::default();
            let mut signed: Vec<(Timestamp, KeyId)> = vec![];
            for (wait, by_operator) in steps {
                now = now.plus(Duration::from_secs(wait));
                let step = if by_operator { chain.rotate(now, POLICY.publish_ahead).unwrap_or(KeyStep::Rest) } else { chain.step(now, &POLICY) };
                chain = apply(&chain, step, now);
                let stages: Vec<_> = chain.stages(now, &POLICY).map(|(key, stage)| (key.clone(), stage)).collect();
                let active: Vec<_> = stages.iter().filter(|(_, stage)| *stage == KeyStage::Active).map(|(key, _)| key).collect();
                prop_assert_eq!(active.len(), 1);
                prop_assert_eq!(Some(&active[0].kid), chain.active(now).map(|key| &key.kid));
                prop_assert!(active[0].predecessor.is_none() || active[0].activates_at.since(active[0].created_at) >= POLICY.publish_ahead);
                signed.push((now, active[0].kid.clone()));
                for (at, kid) in &signed {
                    let stage = stages.iter().find(|(key, _)| key.kid == *kid).map(|(_, stage)| *stage);
                    prop_assert!(now.since(*at) >= POLICY.keep_retired || stage != Some(KeyStage::Expired));
                }
            }
        }
    }
}
