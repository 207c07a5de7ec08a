//! What changes between the look at somebody and the write that lets them in. Whoever changes it is told that everything
//! which rested on what it was is over, so the write must not come after it.

use std::sync::Arc;

use identsphere_accounts::Password;
use identsphere_core::PasswordHasher;
use identsphere_crypto::{HashScheme, PasswordPool, PoolConfig};
use identsphere_e2e::{Answer, App, Engine, PASSWORD, SecondFactor, matrix};
use identsphere_kernel::{Clock, Duration, Email, OsRandom};
use serde_json::json;

use crate::paths::{Path, Person, Ready, rest};

matrix! {
    no_way_opens_by_a_password_that_is_changed_meanwhile,
    no_way_opens_by_a_password_that_is_reset_meanwhile,
    no_way_passes_by_an_authenticator_app_that_is_set_up_meanwhile,
    no_way_opens_by_an_authenticator_app_that_is_removed_meanwhile,
    no_way_opens_by_a_passkey_that_is_removed_meanwhile,
    no_way_opens_to_an_account_that_is_deleted_meanwhile,
    no_way_opens_to_an_account_that_is_disabled_meanwhile,
    nobody_is_asked_for_a_second_factor_after_a_password_that_is_changed_meanwhile,
    of_an_account_that_is_reclaimed_meanwhile_nothing_is_left,
    a_hash_that_another_sign_in_upgrades_meanwhile_keeps_nobody_out,
    whoever_is_overtaken_twice_is_refused,
}

/// The ways whose last request keeps a session of its own making.
const WAYS: [Path; 9] = [
    Path::Password,
    Path::EmailCode,
    Path::NamedPasskey,
    Path::DiscoverablePasskey,
    Path::Totp,
    Path::RecoveryCode,
    Path::TotpAfterPasskey,
    Path::TotpAfterCode,
    Path::TrustedBrowser,
];

const NEW_PASSWORD: &str = "staple battery horse";

#[derive(Debug, Clone, Copy)]
enum Change {
    PasswordChanged,
    PasswordReset,
    AppSetUp,
    AppRemoved,
    PasskeyRemoved,
    Deleted,
    Disabled,
}

/// What becomes of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Refused,
    Asked,
    Open,
}

impl Change {
    /// What becomes of a way under which this happens: what would have become of it a moment later.
    fn leaves(self, path: Path) -> End {
        match (self, path) {
            (
                Self::PasswordChanged | Self::PasswordReset | Self::AppRemoved,
                Path::NamedPasskey | Path::DiscoverablePasskey,
            )
            | (Self::AppRemoved, Path::EmailCode)
            | (Self::PasskeyRemoved, Path::Password | Path::EmailCode | Path::TrustedBrowser)
            // A passkey that verified its user is two factors itself.
            | (Self::AppSetUp, Path::NamedPasskey | Path::DiscoverablePasskey)
            // Nothing is left to be asked for.
            | (Self::AppRemoved, Path::Password | Path::TrustedBrowser) => End::Open,
            (Self::AppSetUp, Path::Password | Path::EmailCode) => End::Asked,
            _ => End::Refused,
        }
    }

    /// Whether it can happen to whoever goes this way.
    fn happens_to(self, path: Path) -> bool {
        match self {
            Self::AppSetUp => !path.needs_app(),
            Self::AppRemoved => path.needs_app(),
            Self::PasswordChanged
            | Self::PasswordReset
            | Self::PasskeyRemoved
            | Self::Deleted
            | Self::Disabled => true,
        }
    }

    /// Gets ready what takes more than one request.
    async fn prepare(self, app: &App, person: &Person) -> String {
        if !matches!(self, Self::PasswordReset) {
            return String::new();
        }
        let email = json!({ "email": person.holder.email });
        app.caller().post("/v1/auth/password/forgot").json(&email).send().await.assert_status(204);
        app.mailed(&person.holder.email, "reset_password").await
    }

    /// Makes it happen, in another session of the same person, on another node.
    async fn make(self, app: &App, person: &Person, token: &str) {
        let browser = &person.holder.browser;
        let password = json!({ "password": PASSWORD });
        let answer = match self {
            Self::PasswordChanged => {
                let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
                browser.post("/v1/users/me/password").csrf().json(&body).send().await
            }
            Self::PasswordReset => {
                let body = json!({ "token": token, "new_password": NEW_PASSWORD });
                app.caller().post("/v1/auth/password/reset").json(&body).send().await
            }
            Self::AppSetUp => {
                SecondFactor::enable(app, browser).await;
                return;
            }
            Self::AppRemoved => browser.post("/v1/auth/mfa/disable").csrf().json(&password).send().await,
            Self::PasskeyRemoved => {
                browser.delete(&format!("/v1/users/me/passkeys/{}", person.passkey)).csrf().send().await
            }
            Self::Deleted => browser.delete("/v1/users/me").csrf().json(&password).send().await,
            Self::Disabled => {
                let email = &person.holder.email;
                app.change(&format!("UPDATE users SET status = 'disabled' WHERE email = '{email}'")).await;
                return;
            }
        };
        assert!(matches!(answer.status, 200 | 204), "{self:?}: {} {}", answer.status, answer.json());
    }
}

fn end_of(answer: &Answer) -> End {
    match answer.status {
        401 => {
            assert!(answer.cookies().is_empty());
            End::Refused
        }
        200 if answer.json()["status"] == "mfa_required" => {
            assert!(answer.cookies().is_empty());
            End::Asked
        }
        200 => {
            assert!(answer.json()["access_token"].is_string());
            End::Open
        }
        other => panic!("{other} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// How many live sessions and open questions are kept, of whomever, where they can be counted.
async fn kept(app: &App) -> Vec<String> {
    let rows = "SELECT revoked_at FROM user_sessions UNION ALL SELECT NULL FROM mfa_challenges";
    match app.engine() {
        Engine::Memory => vec![],
        Engine::Sqlite | Engine::Postgres => {
            let live = format!("({rows}) AS kept WHERE revoked_at IS NULL");
            app.select(&format!("SELECT CAST(count(*) AS text) AS line FROM {live}")).await
        }
    }
}

/// Sends the last request of a way, and lets something happen before it writes.
async fn overtake(
    ready: &Ready,
    app: &App,
    node: &App,
    change: impl Future<Output = ()>,
) -> (Answer, Vec<String>) {
    let mut meanwhile = node.watch.keep_waiting();
    let caller = ready.caller.at(node.address);
    let change = async {
        meanwhile.reached().await;
        change.await;
        let kept = kept(app).await;
        meanwhile.over();
        kept
    };
    futures::join!(ready.last.send(&caller), change)
}

async fn overtaken(app: &App, change: Change) {
    if matches!(change, Change::Disabled) && app.engine() == Engine::Memory {
        return;
    }
    let node = app.another_node().await;
    for path in WAYS.into_iter().filter(|path| change.happens_to(*path)) {
        rest(app);
        let ready = Ready::on(app, path).await;
        let token = change.prepare(app, &ready.person).await;
        let make = change.make(app, &ready.person, &token);
        let (answer, before) = overtake(&ready, app, &node, make).await;
        let cell =
            format!("{path:?} x {change:?}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        assert_eq!(end_of(&answer), change.leaves(path), "{cell}");
        if change.leaves(path) == End::Refused {
            assert_eq!(kept(app).await, before, "{cell}");
        }
    }
}

async fn no_way_opens_by_a_password_that_is_changed_meanwhile(app: App) {
    overtaken(&app, Change::PasswordChanged).await;
}

async fn no_way_opens_by_a_password_that_is_reset_meanwhile(app: App) {
    overtaken(&app, Change::PasswordReset).await;
}

async fn no_way_passes_by_an_authenticator_app_that_is_set_up_meanwhile(app: App) {
    overtaken(&app, Change::AppSetUp).await;
}

async fn no_way_opens_by_an_authenticator_app_that_is_removed_meanwhile(app: App) {
    overtaken(&app, Change::AppRemoved).await;
}

async fn no_way_opens_by_a_passkey_that_is_removed_meanwhile(app: App) {
    overtaken(&app, Change::PasskeyRemoved).await;
}

async fn no_way_opens_to_an_account_that_is_deleted_meanwhile(app: App) {
    overtaken(&app, Change::Deleted).await;
}

async fn no_way_opens_to_an_account_that_is_disabled_meanwhile(app: App) {
    overtaken(&app, Change::Disabled).await;
}

async fn nobody_is_asked_for_a_second_factor_after_a_password_that_is_changed_meanwhile(app: App) {
    let node = app.another_node().await;
    for change in [Change::PasswordChanged, Change::PasswordReset] {
        rest(&app);
        let person = Person::new(&app, true, true).await;
        let token = change.prepare(&app, &person).await;
        let (caller, last) = (app.caller(), person.password());
        let ready = Ready { person, caller, last };
        let make = change.make(&app, &ready.person, &token);
        let (answer, before) = overtake(&ready, &app, &node, make).await;
        assert_eq!(end_of(&answer), End::Refused, "{change:?}");
        answer.assert_error(401, "invalid_credentials");
        assert_eq!(kept(&app).await, before, "{change:?}");
    }
}

/// Somebody else registered the address, and is about to be in when its owner comes.
async fn of_an_account_that_is_reclaimed_meanwhile_nothing_is_left(app: App) {
    let node = app.another_node().await;
    let (email, _) = app.sign_up().await;
    let body = json!({ "email": email });
    app.caller().post("/v1/auth/email-otp/request").json(&body).send().await.assert_status(204);
    let body = json!({ "email": email, "code": app.mailed(&email, "sign_in_code").await });
    let mut meanwhile = node.watch.keep_waiting();
    let planter = app.caller().at(node.address);
    let password = json!({ "email": email, "password": PASSWORD });
    let reclaim = async {
        meanwhile.reached().await;
        let mut owner = app.caller();
        owner.follow(|c| c.post("/v1/auth/email-otp/verify").json(&body)).await.assert_status(200);
        meanwhile.over();
        owner
    };
    let (answer, owner) = futures::join!(planter.post("/v1/auth/login").json(&password).send(), reclaim);
    answer.assert_error(401, "invalid_credentials");
    let sessions = owner.get("/v1/auth/sessions").send().await.json();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
}

/// Gives somebody another hash of the same password, as an import or an older release has left it.
async fn keep_hash(app: &App, email: &str, log_n: u32) {
    let scheme = HashScheme::below_floor_for_tests(&format!("scrypt:ln={log_n},r=8,p=1")).unwrap();
    let pool = PoolConfig { scheme, memory_mib: 64, queue_wait: Duration::from_secs(30), threads: 1 };
    let hasher = PasswordPool::start(pool, Arc::new(OsRandom)).unwrap();
    let hash = hasher.hash(Password::present(PASSWORD).unwrap()).await.unwrap();
    let store = app.service.store();
    let user = store.find_sign_in(Email::parse(email).unwrap().key()).await.unwrap().unwrap().user.id;
    let mut tx = store.begin().await.unwrap();
    tx.users().replace_password(user, Some(&hash), app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_hash_that_another_sign_in_upgrades_meanwhile_keeps_nobody_out(app: App) {
    let node = app.another_node().await;
    let (email, _) = app.sign_up().await;
    keep_hash(&app, &email, 5).await;
    let mut meanwhile = node.watch.keep_waiting();
    let (late, password) = (app.caller().at(node.address), json!({ "email": email, "password": PASSWORD }));
    let quicker = async {
        meanwhile.reached().await;
        app.login(&email).await;
        meanwhile.over();
    };
    let (answer, ()) = futures::join!(late.post("/v1/auth/login").json(&password).send(), quicker);
    assert_eq!(end_of(&answer), End::Open);
}

/// No loop that somebody else keeps going.
async fn whoever_is_overtaken_twice_is_refused(app: App) {
    let node = app.another_node().await;
    let (email, browser) = app.sign_up().await;
    let mut meanwhile = node.watch.keep_waiting();
    let (late, password) = (app.caller().at(node.address), json!({ "email": email, "password": PASSWORD }));
    let changes = async {
        meanwhile.reached().await;
        keep_hash(&app, &email, 5).await;
        let mut again = node.watch.keep_waiting();
        meanwhile.over();
        again.reached().await;
        keep_hash(&app, &email, 6).await;
        again.over();
    };
    let (answer, ()) = futures::join!(late.post("/v1/auth/login").json(&password).send(), changes);
    answer.assert_error(401, "invalid_credentials");
    let sessions = browser.get("/v1/auth/sessions").send().await.json();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
}
