//! Cases of what `SessionRepo` does for the level of a session: step-ups, and the removal of what a level rests on.

use std::collections::HashSet;
use std::sync::Arc;

use identsphere_accounts::{Standing, User};
use identsphere_core::Store;
use identsphere_kernel::{Duration, PasskeyId, SessionId, Timestamp, UserId};
use identsphere_sessions::{AssuranceLevel, AuthMethod, RemovedFactor, SecondFactor, Session};

use crate::scene::{CONTENDERS, INSTANT, Scene, commit, race};

pub(crate) async fn a_step_up_raises_one_session(scene: &Scene) {
    let (account, bystander) = scene.visitor().await;
    for factor in SecondFactor::ALL {
        for passkey in [None, Some(passkey_id(scene))] {
            let before = scene.sign_in(&account).await;
            scene.world.clock.advance(Duration::from_secs(1));
            assert!(step_up(scene, &before, *factor, passkey).await);
            let expected = Session { passkey, ..raised(&before, *factor, scene.now()) };
            assert_eq!(find(scene, &before).await, Some(expected));
        }
    }
    assert_eq!(find(scene, &bystander).await, Some(bystander));
}

pub(crate) async fn a_later_step_up_keeps_the_passkey_unless_it_brings_one(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    let (first, second) = (Some(passkey_id(scene)), Some(passkey_id(scene)));
    let steps = [
        (SecondFactor::Totp, None, None),
        (SecondFactor::Passkey, first, first),
        (SecondFactor::RecoveryCode, None, first),
        (SecondFactor::Passkey, second, second),
        (SecondFactor::Totp, None, second),
    ];
    for (factor, given, kept) in steps {
        scene.world.clock.advance(Duration::from_secs(1));
        assert!(step_up(scene, &session, factor, given).await);
        let expected = Session { passkey: kept, ..raised(&session, factor, scene.now()) };
        assert_eq!(find(scene, &session).await, Some(expected));
    }
}

pub(crate) async fn only_a_live_session_of_its_owner_steps_up(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let other = scene.sign_up().await;
    let forged = Session { user: other.user.id, ..session.clone() };
    let revoked = scene.sign_in(&account).await;
    assert!(scene.revoke(&revoked).await);
    let over = Session { expires_at: scene.now(), ..scene.world.session(&account.user) };
    scene.save(&over).await;
    let unknown = scene.world.session(&account.user);
    for refused in [&forged, &revoked, &over, &unknown] {
        assert!(!step_up(scene, refused, SecondFactor::Totp, Some(passkey_id(scene))).await);
    }
    let held = scene.store.list_held_sessions(account.user.id).await.unwrap();
    let kept: HashSet<SessionId> = held.iter().map(|held| held.session.id).collect();
    assert_eq!(kept, HashSet::from([session.id, revoked.id, over.id]));
    for before in [session, revoked, over] {
        assert!(held.iter().any(|held| held.session == before), "it was changed");
    }
}

pub(crate) async fn a_step_up_needs_the_commit(scene: &Scene) {
    let account = scene.world.account();
    let (session, factor, now) = (scene.world.session(&account.user), SecondFactor::Totp, scene.now());
    let mut tx = scene.begin().await;
    account.insert(tx.as_mut()).await.unwrap();
    tx.sign_ins().begin_session(&session, &Standing::of(&account.user)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = scene.begin().await;
    assert!(tx.sessions().step_up(session.id, session.user, factor, None, now).await.unwrap());
    drop(tx);
    assert_eq!(find(scene, &session).await.as_ref(), Some(&session));

    let second = scene.world.session(&account.user);
    let mut tx = scene.begin().await;
    tx.sign_ins().begin_session(&second, &Standing::of(&account.user)).await.unwrap();
    assert!(tx.sessions().step_up(second.id, second.user, factor, None, now).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(find(scene, &second).await, Some(raised(&second, factor, now)));
}

pub(crate) async fn what_rests_on_a_removed_factor_ends(scene: &Scene) {
    for removed in removals(scene) {
        for spared in spares() {
            let user = scene.sign_up().await.user;
            let sessions = sessions_on(scene, &user, removed.passkey);
            for session in &sessions {
                scene.save(session).await;
            }
            let spare = spared.map(|place| sessions[place].id);
            let ended = drop_factor(&*scene.store, user.id, removed.factor, spare, scene.now()).await;
            let rest: Vec<&Session> = removed.rest_on_it.iter().map(|place| &sessions[*place]).collect();
            let doomed: HashSet<SessionId> =
                rest.iter().map(|session| session.id).filter(|id| Some(*id) != spare).collect();
            assert_eq!((ended.len(), HashSet::from_iter(ended)), (doomed.len(), doomed.clone()));
            for session in &sessions {
                let is_lowered = rest.contains(&session) && !doomed.contains(&session.id);
                let left = if is_lowered { lowered(session) } else { session.clone() };
                let expected = (!doomed.contains(&session.id)).then_some(left);
                assert_eq!(find(scene, session).await, expected, "{:?} {spared:?}", removed.factor);
            }
        }
    }
}

pub(crate) async fn a_removed_factor_spares_other_users_and_what_is_over(scene: &Scene) {
    let (user, other) = (scene.sign_up().await.user, scene.sign_up().await.user);
    let passkey = passkey_id(scene);
    let on_both =
        |user: &User| Session { passkey: Some(passkey), ..stepped_up(scene, user, SecondFactor::Totp) };
    for factor in [RemovedFactor::Codes, RemovedFactor::Passkey(passkey)] {
        let (live, of_other, revoked) = (on_both(&user), on_both(&other), on_both(&user));
        let over = Session { expires_at: scene.now().plus(INSTANT), ..on_both(&user) };
        for session in [&live, &of_other, &revoked, &over] {
            scene.save(session).await;
        }
        let revoked_at = scene.now();
        assert!(scene.revoke(&revoked).await);
        scene.world.clock.advance(INSTANT);
        let spare = Some(of_other.id);
        assert_eq!(drop_factor(&*scene.store, user.id, factor, spare, scene.now()).await, [live.id]);
        assert_eq!(find(scene, &of_other).await, Some(of_other));
        for (session, ended_at) in [(live, Some(scene.now())), (revoked, Some(revoked_at)), (over, None)] {
            let state = scene.store.find_refresh_state(session.id).await.unwrap().unwrap();
            assert_eq!(state.revoked_at, ended_at);
            let held = scene.store.list_held_sessions(user.id).await.unwrap();
            assert!(held.iter().any(|held| held.session == session), "only how it ended is noted");
        }
    }
}

/// Nobody is let in by what is over, and what is over has nothing to lose.
pub(crate) async fn a_spare_session_that_is_over_stays_as_it_is(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let revoked = stepped_up(scene, &user, SecondFactor::Totp);
    scene.save(&revoked).await;
    assert!(scene.revoke(&revoked).await);
    let spare = Some(revoked.id);
    let ended = drop_factor(&*scene.store, user.id, RemovedFactor::Codes, spare, scene.now()).await;
    assert_eq!(ended, []);
    assert_eq!(find(scene, &revoked).await, None);
    let held = scene.store.list_held_sessions(user.id).await.unwrap();
    assert_eq!(held[0].session, revoked);
}

pub(crate) async fn nothing_is_lowered_without_the_commit(scene: &Scene) {
    let user = scene.sign_up().await.user;
    let (spared, ended) =
        (stepped_up(scene, &user, SecondFactor::Totp), stepped_up(scene, &user, SecondFactor::RecoveryCode));
    scene.save(&spared).await;
    scene.save(&ended).await;
    let (codes, spare) = (RemovedFactor::Codes, Some(spared.id));
    let mut tx = scene.begin().await;
    let sessions = tx.sessions();
    assert_eq!(sessions.drop_factor(user.id, codes, spare, scene.now()).await.unwrap(), [ended.id]);
    assert_eq!(sessions.drop_factor(user.id, codes, spare, scene.now()).await.unwrap(), []);
    drop(tx);
    assert_eq!(find(scene, &spared).await, Some(spared));
    assert_eq!(find(scene, &ended).await, Some(ended));
}

pub(crate) async fn of_many_who_remove_a_factor_each_session_is_ended_by_one(scene: &Scene) {
    let (user, now) = (scene.sign_up().await.user, scene.now());
    let mut sessions = HashSet::new();
    for _ in 0..8 {
        let session = stepped_up(scene, &user, SecondFactor::Totp);
        scene.save(&session).await;
        sessions.insert(session.id);
    }
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, user) = (Arc::clone(&scene.store), user.id);
        async move { drop_factor(&*store, user, RemovedFactor::Codes, None, now).await }
    }))
    .await;
    let ended: Vec<SessionId> = outcomes.into_iter().flatten().collect();
    assert_eq!((ended.len(), HashSet::from_iter(ended)), (8, sessions));
}

/// A factor that is removed, and which of [`sessions_on`] rest on it.
struct Removal {
    factor: RemovedFactor,
    passkey: PasskeyId,
    rest_on_it: &'static [usize],
}

fn removals(scene: &Scene) -> [Removal; 3] {
    let passkey = passkey_id(scene);
    [
        Removal { factor: RemovedFactor::Codes, passkey, rest_on_it: &[1, 2, 3, 5, 7] },
        Removal { factor: RemovedFactor::Passkey(passkey), passkey, rest_on_it: &[4, 5, 6] },
        Removal { factor: RemovedFactor::Passkey(passkey_id(scene)), passkey, rest_on_it: &[] },
    ]
}

/// No session, or each one of [`sessions_on`].
fn spares() -> impl Iterator<Item = Option<usize>> {
    std::iter::once(None).chain((0..9).map(Some))
}

/// Sessions that rest on nothing, on each factor, on a factor and `passkey`, on `passkey` alone, on other passkeys.
fn sessions_on(scene: &Scene, user: &User, passkey: PasskeyId) -> [Session; 9] {
    let on = |factor| stepped_up(scene, user, factor);
    let (this, another) = (Some(passkey), Some(passkey_id(scene)));
    let by_passkey = |passkey| Session {
        auth_method: AuthMethod::Passkey,
        aal: AssuranceLevel::Aal2,
        passkey,
        mfa_verified_at: Some(scene.now()),
        ..scene.world.session(user)
    };
    [
        scene.world.session(user),
        on(SecondFactor::Totp),
        on(SecondFactor::RecoveryCode),
        on(SecondFactor::TrustedBrowser),
        Session { passkey: this, ..on(SecondFactor::Passkey) },
        Session { passkey: this, ..on(SecondFactor::Totp) },
        by_passkey(this),
        Session { passkey: another, ..on(SecondFactor::Totp) },
        by_passkey(another),
    ]
}

/// A session whose sign-in took a second factor.
fn stepped_up(scene: &Scene, user: &User, factor: SecondFactor) -> Session {
    raised(&scene.world.session(user), factor, scene.now())
}

fn raised(session: &Session, factor: SecondFactor, at: Timestamp) -> Session {
    let (aal, second_factor) = (AssuranceLevel::Aal2, Some(factor));
    Session { aal, second_factor, mfa_verified_at: Some(at), ..session.clone() }
}

fn lowered(session: &Session) -> Session {
    let aal = AssuranceLevel::Aal1;
    Session { aal, second_factor: None, passkey: None, mfa_verified_at: None, ..session.clone() }
}

fn passkey_id(scene: &Scene) -> PasskeyId {
    PasskeyId::new(&*scene.world.clock, &*scene.world.random)
}

async fn find(scene: &Scene, session: &Session) -> Option<Session> {
    scene.find_principal(session).await.map(|principal| principal.session)
}

async fn step_up(scene: &Scene, session: &Session, factor: SecondFactor, passkey: Option<PasskeyId>) -> bool {
    commit!(scene.store, sessions.step_up(session.id, session.user, factor, passkey, scene.now())).unwrap()
}

async fn drop_factor(
    store: &dyn Store,
    owner: UserId,
    factor: RemovedFactor,
    spare: Option<SessionId>,
    at: Timestamp,
) -> Vec<SessionId> {
    commit!(store, sessions.drop_factor(owner, factor, spare, at)).unwrap()
}
