//! Cases of `Store::begin` and `Tx`: all or nothing, and never in the way of the next writer.

use std::future::pending;
use std::sync::Arc;

use identsphere_accounts::{Standing, User};
use identsphere_audit::AuditAction;
use identsphere_core::{Store, Tx};
use identsphere_kernel::{Duration, StoreError, Timestamp};
use identsphere_organizations::{Membership, Organization};
use identsphere_sessions::{RevocationReason, Session};
use identsphere_testkit::{Account, World};
use identsphere_tokens::SigningKey;
use tokio::sync::oneshot;

use crate::scene::{CONTENDERS, Scene, assert_conflict, race, take};

/// More than any pool of connections holds.
const MORE_THAN_A_POOL: usize = 60;

pub(crate) async fn a_commit_makes_everything_permanent(scene: &Scene) {
    let change = Change::new(scene).await;
    let mut tx = scene.begin().await;
    change.apply(tx.as_mut()).await.unwrap();
    tx.commit().await.unwrap();
    change.assert_done(scene).await;
}

pub(crate) async fn nothing_is_seen_before_the_commit(scene: &Scene) {
    let change = Change::new(scene).await;
    let mut tx = scene.begin().await;
    change.apply(tx.as_mut()).await.unwrap();
    change.assert_unseen(scene).await;
    tx.commit().await.unwrap();
    change.assert_done(scene).await;
}

pub(crate) async fn a_transaction_sees_its_own_writes(scene: &Scene) {
    let (account, session, key) = newcomer(&scene.world);
    let (other, standing) = (scene.world.session(&account.user), Standing::of(&account.user));
    let (owner, at, reason) = (account.user.id, scene.now(), RevocationReason::Logout);
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    tx.sign_ins().begin_session(&session, &standing).await.unwrap();
    assert!(tx.sessions().revoke(session.id, owner, reason, at).await.unwrap());
    assert!(!tx.sessions().revoke(session.id, owner, reason, at).await.unwrap());
    tx.sign_ins().begin_session(&other, &standing).await.unwrap();
    assert_eq!(tx.sessions().revoke_all(owner, None, reason, at).await.unwrap(), [other.id]);
    tx.keys().insert(&key).await.unwrap();
    assert!(tx.keys().delete(&key.kid).await.unwrap());
    assert!(!tx.keys().delete(&key.kid).await.unwrap());
    tx.commit().await.unwrap();

    assert_eq!(scene.store.list_live_sessions(owner, at).await.unwrap(), []);
    assert_eq!(scene.store.list_signing_keys().await.unwrap(), []);
    let state = scene.store.find_refresh_state(session.id).await.unwrap().unwrap();
    assert_eq!(state.revoked_at, Some(at));
}

pub(crate) async fn a_late_failure_undoes_everything(scene: &Scene) {
    let change = Change::new(scene).await;
    for collision in change.collisions(scene) {
        let mut tx = scene.begin().await;
        change.apply(tx.as_mut()).await.unwrap();
        let outcome = match collision.apply(tx.as_mut()).await {
            Ok(()) => tx.commit().await,
            refused => {
                drop(tx);
                refused
            }
        };
        collision.assert_refusal(outcome);
        change.assert_undone(scene).await;
    }
    let mut tx = scene.begin().await;
    change.apply(tx.as_mut()).await.unwrap();
    tx.commit().await.unwrap();
    change.assert_done(scene).await;
}

/// PostgreSQL answers such a commit with a quiet rollback, SQLite with half a transaction; neither will do.
pub(crate) async fn a_failed_write_cannot_be_committed_around(scene: &Scene) {
    let change = Change::new(scene).await;
    for collision in change.collisions(scene) {
        let mut tx = scene.begin().await;
        let refused = collision.apply(tx.as_mut()).await;
        let rest = change.apply(tx.as_mut()).await;
        let committed = tx.commit().await;
        assert!(refused.is_err() || rest.is_err() || committed.is_err(), "{collision:?}");
        assert!(committed.is_err(), "a commit that kept nothing says so: {collision:?}");
        change.assert_undone(scene).await;
    }
}

pub(crate) async fn a_dropped_transaction_undoes_everything(scene: &Scene) {
    let change = Change::new(scene).await;
    let mut tx = scene.begin().await;
    change.apply(tx.as_mut()).await.unwrap();
    drop(tx);
    change.assert_undone(scene).await;
}

pub(crate) async fn an_aborted_transaction_undoes_everything(scene: &Scene) {
    let change = Arc::new(Change::new(scene).await);
    let (ready, reached) = oneshot::channel();
    let task = tokio::spawn({
        let (store, change) = (Arc::clone(&scene.store), Arc::clone(&change));
        async move {
            let mut tx = store.begin().await.unwrap();
            change.apply(tx.as_mut()).await.unwrap();
            ready.send(()).unwrap();
            pending::<()>().await;
            tx.commit().await.unwrap();
        }
    });
    reached.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    change.assert_undone(scene).await;
    scene.sign_up().await;
}

/// A client that goes away aborts its request wherever it stands. The commit may have happened by then, or may still
/// be on its way to the database, so who is known is read before and after what must come with them.
pub(crate) async fn tasks_aborted_at_any_moment_leave_all_or_nothing(scene: &Scene) {
    let mut settled = Vec::new();
    for patience in 0..MORE_THAN_A_POOL {
        let (account, session, _) = newcomer(&scene.world);
        let task = tokio::spawn({
            let (store, account, session) = (Arc::clone(&scene.store), account.clone(), session.clone());
            async move { sign_up_and_in(&*store, &account, &session).await }
        });
        for _ in 0..patience * patience {
            tokio::task::yield_now().await;
        }
        task.abort();
        if let Ok(finished) = task.await {
            finished.unwrap();
        }
        settled.push((account, session));
    }
    let (last, session, _) = newcomer(&scene.world);
    sign_up_and_in(&*scene.store, &last, &session).await.unwrap();
    for (account, session) in settled {
        let known_before = scene.knows(&account).await;
        let signed_in = scene.find_principal(&session).await.is_some();
        let known_after = scene.knows(&account).await;
        assert!(signed_in || !known_before, "somebody signed up without the session of the same transaction");
        assert!(known_after || !signed_in, "a session without its user");
    }
}

pub(crate) async fn abandoned_transactions_never_block_the_next_writer(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    for _ in 0..MORE_THAN_A_POOL {
        let mut tx = scene.begin().await;
        scene.world.account().insert(tx.as_mut()).await.unwrap();
        let (owner, at) = (account.user.id, scene.now());
        assert!(tx.sessions().revoke(session.id, owner, RevocationReason::Logout, at).await.unwrap());
        drop(tx);
        drop(scene.begin().await);
    }
    assert!(scene.find_principal(&session).await.is_some());
    assert!(scene.revoke(&session).await);
}

pub(crate) async fn many_transactions_at_once_all_succeed(scene: &Scene) {
    let newcomers: Vec<_> = (0..CONTENDERS * 2).map(|_| newcomer(&scene.world)).collect();
    race(newcomers.clone().into_iter().map(|(account, session, _)| {
        let store = Arc::clone(&scene.store);
        async move { sign_up_and_in(&*store, &account, &session).await.unwrap() }
    }))
    .await;
    for (account, session, _) in newcomers {
        assert_eq!(scene.find_principal(&session).await.unwrap().user, account.user);
    }
}

/// A change through every port at once.
struct Change {
    at: Timestamp,
    /// Signs up, and in.
    account: Account,
    session: Session,
    first_key: SigningKey,
    /// Was there before: signs out, and gets another hash.
    resident: Account,
    residence: Session,
}

impl Change {
    async fn new(scene: &Scene) -> Self {
        let (resident, residence) = scene.visitor().await;
        assert_eq!(scene.store.take(&[take("change", 1, HOUR)], scene.now()).await.unwrap(), [None]);
        let (account, session, first_key) = newcomer(&scene.world);
        Self { at: scene.now(), account, session, first_key, resident, residence }
    }

    async fn apply(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        let (resident, reason) = (&self.resident, RevocationReason::EndedByUser);
        let old = resident.password_hash.clone().unwrap();
        let new = self.account.password_hash.clone().unwrap();
        self.account.insert(tx).await?;
        tx.sign_ins().begin_session(&self.session, &Standing::of(&self.account.user)).await?;
        tx.keys().insert(&self.first_key).await?;
        tx.limits().give_back(&take("change", 1, HOUR)).await?;
        tx.users().upgrade_password_hash(resident.user.id, &old, &new, self.at).await?;
        let event = World::default().audit_event(AuditAction::Register, &self.account);
        tx.audit().append(&event).await?;
        assert!(tx.sessions().revoke(self.residence.id, resident.user.id, reason, self.at).await?);
        Ok(())
    }

    async fn assert_done(&self, scene: &Scene) {
        let principal = scene.find_principal(&self.session).await.unwrap();
        assert_eq!((principal.user, principal.session), (self.account.user.clone(), self.session.clone()));
        assert_eq!(principal.role, self.account.membership.role);
        assert_eq!(scene.store.list_signing_keys().await.unwrap(), std::slice::from_ref(&self.first_key));
        assert_eq!(scene.find_principal(&self.residence).await, None);
        let resident = scene.find_sign_in(&self.resident).await.unwrap();
        assert_eq!(resident.password_hash, self.account.password_hash);
        assert_eq!(scene.store.take(&[take("change", 1, HOUR)], self.at).await.unwrap(), [None]);
    }

    /// That no look-up shows any of it.
    async fn assert_unseen(&self, scene: &Scene) {
        assert!(!scene.knows(&self.account).await);
        assert_eq!(scene.store.find_refresh_state(self.session.id).await.unwrap(), None);
        assert_eq!(scene.store.list_signing_keys().await.unwrap(), []);
        assert!(scene.find_principal(&self.residence).await.is_some());
        let resident = scene.find_sign_in(&self.resident).await.unwrap();
        assert_eq!(resident.password_hash, self.resident.password_hash);
    }

    /// That nothing of it happened, and nothing of it is in the way.
    async fn assert_undone(&self, scene: &Scene) {
        self.assert_unseen(scene).await;
        assert_eq!(scene.store.take(&[take("change", 1, HOUR)], self.at).await.unwrap(), [Some(HOUR)]);
        scene.sign_up().await;
    }

    /// Writes that each break one rule, against what was there before.
    fn collisions(&self, scene: &Scene) -> Vec<Collision> {
        let (world, resident) = (&scene.world, &self.resident);
        let mut namesake = world.account();
        namesake.user.email = resident.user.email.clone();
        let slug = resident.organization.slug.clone();
        let twin = Session { id: self.residence.id, ..world.session(&resident.user) };
        let changed = Standing::of(&User { mfa_enabled: true, ..resident.user.clone() });
        vec![
            Collision::Address(Box::new(namesake)),
            Collision::Slug(Organization { slug, ..world.organization() }),
            Collision::Membership(resident.membership.clone()),
            Collision::Session(twin, Standing::of(&resident.user)),
            Collision::Standing(world.session(&resident.user), changed),
        ]
    }
}

/// A write that breaks one rule.
#[derive(Debug)]
enum Collision {
    Address(Box<Account>),
    Slug(Organization),
    Membership(Membership),
    Session(Session, Standing),
    Standing(Session, Standing),
}

impl Collision {
    async fn apply(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        match self {
            Self::Address(account) => account.insert(tx).await,
            Self::Slug(organization) => tx.organizations().insert(organization).await,
            Self::Membership(membership) => tx.organizations().insert_membership(membership).await,
            Self::Session(session, standing) | Self::Standing(session, standing) => {
                tx.sign_ins().begin_session(session, standing).await
            }
        }
    }

    #[track_caller]
    fn assert_refusal(&self, outcome: Result<(), StoreError>) {
        match self {
            Self::Address(_) => assert_conflict(outcome, "users_email_key_key"),
            Self::Slug(_) => assert_conflict(outcome, "organizations_slug_key"),
            Self::Membership(_) => assert_conflict(outcome, "organization_memberships_pkey"),
            Self::Session(..) => assert_conflict(outcome, "user_sessions_pkey"),
            Self::Standing(..) => assert!(matches!(outcome, Err(StoreError::Overtaken)), "{outcome:?}"),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

fn newcomer(world: &World) -> (Account, Session, SigningKey) {
    let account = world.account();
    let session = world.session(&account.user);
    (account, session, world.signing_key(None))
}

async fn sign_up_and_in(store: &dyn Store, account: &Account, session: &Session) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    account.insert(tx.as_mut()).await?;
    tx.sign_ins().begin_session(session, &Standing::of(&account.user)).await?;
    tx.commit().await
}
