//! Cases of `SignInRepo`: what a sign-in begins is kept only while its user is as the sign-in found them.

use std::sync::Arc;

use identsphere_accounts::{PasswordHash, Standing, User, UserStatus};
use identsphere_audit::AuditAction;
use identsphere_core::{Store, Tx};
use identsphere_kernel::{StoreError, Timestamp};
use identsphere_sessions::{
    AssuranceLevel, PendingAttempt, PendingSignIn, RemovedFactor, RevocationReason, SecondFactor, Session,
};
use identsphere_testkit::Account;

use crate::factors::protect;
use crate::scene::{Scene, commit, race};

/// How often a sign-in and a change meet, each time about another user.
const ROUNDS: usize = 24;
/// How many sign-ins meet a change.
const SIGN_INS: usize = 3;

pub(crate) async fn what_rests_on_a_user_as_they_are_begins(scene: &Scene) {
    for status in UserStatus::ALL {
        for mfa_enabled in [false, true] {
            let account = scene.world.account();
            let account = Account { user: User { status, mfa_enabled, ..account.user }, ..account };
            account.save(&*scene.store).await.unwrap();
            let plain = Standing::of(&account.user);
            let by_password = plain.clone().with_password(account.password_hash.clone().unwrap());
            for standing in [plain, by_password] {
                assert!(begins(scene, &account.user, &standing).await, "{standing:?}");
            }
        }
    }
}

pub(crate) async fn a_status_that_is_another_now_refuses_it(scene: &Scene) {
    for now in UserStatus::ALL {
        let account = scene.world.account();
        let account = Account { user: User { status: now, ..account.user }, ..account };
        account.save(&*scene.store).await.unwrap();
        for before in UserStatus::ALL {
            let standing = Standing::of(&User { status: before, ..account.user.clone() });
            assert_eq!(begins(scene, &account.user, &standing).await, before == now, "{before:?} {now:?}");
        }
    }
}

pub(crate) async fn a_second_factor_that_came_or_went_refuses_it(scene: &Scene) {
    let (account, now) = (scene.sign_up().await, scene.now());
    let user = &account.user;
    let (without, with) =
        (Standing::of(user), Standing::of(&User { mfa_enabled: true, ..account.user.clone() }));
    assert!(begins(scene, user, &without).await && !begins(scene, user, &with).await);
    protect(&*scene.store, user.id, &scene.world.sealed_secret(), now).await;
    assert!(!begins(scene, user, &without).await && begins(scene, user, &with).await);
    assert!(commit!(scene.store, factors.remove_authenticator(user.id, now)).unwrap());
    assert!(begins(scene, user, &without).await && !begins(scene, user, &with).await);
}

pub(crate) async fn another_password_refuses_what_rests_on_the_one_before(scene: &Scene) {
    let (account, now) = (scene.sign_up().await, scene.now());
    let (user, first) = (&account.user, account.password_hash.clone().unwrap());
    let (second, third) = (scene.world.password_hash(), scene.world.password_hash());
    let plain = Standing::of(user);
    let by = |hash| plain.clone().with_password(hash);
    let (by_first, by_second, by_third) = (by(first.clone()), by(second.clone()), by(third.clone()));
    assert!(commit!(scene.store, users.set_password_hash(user.id, &first, &second, now)).unwrap());
    assert!(!begins(scene, user, &by_first).await && begins(scene, user, &by_second).await);
    commit!(scene.store, users.upgrade_password_hash(user.id, &second, &third, now)).unwrap();
    assert!(!begins(scene, user, &by_second).await && begins(scene, user, &by_third).await);
    commit!(scene.store, users.replace_password(user.id, None, now)).unwrap();
    for standing in [&by_first, &by_second, &by_third] {
        assert!(!begins(scene, user, standing).await);
    }
    assert!(begins(scene, user, &plain).await, "no password was shown");
}

pub(crate) async fn nothing_begins_for_whoever_is_unknown_or_gone(scene: &Scene) {
    let (account, stranger) = (scene.sign_up().await, scene.world.account());
    let standing = Standing::of(&account.user);
    let of_nobody = User { home_organization: account.organization.id, ..stranger.user };
    assert!(!begins(scene, &of_nobody, &standing).await);
    commit!(scene.store, users.erase(account.user.id, scene.now())).unwrap().unwrap();
    assert!(!begins(scene, &account.user, &standing).await);
}

pub(crate) async fn the_standing_of_another_user_is_nothing(scene: &Scene) {
    let (account, other) = (scene.sign_up().await, scene.sign_up().await);
    let of_other = Standing::of(&other.user).with_password(other.password_hash.unwrap());
    assert!(!begins(scene, &account.user, &of_other).await);
    assert!(begins(scene, &other.user, &of_other).await);
}

pub(crate) async fn what_the_transaction_changed_before_counts(scene: &Scene) {
    let (account, now) = (scene.sign_up().await, scene.now());
    let (user, old) = (account.user.id, account.password_hash.clone().unwrap());
    let new = scene.world.password_hash();
    protect(&*scene.store, user, &scene.world.sealed_secret(), now).await;
    let protected = Standing::of(&User { mfa_enabled: true, ..account.user.clone() });
    for (hash, begins) in [(&old, false), (&new, true)] {
        let mut tx = scene.begin().await;
        tx.users().upgrade_password_hash(user, &old, &new, now).await.unwrap();
        let standing = protected.clone().with_password(hash.clone());
        assert_eq!(begin_in(scene, tx, &account.user, &standing).await, begins);
    }
    for (standing, begins) in [(&protected, false), (&Standing::of(&account.user), true)] {
        let mut tx = scene.begin().await;
        tx.users().replace_password(user, None, now).await.unwrap();
        tx.factors().remove_authenticator(user, now).await.unwrap();
        assert_eq!(begin_in(scene, tx, &account.user, standing).await, begins);
    }
}

pub(crate) async fn a_refused_sign_in_leaves_nothing_of_its_transaction(scene: &Scene) {
    let (account, newcomer) = (scene.sign_up().await, scene.world.account());
    let stale = Standing::of(&User { mfa_enabled: true, ..account.user.clone() });
    let (session, pending) = records(scene, &account.user);
    let event = scene.world.audit_event(AuditAction::Login, &account);
    for is_question in [false, true] {
        let refused = async {
            let mut tx = scene.begin().await;
            newcomer.insert(tx.as_mut()).await?;
            match is_question {
                true => tx.sign_ins().put_pending(&pending, &stale).await?,
                false => tx.sign_ins().begin_session(&session, &stale).await?,
            }
            tx.audit().append(&event).await?;
            tx.commit().await
        }
        .await;
        assert!(matches!(refused, Err(StoreError::Overtaken)), "{refused:?}");
        assert!(!scene.knows(&newcomer).await);
        let events = scene.store.list_events_by(account.user.id, 10).await.unwrap();
        assert!(events.is_empty(), "{events:?}");
    }
}

pub(crate) async fn of_a_sign_in_and_another_password_at_once_none_survives_the_other(scene: &Scene) {
    meet(scene, Change::Password).await;
}

pub(crate) async fn of_a_sign_in_and_the_end_of_its_factor_at_once_none_survives_the_other(scene: &Scene) {
    meet(scene, Change::Factor).await;
}

pub(crate) async fn of_a_sign_in_and_the_end_of_its_account_at_once_none_survives_the_other(scene: &Scene) {
    meet(scene, Change::Account).await;
}

/// What ends sign-ins.
#[derive(Debug, Clone, Copy)]
enum Change {
    Password,
    Factor,
    Account,
}

impl Change {
    /// Makes it, and ends whatever rests on what was before.
    async fn make(self, store: &dyn Store, account: &Account, now: Timestamp) -> Result<(), StoreError> {
        let user = account.user.id;
        let mut tx = store.begin().await?;
        match self {
            Self::Password => {
                let old = account.password_hash.as_ref().unwrap();
                let new = PasswordHash::new("another");
                assert!(tx.users().set_password_hash(user, old, &new, now).await?);
                tx.sessions().revoke_all(user, None, RevocationReason::PasswordChanged, now).await?;
            }
            Self::Factor => {
                assert!(tx.factors().remove_authenticator(user, now).await?);
                tx.sessions().drop_factor(user, RemovedFactor::Codes, None, now).await?;
            }
            Self::Account => {
                tx.users().erase(user, now).await?.unwrap();
                tx.sessions().delete_all(user).await?;
            }
        }
        tx.pending().void_pending(user).await?;
        tx.commit().await
    }
}

/// Signs in, which may come too late.
async fn sign_in(store: &dyn Store, session: &Session, standing: &Standing) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.sign_ins().begin_session(session, standing).await?;
    tx.commit().await
}

async fn ask(store: &dyn Store, pending: &PendingSignIn, standing: &Standing) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.sign_ins().put_pending(pending, standing).await?;
    tx.commit().await
}

async fn meet(scene: &Scene, change: Change) {
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let (account, now) = (scene.sign_up().await, scene.now());
        protect(&*scene.store, account.user.id, &scene.world.sealed_secret(), now).await;
        let standing = Standing::of(&User { mfa_enabled: true, ..account.user.clone() })
            .with_password(account.password_hash.clone().unwrap());
        let pending: Vec<_> = (0..SIGN_INS).map(|_| scene.world.pending_sign_in(&account.user)).collect();
        let racers = (0..=2 * SIGN_INS).map(|racer| {
            let (store, account, standing) = (Arc::clone(&scene.store), account.clone(), standing.clone());
            let session = Session {
                aal: AssuranceLevel::Aal2,
                second_factor: Some(SecondFactor::Totp),
                ..scene.world.session(&account.user)
            };
            let question = pending.get(racer).cloned();
            async move {
                match question {
                    Some(question) => ask(&*store, &question, &standing).await,
                    None if racer == SIGN_INS => change.make(&*store, &account, now).await,
                    None => sign_in(&*store, &session, &standing).await,
                }
            }
        });
        for outcome in race(racers).await {
            refused += usize::from(!is_in_time(outcome));
        }
        assert_eq!(scene.store.list_live_sessions(account.user.id, now).await.unwrap(), [], "{change:?}");
        for pending in &pending {
            let attempt = scene.store.count_pending_attempt(&pending.hash, now).await.unwrap();
            assert_eq!(attempt, PendingAttempt::Absent, "{change:?}");
        }
    }
    assert!(refused > 0, "nobody came too late, so nothing was tried");
}

/// Whether a session that rests on this begins; a question that does begins too, or neither.
async fn begins(scene: &Scene, user: &User, standing: &Standing) -> bool {
    let (session, pending) = records(scene, user);
    let in_time = [
        is_in_time(sign_in(&*scene.store, &session, standing).await),
        is_in_time(ask(&*scene.store, &pending, standing).await),
    ];
    assert_eq!(kept(scene, &session, &pending).await, in_time);
    assert_eq!(in_time[0], in_time[1], "{standing:?}");
    in_time[0]
}

/// The same at the end of a transaction.
async fn begin_in(scene: &Scene, mut tx: Box<dyn Tx>, user: &User, standing: &Standing) -> bool {
    let (session, pending) = records(scene, user);
    let begun = async {
        tx.sign_ins().put_pending(&pending, standing).await?;
        tx.sign_ins().begin_session(&session, standing).await?;
        tx.commit().await
    };
    let begins = is_in_time(begun.await);
    assert_eq!(kept(scene, &session, &pending).await, [begins, begins]);
    begins
}

fn is_in_time(outcome: Result<(), StoreError>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(StoreError::Overtaken) => false,
        Err(error) => unreachable!("nobody did anything wrong: {error:?}"),
    }
}

/// Whether a session and a question are there.
async fn kept(scene: &Scene, session: &Session, pending: &PendingSignIn) -> [bool; 2] {
    let state = scene.store.find_refresh_state(session.id).await.unwrap();
    let attempt = scene.store.count_pending_attempt(&pending.hash, scene.now()).await.unwrap();
    [state.is_some(), attempt == PendingAttempt::Counted(pending.clone())]
}

fn records(scene: &Scene, user: &User) -> (Session, PendingSignIn) {
    (scene.world.session(user), scene.world.pending_sign_in(user))
}
