//! Each way in each state that closes it.

use identsphere_core::{BucketKey, Quota, Take};
use identsphere_e2e::{Answer, App, Engine, PASSWORD, claims, matrix};
use identsphere_kernel::{Clock, Duration, Email};
use serde_json::json;

use crate::paths::{Path, Ready, rest};

matrix! {
    every_way_is_open_to_an_active_member,
    no_way_is_open_to_a_disabled_user,
    no_way_is_open_to_a_deleted_user,
    no_way_is_open_to_whoever_is_no_member_any_more,
    no_way_is_open_to_members_of_a_deleted_organization,
    no_way_is_open_past_the_limits_of_an_account,
    no_way_is_open_past_the_limits_of_an_address,
    a_revoked_session_cannot_be_used_to_go_on,
    what_was_begun_ends_with_signing_out_everywhere,
    no_way_is_open_to_a_factor_that_was_removed_meanwhile,
}

/// What may close a way between its beginning and its last request.
#[derive(Debug, Clone, Copy)]
enum State {
    Disabled,
    Deleted,
    NoMember,
    OrganizationDeleted,
    AccountThrottled,
    AddressThrottled,
    SessionRevoked,
    SignedOutEverywhere,
    FactorRemoved,
}

impl State {
    /// Whether it is nothing to this way, and why.
    fn is_nothing_to(self, path: Path) -> Option<&'static str> {
        match (self, path) {
            (Self::AccountThrottled | Self::AddressThrottled, Path::Refresh) => {
                Some("a refresh guesses nothing")
            }
            (Self::AccountThrottled | Self::AddressThrottled, Path::StepUpByPasskey) => {
                Some("a passkey cannot be guessed, and who asks is known")
            }
            (
                Self::AccountThrottled,
                Path::NamedPasskey | Path::DiscoverablePasskey | Path::PasswordReset,
            ) => Some("neither can be guessed: strangers must not be able to lock anybody out of them"),
            (Self::AddressThrottled, Path::StepUpByTotp) => Some("who asks is known: their own limit counts"),
            (Self::SignedOutEverywhere, Path::Password | Path::NamedPasskey | Path::DiscoverablePasskey) => {
                Some("they begin anew with what is still good")
            }
            (Self::SessionRevoked, Path::Refresh | Path::StepUpByTotp | Path::StepUpByPasskey) => None,
            (Self::SessionRevoked, _) => Some("they begin without a session"),
            (Self::FactorRemoved, Path::EmailCode | Path::PasswordReset) => Some("a mailbox stays"),
            (
                Self::Disabled
                | Self::Deleted
                | Self::NoMember
                | Self::OrganizationDeleted
                | Self::AccountThrottled
                | Self::AddressThrottled
                | Self::SignedOutEverywhere
                | Self::FactorRemoved,
                _,
            ) => None,
        }
    }

    /// Whether there is no way to bring it about without tables.
    fn needs_tables(self) -> bool {
        matches!(self, Self::Disabled | Self::Deleted | Self::NoMember | Self::OrganizationDeleted)
    }

    fn status(self) -> u16 {
        match self {
            Self::AccountThrottled | Self::AddressThrottled => 429,
            Self::Disabled
            | Self::Deleted
            | Self::NoMember
            | Self::OrganizationDeleted
            | Self::SignedOutEverywhere
            | Self::SessionRevoked
            | Self::FactorRemoved => 401,
        }
    }

    async fn set(self, app: &App, path: Path, ready: &Ready) {
        let email = &ready.person.holder.email;
        match self {
            Self::Disabled => {
                app.execute(&format!("UPDATE users SET status = 'disabled' WHERE email = '{email}'")).await
            }
            Self::Deleted => {
                app.execute(&format!("UPDATE users SET status = 'deleted' WHERE email = '{email}'")).await
            }
            Self::NoMember => {
                let user = format!("(SELECT id FROM users WHERE email = '{email}')");
                app.execute(&format!("DELETE FROM organization_memberships WHERE user_id = {user}")).await;
            }
            Self::OrganizationDeleted => {
                let home = format!("(SELECT organization_id FROM users WHERE email = '{email}')");
                let deletion = "UPDATE organizations SET deleted_at = created_at WHERE id =";
                app.execute(&format!("{deletion} {home}")).await;
            }
            Self::AccountThrottled => throttle_account(app, ready).await,
            Self::AddressThrottled => {
                let address = Some("127.0.0.1".parse().unwrap());
                let purposes = ["login", "code", "passkey answer", "challenge", "redeem"];
                exhaust(app, purposes.map(|purpose| BucketKey::of_address(purpose, address)).into()).await;
            }
            Self::SessionRevoked => {
                let id = claims(ready.caller.cookie("identsphere_at"))["sid"].as_str().unwrap().to_owned();
                let revocation =
                    ready.person.holder.browser.delete(&format!("/v1/auth/sessions/{id}")).csrf();
                revocation.send().await.assert_status(204);
            }
            Self::SignedOutEverywhere => {
                let everywhere = ready.person.holder.browser.delete("/v1/auth/sessions").csrf();
                everywhere.send().await.assert_status(204);
            }
            Self::FactorRemoved => remove_factor(path, ready).await,
        }
    }
}

async fn throttle_account(app: &App, ready: &Ready) {
    let holder = &ready.person.holder;
    let email = Email::parse(&holder.email).unwrap();
    let me = holder.browser.get("/v1/users/me").send().await.json();
    let user = me["id"].as_str().unwrap().parse().unwrap();
    let mut buckets = ["login", "code"].map(|purpose| BucketKey::of_account(purpose, email.key())).to_vec();
    buckets.push(BucketKey::of_user("second factor", user));
    exhaust(app, buckets).await;
}

/// Takes from buckets what comes back within the next hour, which is all that any of them holds.
async fn exhaust(app: &App, buckets: Vec<BucketKey>) {
    let quota = Quota { burst: 12, per: Duration::from_secs(3_600) };
    let takes: Vec<Take> = buckets.into_iter().map(|bucket| Take { bucket, quota }).collect();
    let store = app.service.store();
    while store.take(&takes, app.clock.now()).await.unwrap().contains(&None) {}
}

/// Removes what the way rests on, from another session of the same user.
async fn remove_factor(path: Path, ready: &Ready) {
    let browser = &ready.person.holder.browser;
    let password = json!({ "password": PASSWORD });
    let answer = match path {
        Path::Password | Path::EmailCode | Path::PasswordReset => {
            let body = json!({ "current_password": PASSWORD, "new_password": "staple battery horse" });
            browser.post("/v1/users/me/password").csrf().json(&body).send().await
        }
        Path::NamedPasskey
        | Path::DiscoverablePasskey
        | Path::TotpAfterPasskey
        | Path::Refresh
        | Path::StepUpByPasskey => {
            browser.delete(&format!("/v1/users/me/passkeys/{}", ready.person.passkey)).csrf().send().await
        }
        Path::Totp | Path::TotpAfterCode | Path::StepUpByTotp => {
            browser.post("/v1/auth/mfa/disable").csrf().json(&password).send().await
        }
        Path::RecoveryCode => browser.post("/v1/auth/mfa/recovery-codes").csrf().json(&password).send().await,
        Path::TrustedBrowser => {
            let listed = browser.get("/v1/auth/trusted-browsers").send().await.json();
            let id = listed[0]["id"].as_str().unwrap();
            browser.delete(&format!("/v1/auth/trusted-browsers/{id}")).csrf().send().await
        }
    };
    assert!(matches!(answer.status, 200 | 204), "{path:?}: {} {}", answer.status, answer.json());
}

/// How many sessions there are, where they can be counted.
async fn session_rows(app: &App) -> Option<Vec<String>> {
    match app.engine() {
        Engine::Memory => None,
        Engine::Sqlite | Engine::Postgres => Some(
            app.select("SELECT CAST(count(*) AS text) AS line FROM user_sessions WHERE revoked_at IS NULL")
                .await,
        ),
    }
}

fn issues(answer: &Answer) -> bool {
    let body = if answer.body.is_empty() { json!({}) } else { answer.json() };
    !answer.cookies().is_empty() || body.get("access_token").is_some() || body.get("refresh_token").is_some()
}

async fn every_way_is_open_to_an_active_member(app: App) {
    let node = app.another_node().await;
    for path in Path::ALL {
        rest(&app);
        let ready = Ready::on(&app, path).await;
        let answer = ready.last.send(&ready.caller.at(node.address)).await;
        assert!(matches!(answer.status, 200 | 204), "{path:?}: {} {}", answer.status, answer.json());
        assert_eq!(issues(&answer), path.opens(), "{path:?}");
    }
}

/// A trusted browser that is trusted no more is asked for the second factor, as every other one.
fn is_question(answer: &Answer) -> bool {
    answer.status == 200 && answer.json()["status"] == "mfa_required"
}

async fn closed(app: &App, state: State) {
    if state.needs_tables() && app.engine() == Engine::Memory {
        return;
    }
    // Where nobody remembers who was behind a session a moment ago.
    let node = app.another_node().await;
    let mut tried = 0;
    for path in Path::ALL {
        if state.is_nothing_to(path).is_some() {
            continue;
        }
        rest(app);
        let ready = Ready::on(app, path).await;
        state.set(app, path, &ready).await;
        let before = session_rows(app).await;
        let answer = ready.last.send(&ready.caller.at(node.address)).await;
        let cell =
            format!("{path:?} x {state:?}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        let asks_again = path == Path::TrustedBrowser && is_question(&answer);
        assert!(answer.status == state.status() || asks_again, "{cell}");
        assert!(!issues(&answer), "{cell}");
        assert_eq!(session_rows(app).await, before, "{cell}");
        tried += 1;
    }
    assert!(tried >= 3, "only {tried} ways were tried");
}

async fn no_way_is_open_to_a_disabled_user(app: App) {
    closed(&app, State::Disabled).await;
}

async fn no_way_is_open_to_a_deleted_user(app: App) {
    closed(&app, State::Deleted).await;
}

async fn no_way_is_open_to_whoever_is_no_member_any_more(app: App) {
    closed(&app, State::NoMember).await;
}

async fn no_way_is_open_to_members_of_a_deleted_organization(app: App) {
    closed(&app, State::OrganizationDeleted).await;
}

async fn no_way_is_open_past_the_limits_of_an_account(app: App) {
    closed(&app, State::AccountThrottled).await;
}

async fn no_way_is_open_past_the_limits_of_an_address(app: App) {
    closed(&app, State::AddressThrottled).await;
}

async fn a_revoked_session_cannot_be_used_to_go_on(app: App) {
    closed(&app, State::SessionRevoked).await;
}

async fn what_was_begun_ends_with_signing_out_everywhere(app: App) {
    closed(&app, State::SignedOutEverywhere).await;
}

async fn no_way_is_open_to_a_factor_that_was_removed_meanwhile(app: App) {
    closed(&app, State::FactorRemoved).await;
}
