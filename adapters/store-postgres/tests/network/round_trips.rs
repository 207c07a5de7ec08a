//! How often each call crosses the network, counted on the wire.
//!
//! The tests run on one thread, so that the connection sends when the store waits and not earlier. A call is counted
//! the second time: the first on a connection also prepares its statements.

use identsphere_accounts::Standing;
use identsphere_audit::AuditAction;
use identsphere_core::{BucketKey, PrincipalStore, Quota, RateLimitStore, RefreshStore, Schema, Store, Take};
use identsphere_factors::passkey::{CeremonyKind, Passkey};
use identsphere_factors::{FactorStore, PasskeyInsertion, PasskeyStore};
use identsphere_kernel::{Duration, StoreError};
use identsphere_sessions::{PendingStore, RevocationReason, SessionStore, TrustStore};
use identsphere_store_postgres::PgStore;
use identsphere_testkit::builders::save_session;
use identsphere_testkit::{PostgresServer, Proxy, World};
use identsphere_tokens::KeyStore;

use crate::{config, migrated};

/// How many round trips `$call` takes once its statements are prepared.
macro_rules! round_trips {
    ($proxy:ident, $call:expr) => {{
        $call.unwrap();
        $proxy.round_trips();
        $call.unwrap();
        $proxy.round_trips()
    }};
}

#[tokio::test]
async fn every_call_on_the_store_is_one_round_trip() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    let world = World::default();
    let account = world.account();
    let session = world.session(&account.user);
    account.save(&store).await.unwrap();
    save_session(&store, &session).await.unwrap();
    let (email, now) = (account.user.email.key(), world.now());
    let quota = Quota { burst: 10, per: Duration::from_secs(60) };
    let take = |purpose| Take { bucket: BucketKey::of_address(purpose, None), quota };
    let takes = [take("login"), take("register")];

    assert_eq!(round_trips!(proxy, store.find_sign_in(email).await), 1);
    assert_eq!(round_trips!(proxy, store.find_principal(session.id, now).await), 1);
    assert_eq!(round_trips!(proxy, store.rotate_refresh(&world.rotation(&session)).await), 1);
    assert_eq!(round_trips!(proxy, store.find_refresh_state(session.id).await), 1);
    assert_eq!(round_trips!(proxy, store.list_live_sessions(account.user.id, now).await), 1);
    assert_eq!(round_trips!(proxy, store.sweep_sessions(now, 10).await), 1);
    assert_eq!(round_trips!(proxy, store.list_signing_keys().await), 1);
    assert_eq!(round_trips!(proxy, store.take(&takes, now).await), 1);
    assert_eq!(round_trips!(proxy, store.sweep_limits(now, 10).await), 1);
    assert_eq!(round_trips!(proxy, store.ping().await), 1);
}

#[tokio::test]
async fn every_call_about_second_factors_is_one_round_trip() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    let world = World::default();
    let account = world.account();
    let passkey = world.passkey(&account.user);
    account.save(&store).await.unwrap();
    add_passkey(&store, &passkey).await.unwrap();
    let (user, hash, now) = (account.user.id, world.token_hash(), world.now());
    let ceremony = || world.ceremony(CeremonyKind::SignIn, None);

    assert_eq!(round_trips!(proxy, store.find_sign_in_of(user).await), 1);
    assert_eq!(round_trips!(proxy, store.find_passkey_sign_in(&passkey.credential_id).await), 1);
    assert_eq!(round_trips!(proxy, store.count_pending_attempt(&hash, now).await), 1);
    assert_eq!(round_trips!(proxy, store.sweep_pending(now, 10).await), 1);
    assert_eq!(round_trips!(proxy, store.find_trusted(user, &hash, now).await), 1);
    assert_eq!(round_trips!(proxy, store.list_trusted(user, now).await), 1);
    assert_eq!(round_trips!(proxy, store.sweep_trusted(now, 10).await), 1);
    assert_eq!(round_trips!(proxy, store.find_authenticator(user).await), 1);
    assert_eq!(round_trips!(proxy, store.count_recovery_codes(user).await), 1);
    assert_eq!(round_trips!(proxy, store.list_passkeys(user).await), 1);
    assert_eq!(round_trips!(proxy, store.claim_handle(user, &world.user_handle()).await), 1);
    assert_eq!(round_trips!(proxy, store.begin_ceremony(&ceremony()).await), 1);
    assert_eq!(round_trips!(proxy, store.end_ceremony(&hash, now).await), 1);
    assert_eq!(round_trips!(proxy, store.sweep_ceremonies(now, 10).await), 1);
}

#[tokio::test]
async fn a_lock_on_the_user_is_no_round_trip() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    let world = World::default();
    let account = world.account();
    account.save(&store).await.unwrap();
    let (user, hash, now) = (account.user.id, world.token_hash(), world.now());
    let in_vain = async || -> Result<(), StoreError> {
        let mut tx = store.begin().await?;
        assert_eq!(tx.factors().take_recovery_code(user, &hash).await?, None);
        assert!(!tx.pending().take_pending(&hash, now).await?);
        tx.passkeys().remove_all_passkeys(user, now).await?;
        tx.commit().await
    };
    assert_eq!(round_trips!(proxy, in_vain().await), 3);
}

#[tokio::test]
async fn a_transaction_of_writes_is_one_round_trip() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    let world = World::default();
    assert_eq!(round_trips!(proxy, sign_up_and_in(&store, &world).await), 1);
}

#[tokio::test]
async fn a_question_in_a_transaction_is_one_round_trip_more() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    let world = World::default();
    let account = world.account();
    account.save(&store).await.unwrap();
    let sign_in_and_out = async || -> Result<(), StoreError> {
        let session = world.session(&account.user);
        let mut tx = store.begin().await?;
        tx.sign_ins().begin_session(&session, &Standing::of(&account.user)).await?;
        tx.audit().append(&world.audit_event(AuditAction::Logout, &account)).await?;
        assert!(
            tx.sessions().revoke(session.id, account.user.id, RevocationReason::Logout, world.now()).await?
        );
        tx.commit().await
    };
    assert_eq!(round_trips!(proxy, sign_in_and_out().await), 2);
}

#[tokio::test]
async fn an_unused_transaction_is_none() {
    let proxy = Proxy::start();
    let store = migrated(&config(proxy.url())).await;
    store.ping().await.unwrap();
    proxy.round_trips();
    store.begin().await.unwrap().commit().await.unwrap();
    drop(store.begin().await.unwrap());
    assert_eq!(proxy.round_trips(), 0);
}

/// On a new connection every statement must be prepared first. What follows must wait: a `COMMIT` that overtook them
/// would leave each write to itself.
#[tokio::test]
async fn writes_stay_together_on_a_connection_that_has_prepared_nothing() {
    let config = config(PostgresServer::shared().url());
    let store = migrated(&config).await;
    let world = World::default();
    let resident = world.account();
    let session = world.session(&resident.user);
    resident.save(&store).await.unwrap();
    save_session(&store, &session).await.unwrap();

    let cold = PgStore::open(&config).unwrap();
    let newcomer = world.account();
    let mut tx = cold.begin().await.unwrap();
    newcomer.insert(tx.as_mut()).await.unwrap();
    tx.audit().append(&world.audit_event(AuditAction::Register, &newcomer)).await.unwrap();
    tx.sign_ins().begin_session(&session, &Standing::of(&resident.user)).await.unwrap();
    assert!(tx.commit().await.unwrap_err().is_conflict("user_sessions_pkey"));
    assert_eq!(store.find_sign_in(newcomer.user.email.key()).await.unwrap(), None);
    newcomer.save(&cold).await.unwrap();
}

/// Six statements: organisation, user, membership, role, session, audit row.
async fn sign_up_and_in(store: &PgStore, world: &World) -> Result<(), StoreError> {
    let account = world.account();
    let mut tx = store.begin().await?;
    account.insert(tx.as_mut()).await?;
    let standing = Standing::of(&account.user);
    tx.sign_ins().begin_session(&world.session(&account.user), &standing).await?;
    tx.audit().append(&world.audit_event(AuditAction::Register, &account)).await?;
    tx.commit().await
}

async fn add_passkey(store: &PgStore, passkey: &Passkey) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    assert_eq!(tx.passkeys().insert_passkey(passkey).await?, PasskeyInsertion::Added);
    tx.commit().await
}
