//! Transactions about one user wait for each other in one order: for the row of the user first. Otherwise the server
//! has to end one of two that wait crosswise, and somebody who did nothing wrong is told to try again.

#![expect(clippy::unwrap_used, reason = "what fails here has failed the test")]

use std::sync::Arc;
use std::time::Duration;

use identsphere_accounts::{
    CodeChallenge, EmailVerification, PasswordReset, Standing, User, VerificationKind,
};
use identsphere_core::{Schema, Store, Tx};
use identsphere_factors::PasskeyStore;
use identsphere_factors::passkey::Passkey;
use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{SecretString, StoreError, Timestamp, TokenHash};
use identsphere_sessions::{
    PendingSignIn, RemovedFactor, RevocationReason, SecondFactor, Session, TrustRotation, TrustedBrowser,
};
use identsphere_store_postgres::{PgConfig, PgStore, SchemaName};
use identsphere_testkit::{Account, PostgresServer, World, fresh_schema_name};
use tokio::task::JoinSet;

/// How often everybody meets, each time about another user.
const ROUNDS: usize = 16;
const STEP: TimeStep = TimeStep::from_number(1);
const NEXT_STEP: TimeStep = TimeStep::from_number(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_about_one_user_never_wait_crosswise() {
    let world = World::default();
    let store = migrated().await;
    for _ in 0..ROUNDS {
        let person = Arc::new(Person::enrol(&world, &store).await.unwrap());
        let mut running = JoinSet::new();
        for act in ACTS {
            for _ in 0..2 {
                let (store, person) = (store.clone(), Arc::clone(&person));
                let begun = Begun {
                    session: world.session(&person.account.user),
                    question: world.pending_sign_in(&person.account.user),
                };
                running.spawn(async move { person.act(act, &store, &begun).await });
            }
        }
        for outcome in running.join_all().await {
            assert!(matches!(outcome, Ok(()) | Err(StoreError::Overtaken)), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn sign_ins_of_one_user_do_not_wait_for_each_other() {
    let world = World::default();
    let store = migrated().await;
    let account = world.account();
    account.save(&store).await.unwrap();
    let (user, standing, now) = (&account.user, Standing::of(&account.user), world.now());
    let mut open = Vec::new();
    for _ in 0..3 {
        let session = world.session(user);
        let mut tx = store.begin().await.unwrap();
        tx.sign_ins().begin_session(&session, &standing).await.unwrap();
        // A question, so that the server has all of it before the next one comes.
        assert!(tx.sessions().revoke(session.id, user.id, RevocationReason::Logout, now).await.unwrap());
        open.push(tx);
    }
    for tx in open {
        tx.commit().await.unwrap();
    }
}

/// What is done in a transaction of its own, whether or not it comes in time.
#[derive(Debug, Clone, Copy)]
enum Act {
    SignIn,
    AskForSecondFactor,
    SignInWithCode,
    SignInWithRecoveryCode,
    SignInFromTrustedBrowser,
    SignInWithPasskey,
    StepUp,
    RemoveAuthenticator,
    RemovePasskey,
    SignInWithMailedCode,
    ConfirmAddress,
    ResetPassword,
    ChangePassword,
    EndEverySession,
    DeleteAccount,
}

const ACTS: [Act; 15] = [
    Act::SignIn,
    Act::AskForSecondFactor,
    Act::SignInWithCode,
    Act::SignInWithRecoveryCode,
    Act::SignInFromTrustedBrowser,
    Act::SignInWithPasskey,
    Act::StepUp,
    Act::RemoveAuthenticator,
    Act::RemovePasskey,
    Act::SignInWithMailedCode,
    Act::ConfirmAddress,
    Act::ResetPassword,
    Act::ChangePassword,
    Act::EndEverySession,
    Act::DeleteAccount,
];

/// What a sign-in would begin.
struct Begun {
    session: Session,
    question: PendingSignIn,
}

/// Somebody with one of everything.
struct Person {
    account: Account,
    now: Timestamp,
    session: Session,
    device: TokenHash,
    sealed: Vec<u8>,
    code: TokenHash,
    pending: PendingSignIn,
    browser: TrustedBrowser,
    rotation: TrustRotation,
    passkey: Passkey,
    mailed: CodeChallenge,
    verification: EmailVerification,
    reset: PasswordReset,
}

impl Person {
    async fn enrol(world: &World, store: &PgStore) -> Result<Self, StoreError> {
        let account = world.account();
        let browser = world.trusted_browser(&account.user);
        let person = Self {
            now: world.now(),
            session: world.session(&account.user),
            device: world.token_hash(),
            sealed: world.sealed_secret(),
            code: world.token_hash(),
            pending: world.pending_sign_in(&account.user),
            rotation: world.trust_rotation(&browser),
            browser,
            passkey: world.passkey(&account.user),
            mailed: world.code_challenge(&account.user),
            verification: world.verification(&account.user, VerificationKind::Confirm),
            reset: world.password_reset(&account.user),
            account,
        };
        let (user, now) = (person.account.user.id, person.now);
        person.account.save(store).await?;
        store.claim_handle(user, &world.user_handle()).await?;
        let mut tx = store.begin().await?;
        tx.sign_ins().begin_session(&person.session, &Standing::of(&person.account.user)).await?;
        tx.factors().set_up_authenticator(user, &person.sealed, now).await?;
        tx.factors().confirm_authenticator(user, &person.sealed, STEP, now).await?;
        tx.factors().replace_recovery_codes(user, &[person.code], now).await?;
        tx.sign_ins().put_pending(&person.pending, &person.standing()).await?;
        tx.trust().insert_trusted(&person.browser).await?;
        tx.passkeys().insert_passkey(&person.passkey).await?;
        tx.proofs().put_code(&person.mailed).await?;
        tx.proofs().put_verification(&person.verification).await?;
        tx.proofs().put_reset(&person.reset).await?;
        tx.commit().await?;
        Ok(person)
    }

    async fn void_everything(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        let user = self.account.user.id;
        tx.proofs().void_proofs(user).await?;
        tx.pending().void_pending(user).await?;
        tx.trust().remove_all_trusted(user).await
    }

    /// How their sign-ins find them, until somebody changes it.
    fn standing(&self) -> Standing {
        Standing::of(&User { mfa_enabled: true, ..self.account.user.clone() })
    }

    async fn act(&self, act: Act, store: &PgStore, begun: &Begun) -> Result<(), StoreError> {
        let (user, now) = (self.account.user.id, self.now);
        let (standing, session) = (self.standing(), &begun.session);
        let mut tx = store.begin().await?;
        match act {
            Act::SignIn => {
                let by_password = standing.with_password(self.account.password_hash.clone().unwrap());
                tx.sign_ins().begin_session(session, &by_password).await?;
                tx.outbox().greet_browser(user, &self.device, now, None).await?;
            }
            Act::AskForSecondFactor => tx.sign_ins().put_pending(&begun.question, &standing).await?,
            Act::SignInWithCode => {
                tx.pending().take_pending(&self.pending.hash, now).await?;
                tx.factors().advance_step(user, &self.sealed, NEXT_STEP).await?;
                tx.sign_ins().begin_session(session, &standing).await?;
            }
            Act::SignInWithRecoveryCode => {
                tx.pending().take_pending(&self.pending.hash, now).await?;
                tx.factors().take_recovery_code(user, &self.code).await?;
                tx.sign_ins().begin_session(session, &standing).await?;
            }
            Act::SignInFromTrustedBrowser => {
                tx.trust().rotate_trusted(&self.rotation).await?;
                tx.sign_ins().begin_session(session, &standing).await?;
            }
            Act::SignInWithPasskey => {
                tx.passkeys().use_passkey(self.passkey.id, 2, true, now).await?;
                tx.sign_ins().begin_session(session, &standing).await?;
            }
            Act::StepUp => {
                let (passkey, factor) = (self.passkey.id, SecondFactor::Passkey);
                tx.passkeys().use_passkey(passkey, 3, true, now).await?;
                tx.sessions().step_up(self.session.id, user, factor, Some(passkey), now).await?;
            }
            Act::RemoveAuthenticator => {
                tx.factors().remove_authenticator(user, now).await?;
                tx.trust().remove_all_trusted(user).await?;
                tx.sessions().drop_factor(user, RemovedFactor::Codes, None, now).await?;
            }
            Act::RemovePasskey => {
                let (passkey, spare) = (self.passkey.id, Some(self.session.id));
                tx.passkeys().remove_passkey(passkey, user, now).await?;
                tx.sessions().drop_factor(user, RemovedFactor::Passkey(passkey), spare, now).await?;
            }
            Act::SignInWithMailedCode => {
                tx.proofs().take_code(user, &self.mailed.hash, now).await?;
                tx.users().prove_mailbox(user, self.account.user.email.key(), now).await?;
                tx.sign_ins().begin_session(session, &standing).await?;
            }
            Act::ConfirmAddress => {
                tx.proofs().take_verification(&self.verification.hash, now).await?;
                tx.users().prove_mailbox(user, self.account.user.email.key(), now).await?;
                tx.proofs().void_proofs(user).await?;
            }
            Act::ResetPassword => {
                tx.proofs().take_reset(&self.reset.hash, now).await?;
                tx.users().prove_mailbox(user, self.account.user.email.key(), now).await?;
                self.void_everything(&mut *tx).await?;
                tx.sessions().revoke_all(user, None, RevocationReason::PasswordReset, now).await?;
            }
            Act::ChangePassword => {
                tx.users().replace_password(user, None, now).await?;
                tx.sessions().revoke_all(user, None, RevocationReason::PasswordChanged, now).await?;
                self.void_everything(&mut *tx).await?;
            }
            Act::EndEverySession => {
                tx.sessions().revoke_all(user, None, RevocationReason::EndedByUser, now).await?;
                self.void_everything(&mut *tx).await?;
            }
            Act::DeleteAccount => {
                tx.users().erase(user, now).await?;
                tx.sessions().delete_all(user).await?;
                tx.pending().void_pending(user).await?;
                tx.trust().remove_all_trusted(user).await?;
                tx.outbox().forget_browsers(user).await?;
                tx.factors().remove_authenticator(user, now).await?;
                tx.passkeys().remove_all_passkeys(user, now).await?;
            }
        }
        tx.commit().await
    }
}

async fn migrated() -> PgStore {
    let mut config = PgConfig::new(SecretString::new(PostgresServer::shared().url()));
    config.schema = SchemaName::parse(&fresh_schema_name()).unwrap();
    // A connection for everybody, so that those who wait do so for each other.
    config.pool_size = 2 * ACTS.len();
    config.acquire_timeout = Duration::from_secs(30);
    let store = PgStore::open(&config).unwrap();
    store.migrate_up().await.unwrap();
    store
}
