//! Cases of `SessionStore` and `SessionRepo`.

use std::collections::HashSet;
use std::sync::Arc;

use identsphere_core::Store;
use identsphere_kernel::{Duration, SessionId, StoreError, Timestamp, UserId};
use identsphere_sessions::{RefreshState, RevocationReason, Session};
use identsphere_testkit::Account;
use identsphere_testkit::builders::save_session;

use crate::scene::{CONTENDERS, Scene, assert_conflict, race, sign_out};

const INSTANT: Duration = Duration::from_micros(1);

pub(crate) async fn a_session_comes_back_exactly_as_given(scene: &Scene) {
    let account = scene.sign_up().await;
    let sessions = scene.world.extreme_sessions(&account.user);
    for session in &sessions {
        scene.save(session).await;
    }
    for session in &sessions {
        assert_eq!(scene.find_principal(session).await.unwrap().session, *session);
        let state = scene.store.find_refresh_state(session.id).await.unwrap();
        assert_eq!(state, Some(state_of(session)));
    }
    assert_eq!(live(scene, &account).await, in_order(sessions));
}

pub(crate) async fn what_is_unknown_is_absent(scene: &Scene) {
    let (account, _) = scene.visitor().await;
    let unknown = scene.world.session(&account.user);
    assert_eq!(scene.store.find_refresh_state(unknown.id).await.unwrap(), None);
    assert!(!scene.revoke(&unknown).await);
    let stranger = scene.world.account();
    assert_eq!(live(scene, &stranger).await, []);
    assert_eq!(revoke_all(&*scene.store, stranger.user.id, None, scene.now()).await.unwrap(), []);
}

pub(crate) async fn a_taken_session_id_is_refused(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let second = Session { id: session.id, ..scene.world.session(&account.user) };
    assert_conflict(save_session(&*scene.store, &second).await, "user_sessions_pkey");
    assert_eq!(live(scene, &account).await, [session]);
}

pub(crate) async fn a_session_needs_a_user_and_an_organization(scene: &Scene) {
    let (account, stranger) = (scene.sign_up().await, scene.world.account());
    let of_nobody = Session { organization: account.organization.id, ..scene.world.session(&stranger.user) };
    let nowhere = Session { organization: stranger.organization.id, ..scene.world.session(&account.user) };
    for session in [of_nobody, nowhere] {
        assert!(save_session(&*scene.store, &session).await.is_err());
        assert_eq!(scene.store.find_refresh_state(session.id).await.unwrap(), None);
    }
}

pub(crate) async fn sessions_are_listed_newest_activity_first(scene: &Scene) {
    let account = scene.sign_up().await;
    let now = scene.now();
    let mut sessions = Vec::new();
    for (index, last_active_at) in [now, now.plus(INSTANT), now.minus(INSTANT), now].into_iter().enumerate() {
        for first_byte in [0x00, 0x7f, 0x80, 0xff] {
            let mut id = [first_byte; 16];
            id.last_mut().into_iter().for_each(|last| *last = u8::try_from(index).unwrap());
            let id = SessionId::from_bytes(id);
            sessions.push(Session { id, last_active_at, ..scene.world.session(&account.user) });
        }
    }
    for session in &sessions {
        scene.save(session).await;
    }
    assert_eq!(live(scene, &account).await, in_order(sessions));
}

pub(crate) async fn only_live_sessions_are_listed(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let revoked = scene.sign_in(&account).await;
    assert!(scene.revoke(&revoked).await);
    let now = scene.now();
    for (ended, is_live) in [(now.minus(INSTANT), false), (now, false), (now.plus(INSTANT), true)] {
        let other = Session { expires_at: ended, ..scene.world.session(&account.user) };
        scene.save(&other).await;
        assert_eq!(live(scene, &account).await.contains(&other), is_live, "{ended}");
    }
    let listed = live(scene, &account).await;
    assert!(listed.contains(&session) && !listed.iter().any(|other| other.id == revoked.id));
}

pub(crate) async fn each_user_sees_their_own_sessions(scene: &Scene) {
    let (ada, adas) = scene.visitor().await;
    let (grace, graces) = scene.visitor().await;
    assert_eq!(live(scene, &ada).await, [adas]);
    assert_eq!(live(scene, &grace).await, [graces]);
}

pub(crate) async fn a_session_is_revoked_once(scene: &Scene) {
    let (account, session) = scene.visitor().await;
    let other = scene.sign_in(&account).await;
    assert!(scene.revoke(&session).await);
    assert!(!scene.revoke(&session).await);
    assert_eq!(live(scene, &account).await, [other]);
}

pub(crate) async fn a_revoked_family_remains_known(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    let revoked_at = scene.now();
    assert!(scene.revoke(&session).await);
    scene.world.clock.advance(INSTANT);
    assert!(!scene.revoke(&session).await);
    let state = scene.store.find_refresh_state(session.id).await.unwrap();
    assert_eq!(state, Some(RefreshState { revoked_at: Some(revoked_at), ..state_of(&session) }));
}

pub(crate) async fn nobody_revokes_the_session_of_another(scene: &Scene) {
    let (ada, adas) = scene.visitor().await;
    let (grace, graces) = scene.visitor().await;
    let forged = Session { user: grace.user.id, ..adas.clone() };
    assert!(!scene.revoke(&forged).await);
    assert_eq!(live(scene, &ada).await, [adas]);
    assert_eq!(live(scene, &grace).await, [graces]);
}

pub(crate) async fn an_ended_session_is_not_revoked(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    assert!(!sign_out(&*scene.store, &session, session.expires_at).await.unwrap());
    let state = scene.store.find_refresh_state(session.id).await.unwrap();
    assert_eq!(state, Some(state_of(&session)));
    assert!(sign_out(&*scene.store, &session, session.expires_at.minus(INSTANT)).await.unwrap());
}

pub(crate) async fn all_sessions_are_revoked_but_one(scene: &Scene) {
    let (account, kept) = scene.visitor().await;
    let mut others = HashSet::new();
    for _ in 0..5 {
        others.insert(scene.sign_in(&account).await.id);
    }
    let ended = revoke_all(&*scene.store, account.user.id, Some(kept.id), scene.now()).await.unwrap();
    assert_eq!((ended.len(), HashSet::from_iter(ended)), (5, others));
    assert_eq!(live(scene, &account).await, std::slice::from_ref(&kept));

    let ended = revoke_all(&*scene.store, account.user.id, None, scene.now()).await.unwrap();
    assert_eq!(ended, [kept.id]);
    assert_eq!(live(scene, &account).await, []);
    assert_eq!(revoke_all(&*scene.store, account.user.id, None, scene.now()).await.unwrap(), []);
}

pub(crate) async fn revoking_all_spares_other_users_and_what_is_over(scene: &Scene) {
    let (ada, adas) = scene.visitor().await;
    let (grace, graces) = scene.visitor().await;
    let revoked = scene.sign_in(&ada).await;
    assert!(scene.revoke(&revoked).await);
    let ended = Session { expires_at: scene.now(), ..scene.world.session(&ada.user) };
    scene.save(&ended).await;
    scene.world.clock.advance(INSTANT);

    let except = Some(graces.id);
    assert_eq!(revoke_all(&*scene.store, ada.user.id, except, scene.now()).await.unwrap(), [adas.id]);
    assert_eq!(live(scene, &grace).await, [graces]);
    let state = |id| scene.store.find_refresh_state(id);
    assert_eq!(state(ended.id).await.unwrap().unwrap().revoked_at, None);
    assert_eq!(
        state(revoked.id).await.unwrap().unwrap().revoked_at,
        Some(scene.now().minus(INSTANT)),
        "the first revocation stands"
    );
}

pub(crate) async fn of_many_who_revoke_one_session_one_wins(scene: &Scene) {
    let (_, session) = scene.visitor().await;
    let now = scene.now();
    let outcomes = race((0..CONTENDERS).map(|_| {
        let (store, session) = (Arc::clone(&scene.store), session.clone());
        async move { sign_out(&*store, &session, now).await.unwrap() }
    }))
    .await;
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(scene.find_principal(&session).await, None);
}

pub(crate) async fn of_many_who_revoke_all_each_session_is_ended_by_one(scene: &Scene) {
    let account = scene.sign_up().await;
    let mut sessions = HashSet::new();
    for _ in 0..8 {
        sessions.insert(scene.sign_in(&account).await.id);
    }
    let (owner, now) = (account.user.id, scene.now());
    let outcomes = race((0..CONTENDERS).map(|_| {
        let store = Arc::clone(&scene.store);
        async move { revoke_all(&*store, owner, None, now).await.unwrap() }
    }))
    .await;
    let ended: Vec<SessionId> = outcomes.into_iter().flatten().collect();
    assert_eq!((ended.len(), HashSet::from_iter(ended)), (8, sessions));
}

pub(crate) async fn a_sweep_deletes_what_ended_earlier(scene: &Scene) {
    let (account, alive) = scene.visitor().await;
    let revoked = scene.sign_in(&account).await;
    assert!(scene.revoke(&revoked).await);
    let cut = scene.now();
    let ended = |at| Session { expires_at: at, ..scene.world.session(&account.user) };
    let (earlier, then) = (ended(cut.minus(INSTANT)), ended(cut));
    scene.save(&earlier).await;
    scene.save(&then).await;

    assert_eq!(scene.store.sweep_sessions(cut, 100).await.unwrap(), 1);
    assert_eq!(scene.store.sweep_sessions(cut, 100).await.unwrap(), 0);
    for (session, remains) in [(earlier, false), (then, true), (alive, true), (revoked, true)] {
        let state = scene.store.find_refresh_state(session.id).await.unwrap();
        assert_eq!(state.is_some(), remains, "{}", session.expires_at);
    }
}

pub(crate) async fn a_sweep_deletes_no_more_than_its_limit(scene: &Scene) {
    let account = scene.sign_up().await;
    for _ in 0..5 {
        let ended = Session { expires_at: scene.now().minus(INSTANT), ..scene.world.session(&account.user) };
        scene.save(&ended).await;
    }
    for swept in [2, 2, 1, 0] {
        assert_eq!(scene.store.sweep_sessions(scene.now(), 2).await.unwrap(), swept);
    }
}

fn state_of(session: &Session) -> RefreshState {
    RefreshState { leaf: session.leaf.clone(), expires_at: session.expires_at, revoked_at: None }
}

fn in_order(mut sessions: Vec<Session>) -> Vec<Session> {
    sessions.sort_by_key(|session| (session.last_active_at, session.id));
    sessions.reverse();
    sessions
}

async fn live(scene: &Scene, account: &Account) -> Vec<Session> {
    scene.store.list_live_sessions(account.user.id, scene.now()).await.unwrap()
}

async fn revoke_all(
    store: &dyn Store,
    owner: UserId,
    except: Option<SessionId>,
    at: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let mut tx = store.begin().await?;
    let ended = tx.sessions().revoke_all(owner, except, RevocationReason::EndedByUser, at).await?;
    tx.commit().await?;
    Ok(ended)
}
