//! What every case starts from: a store, and a world that makes records for it.

use std::any::Any;
use std::future::Future;
use std::hint::spin_loop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use identsphere_core::{BucketKey, Principal, Quota, SignInRecord, Store, Take, Tx};
use identsphere_kernel::{Duration, StoreError, Timestamp};
use identsphere_organizations::{Departure, Organization, Role};
use identsphere_sessions::{RevocationReason, Session};
use identsphere_testkit::builders::save_session;
use identsphere_testkit::{Account, World};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{Storage, Subject};

/// How many take part in a race.
pub(crate) const CONTENDERS: usize = 32;
/// The shortest time that a store tells apart.
pub(crate) const INSTANT: Duration = Duration::from_micros(1);
/// How long a case may take before it counts as stuck: a lock that is never released, a connection that never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many turns a racer spins while it waits for its partner: well under a millisecond.
const LONGEST_SPIN: usize = 20_000;

/// Calls one method of a repository in a transaction of its own: `commit!(store, sessions.delete_all(owner))`. What it
/// answered, once that is committed.
macro_rules! commit {
    ($store:expr, $repo:ident.$method:ident($($argument:expr),*)) => {
        async {
            let mut tx = $store.begin().await?;
            let answer = tx.$repo().$method($($argument),*).await?;
            tx.commit().await?;
            Ok::<_, identsphere_kernel::StoreError>(answer)
        }
        .await
    };
}
pub(crate) use commit;

/// A store under test and a world that makes records for it.
pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: World,
    _keep: Box<dyn Any + Send + Sync>,
}

impl From<Subject> for Scene {
    fn from(subject: Subject) -> Self {
        Self { store: subject.store, world: World::default(), _keep: subject.keep }
    }
}

/// A storage under test and a world that makes records for it.
pub(crate) struct Place {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) world: World,
}

impl<S: Storage> From<S> for Place {
    fn from(storage: S) -> Self {
        Self { storage: Box::new(storage), world: World::default() }
    }
}

impl Scene {
    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// A transaction.
    pub(crate) async fn begin(&self) -> Box<dyn Tx> {
        self.store.begin().await.unwrap()
    }

    /// Somebody who has signed up.
    pub(crate) async fn sign_up(&self) -> Account {
        let account = self.world.account();
        account.save(&*self.store).await.unwrap();
        account
    }

    /// A session of theirs.
    pub(crate) async fn sign_in(&self, account: &Account) -> Session {
        let session = self.world.session(&account.user);
        self.save(&session).await;
        session
    }

    /// Somebody who has signed up and in.
    pub(crate) async fn visitor(&self) -> (Account, Session) {
        let account = self.sign_up().await;
        let session = self.sign_in(&account).await;
        (account, session)
    }

    /// Keeps a session.
    pub(crate) async fn save(&self, session: &Session) {
        save_session(&*self.store, session).await.unwrap();
    }

    /// Keeps an organisation.
    pub(crate) async fn save_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let mut tx = self.begin().await;
        tx.organizations().insert(organization).await?;
        tx.commit().await
    }

    /// Makes somebody a member of an organisation.
    pub(crate) async fn join(
        &self,
        account: &Account,
        organization: &Organization,
        role: Role,
    ) -> Result<(), StoreError> {
        let membership = self.world.membership(&account.user, organization, role);
        let mut tx = self.begin().await;
        tx.organizations().insert_membership(&membership).await?;
        tx.commit().await
    }

    /// Deletes the organisation of which somebody is the only member, and makes them a member again.
    pub(crate) async fn delete_organization_of(&self, account: &Account) {
        let departure = commit!(self.store, organizations.depart(account.user.id, self.now())).unwrap();
        assert_eq!(departure, Departure::Left(vec![account.organization.id]));
        self.join(account, &account.organization, Role::OWNER).await.unwrap();
    }

    /// Ends a session on behalf of its owner.
    pub(crate) async fn revoke(&self, session: &Session) -> bool {
        sign_out(&*self.store, session, self.now()).await.unwrap()
    }

    /// What a sign-in would find.
    pub(crate) async fn find_sign_in(&self, account: &Account) -> Option<SignInRecord> {
        self.store.find_sign_in(account.user.email.key()).await.unwrap()
    }

    /// Whether this person has signed up.
    pub(crate) async fn knows(&self, account: &Account) -> bool {
        self.find_sign_in(account).await.is_some()
    }

    /// Who is behind a session now.
    pub(crate) async fn find_principal(&self, session: &Session) -> Option<Principal> {
        self.store.find_principal(session.id, self.now()).await.unwrap()
    }
}

/// Ends a session on behalf of its owner, in a transaction of its own.
pub(crate) async fn sign_out(
    store: &dyn Store,
    session: &Session,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let ended = tx.sessions().revoke(session.id, session.user, RevocationReason::Logout, at).await?;
    tx.commit().await?;
    Ok(ended)
}

/// One token out of the bucket of this name.
pub(crate) fn take(name: &str, burst: u32, per: Duration) -> Take {
    Take { bucket: BucketKey::of_address(name, None), quota: Quota { burst, per } }
}

/// Runs everybody at once; what each came to. Tasks that wait for the start are woken one after another, and a store in
/// memory is quicker than that, so they set off in pairs, each on a thread of its own.
pub(crate) async fn race<F>(racers: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let racers: Vec<F> = racers.into_iter().collect();
    let start = Arc::new(Barrier::new(racers.len()));
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for racer in racers {
        let (start, arrived) = (Arc::clone(&start), Arc::clone(&arrived));
        running.spawn(async move {
            start.wait().await;
            pair_up(&arrived);
            racer.await
        });
    }
    running.join_all().await
}

/// Fails a case that is stuck.
pub(crate) async fn in_time(case: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, pin!(case)).await.unwrap();
}

/// That a write was refused because of this rule.
#[track_caller]
pub(crate) fn assert_conflict<T>(outcome: Result<T, StoreError>, constraint: &str) {
    let Err(error) = outcome else { unreachable!("`{constraint}` should have forbidden this write") };
    assert!(error.is_conflict(constraint), "expected a conflict with `{constraint}`, got {error:?}");
}

/// Spins until the other one of a pair is here too, or for so long that there is none.
fn pair_up(arrived: &AtomicUsize) {
    let both = (arrived.fetch_add(1, Ordering::SeqCst) | 1) + 1;
    for _ in 0..LONGEST_SPIN {
        if arrived.load(Ordering::SeqCst) >= both {
            break;
        }
        spin_loop();
    }
}
