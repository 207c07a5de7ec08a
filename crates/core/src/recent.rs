//! Who was behind a session a moment ago: a short memory in front of the read that every session check would cost.
//!
//! What is answered from memory is what the store would have answered:
//! 1. A change made through this node is forgotten before whoever made it gets their answer ([`crate::watched`]). What
//!    was read before a change is never answered after it, even if it is put here later: every entry carries the
//!    generation of its session from before its read, and a change makes a new generation.
//! 2. A change made elsewhere is found out by reading again. No answer is older than [`MAX_AGE`], so there is no message
//!    between nodes that could be late or lost.
//! 3. That nobody is behind a session is never remembered.
//!
//! A session with many requests at a time is read by one of them: before an answer is too old, whoever asks first reads
//! again, and meanwhile the others are answered from memory ([`RENEWAL_AGE`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use identsphere_kernel::{Duration, SessionId, StoreError, Timestamp};
use moka::sync::Cache;
use tokio::time::Instant;

use crate::Principal;

/// How old an answer may be, counted from before its read: half of what a revocation may take to be known on every
/// other node (contract §3.6), so that a slow request keeps the promise too.
pub(crate) const MAX_AGE: Duration = Duration::from_millis(500);
/// From what age on one request reads again. A read that takes as long as the rest of [`MAX_AGE`] delays no other.
const RENEWAL_AGE: Duration = Duration::from_millis(375);
/// How many principals are remembered: about one KiB each.
const REMEMBERED: u64 = 10_000;
/// How many counters the sessions share. Two that share one are forgotten together, which costs a read.
const GENERATIONS: usize = 1_024;

/// Who was behind a session a moment ago.
pub(crate) struct RecentPrincipals {
    entries: Cache<SessionId, Arc<Entry>>,
    generations: Box<[AtomicU64; GENERATIONS]>,
}

struct Entry {
    principal: Arc<Principal>,
    asked_at: Instant,
    generation: u64,
    /// Whether somebody reads again. It stays so when they fail: then everybody does from [`MAX_AGE`] on.
    renewing: AtomicBool,
}

impl Entry {
    fn new(principal: Arc<Principal>, asked_at: Instant, generation: u64) -> Self {
        Self { principal, asked_at, generation, renewing: AtomicBool::new(false) }
    }

    /// Whether this is still what the store would answer.
    fn holds(&self, generation: u64, now: Timestamp) -> bool {
        self.generation == generation
            && self.asked_at.elapsed() < MAX_AGE
            && now < self.principal.session.expires_at
    }

    /// Whether it falls to the caller to read again: to one of all who are told of this entry.
    fn wants_renewal(&self) -> bool {
        self.asked_at.elapsed() >= RENEWAL_AGE && !self.renewing.swap(true, Ordering::Relaxed)
    }
}

impl RecentPrincipals {
    /// Remembers nobody yet.
    pub(crate) fn new() -> Self {
        let entries = Cache::builder().max_capacity(REMEMBERED).time_to_live(MAX_AGE).build();
        Self { entries, generations: Box::new([const { AtomicU64::new(0) }; GENERATIONS]) }
    }

    /// Who is behind this session at `now`: from memory, else by asking.
    ///
    /// # Errors
    /// Those of the question.
    pub(crate) async fn find(
        &self,
        session: SessionId,
        now: Timestamp,
        ask: impl Future<Output = Result<Option<Principal>, StoreError>>,
    ) -> Result<Option<Arc<Principal>>, StoreError> {
        let generation = self.generation_of(session).load(Ordering::SeqCst);
        let known = self.entries.get(&session).filter(|entry| entry.holds(generation, now));
        if let Some(entry) = known.filter(|entry| !entry.wants_renewal()) {
            return Ok(Some(entry.principal.clone()));
        }
        let asked_at = Instant::now();
        let Some(principal) = ask.await?.map(Arc::new) else { return Ok(None) };
        self.entries.insert(session, Arc::new(Entry::new(principal.clone(), asked_at, generation)));
        Ok(Some(principal))
    }

    /// Forgets who is behind a session: it has changed.
    pub(crate) fn forget(&self, session: SessionId) {
        self.generation_of(session).fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets everybody.
    pub(crate) fn forget_all(&self) {
        for generation in self.generations.iter() {
            generation.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is less than the length")]
    fn generation_of(&self, session: SessionId) -> &AtomicU64 {
        // The second half of an id is random (RFC 9562 §5.7).
        let (_, random) = session.as_uuid().as_u64_pair();
        &self.generations[random as usize % GENERATIONS]
    }
}

#[cfg(test)]
mod tests {
    use identsphere_organizations::Role;
    use identsphere_testkit::World;

    use super::*;

    struct Scene {
        recent: RecentPrincipals,
        principal: Principal,
        world: World,
    }

    impl Scene {
        fn new() -> Self {
            let world = World::default();
            let user = world.account().user;
            let session = world.session(&user);
            let principal = Principal { user, session, role: Role::OWNER };
            Self { recent: RecentPrincipals::new(), principal, world }
        }

        /// Whether the answer came from memory.
        async fn remembers(&self) -> bool {
            let mut was_asked = false;
            let ask = async {
                was_asked = true;
                Ok(Some(self.principal.clone()))
            };
            let found = self.recent.find(self.principal.session.id, self.world.now(), ask).await.unwrap();
            assert_eq!(found.as_deref(), Some(&self.principal));
            !was_asked
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_one_request_reads_again() {
        let scene = Scene::new();
        assert!(!scene.remembers().await);
        tokio::time::advance(RENEWAL_AGE - Duration::from_millis(1)).await;
        assert!(scene.remembers().await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!scene.remembers().await);
        tokio::time::advance(RENEWAL_AGE - Duration::from_millis(1)).await;
        assert!(scene.remembers().await);
    }

    #[tokio::test(start_paused = true)]
    async fn while_one_request_reads_again_the_others_need_not_wait_until_half_a_second_is_over() {
        let scene = Scene::new();
        scene.remembers().await;
        tokio::time::advance(RENEWAL_AGE).await;
        let (mut others, mut too_late) = (false, true);
        let fails = async {
            tokio::time::advance(MAX_AGE - RENEWAL_AGE - Duration::from_millis(1)).await;
            others = scene.remembers().await;
            tokio::time::advance(Duration::from_millis(1)).await;
            too_late = scene.remembers().await;
            Err(StoreError::unavailable("away"))
        };
        let id = scene.principal.session.id;
        assert!(scene.recent.find(id, scene.world.now(), fails).await.is_err());
        assert!(others, "were kept waiting");
        assert!(!too_late, "were told what is too old");
    }

    #[tokio::test(start_paused = true)]
    async fn age_counts_from_before_the_question() {
        let scene = Scene::new();
        let slow = async {
            tokio::time::advance(MAX_AGE).await;
            Ok(Some(scene.principal.clone()))
        };
        scene.recent.find(scene.principal.session.id, scene.world.now(), slow).await.unwrap();
        assert!(!scene.remembers().await);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_answered_after_it() {
        for forget_all in [true, false] {
            let scene = Scene::new();
            let id = scene.principal.session.id;
            let overtaken = async {
                let before = Ok(Some(scene.principal.clone()));
                if forget_all {
                    scene.recent.forget_all()
                } else {
                    scene.recent.forget(id)
                };
                before
            };
            scene.recent.find(id, scene.world.now(), overtaken).await.unwrap();
            assert!(!scene.remembers().await);
            assert!(scene.remembers().await);
        }
    }

    #[tokio::test]
    async fn a_change_of_one_session_costs_the_others_nothing() {
        let scene = Scene::new();
        scene.remembers().await;
        let other = scene.world.session(&scene.principal.user);
        scene.recent.forget(other.id);
        assert!(scene.remembers().await);
        scene.recent.forget(scene.principal.session.id);
        assert!(!scene.remembers().await);
    }

    #[tokio::test]
    async fn a_session_is_over_at_its_end_although_it_is_remembered() {
        let scene = Scene::new();
        scene.remembers().await;
        let session = &scene.principal.session;
        let found = scene.recent.find(session.id, session.expires_at, async { Ok(None) }).await.unwrap();
        assert_eq!(found, None);
    }

    #[tokio::test]
    async fn nobody_is_not_remembered() {
        let scene = Scene::new();
        let id = scene.principal.session.id;
        assert_eq!(scene.recent.find(id, scene.world.now(), async { Ok(None) }).await.unwrap(), None);
        assert!(!scene.remembers().await);
    }
}
