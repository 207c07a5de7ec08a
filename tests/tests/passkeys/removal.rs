//! What goes with a passkey, and what it goes with.

use identsphere_e2e::{App, Engine, Holder, PASSWORD, SecondFactor, claims, end_sign_in, matrix, uuid_v7};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::{audited, error_of, has_passkeys, is_signed_in, sessions};

matrix! {
    sessions_that_rest_on_a_passkey_end_with_it,
    a_session_that_took_a_code_after_a_passkey_ends_with_the_passkey,
    a_sign_in_that_waits_ends_with_the_passkey_it_began_with,
    a_passkey_of_somebody_else_is_none,
    the_first_proof_of_a_mailbox_removes_planted_passkeys,
    a_passkey_goes_with_its_account,
}

const PASSKEYS: &str = "/v1/users/me/passkeys";

/// MF-15.
async fn sessions_that_rest_on_a_passkey_end_with_it(app: App) {
    let (mut holder, id) = Holder::with_passkey(&app).await;
    let second = holder.on(SoftAuthenticator::new());
    second.add_passkey().await;
    holder.step_up(&holder.browser).await.assert_status(200);
    let (verified, by_the_other) = (holder.sign_in(&app).await, second.sign_in(&app).await);
    let present = holder.on(holder.authenticator.clone().without_user_verification()).sign_in(&app).await;
    let stepped_up = app.login(&holder.email).await;
    holder.step_up(&stepped_up).await.assert_status(200);
    let by_password = app.login(&holder.email).await;

    holder.browser.delete(&format!("{PASSKEYS}/{id}")).csrf().send().await.assert_status(204);
    for (what, browser, stays) in [
        ("the asking session", &holder.browser, true),
        ("a session by password", &by_password, true),
        ("a session by the other passkey", &by_the_other, true),
        ("a session by the passkey", &verified, false),
        ("a session by the passkey without verification", &present, false),
        ("a session that it stepped up", &stepped_up, false),
    ] {
        assert_eq!(is_signed_in(browser).await, stays, "{what}");
    }
    let mut levels: Vec<_> = sessions(&holder.browser)
        .await
        .into_iter()
        .map(|session| (session["auth_method"].clone(), session["aal"].clone()))
        .collect();
    levels.sort_by_key(|(method, _)| method.to_string());
    let expected = [("passkey", "aal2"), ("password", "aal1"), ("password", "aal1")];
    assert_eq!(levels, expected.map(|(method, aal)| (json!(method), json!(aal))));
    let session = holder.browser.get("/v1/auth/session").send().await.json();
    assert_eq!(session["user"]["mfa_verified_at"], Value::Null);
    let refreshed = holder.browser.follow(|c| c.post("/v1/auth/refresh")).await.json();
    assert_eq!(claims(refreshed["access_token"].as_str().unwrap())["aal"], "aal1");
    assert_eq!(audited(&app, "auth.passkey.removed", "success").await.unwrap_or(1), 1);

    let stale = holder.nameless_assertion(&app.caller()).await;
    end_sign_in(&app.caller(), &stale).await.assert_error(401, "authentication_required");
    assert!(has_passkeys(&holder.browser).await, "there is another one");
    let last = holder.passkeys().await[0]["id"].as_str().unwrap().to_owned();
    holder.browser.delete(&format!("{PASSKEYS}/{last}")).csrf().send().await.assert_status(204);
    assert!(!has_passkeys(&holder.browser).await);
}

/// MF-15: the code made two factors of it, and the passkey is still one of them.
async fn a_session_that_took_a_code_after_a_passkey_ends_with_the_passkey(app: App) {
    let authenticator = SoftAuthenticator::new().without_user_verification();
    let (holder, id) = Holder::with_passkey_on(&app, authenticator).await;
    let factor = SecondFactor::enable(&app, &holder.browser).await;
    let by_password = app.login_with(&holder.email, PASSWORD, &factor).await;
    let mut by_passkey = app.caller();
    let asked = end_sign_in(&by_passkey, &holder.nameless_assertion(&by_passkey).await).await;
    let body = json!({ "mfa_token": asked.json()["mfa_token"], "code": factor.code(&app) });
    by_passkey.follow(|c| c.post("/v1/auth/mfa/challenge").json(&body)).await.assert_status(200);
    holder.browser.delete(&format!("{PASSKEYS}/{id}")).csrf().send().await.assert_status(204);
    assert!(!is_signed_in(&by_passkey).await);
    assert!(is_signed_in(&by_password).await);
    assert!(is_signed_in(&holder.browser).await);
}

/// MF-15: whoever holds a passkey that was lost may have begun to use it.
async fn a_sign_in_that_waits_ends_with_the_passkey_it_began_with(app: App) {
    let authenticator = SoftAuthenticator::new().without_user_verification();
    let (holder, id) = Holder::with_passkey_on(&app, authenticator).await;
    let factor = SecondFactor::enable(&app, &holder.browser).await;
    let asked = end_sign_in(&app.caller(), &holder.nameless_assertion(&app.caller()).await).await;
    let token = asked.json()["mfa_token"].clone();
    holder.browser.delete(&format!("{PASSKEYS}/{id}")).csrf().send().await.assert_status(204);
    let body = json!({ "mfa_token": token, "code": factor.code(&app) });
    let answer = app.caller().post("/v1/auth/mfa/challenge").json(&body).send().await;
    answer.assert_error(401, "authentication_required");
    assert_eq!(sessions(&holder.browser).await.len(), 1);
}

/// WN-13.
async fn a_passkey_of_somebody_else_is_none(app: App) {
    let (ann, _) = Holder::with_passkey(&app).await;
    let (bob, of_bob) = Holder::with_passkey(&app).await;
    let before = bob.passkeys().await;
    let label = json!({ "label": "taken" });
    let rename = |id: String| {
        let path = format!("{PASSKEYS}/{id}");
        ann.browser.request("PATCH".parse().unwrap(), &path).csrf().json(&label).send()
    };
    let delete = |id: String| ann.browser.delete(&format!("{PASSKEYS}/{id}")).csrf().send();
    for absent in [uuid_v7(), "x".to_owned()] {
        let (theirs, none) = (rename(of_bob.clone()).await, rename(absent.clone()).await);
        theirs.assert_error(404, "not_found");
        assert_eq!(error_of(&theirs), error_of(&none));
        let (theirs, none) = (delete(of_bob.clone()).await, delete(absent).await);
        theirs.assert_error(404, "not_found");
        assert_eq!(error_of(&theirs), error_of(&none));
    }
    assert_eq!(bob.passkeys().await, before);
    assert_eq!(audited(&app, "auth.passkey.removed", "success").await.unwrap_or(0), 0);
    assert_eq!(audited(&app, "auth.passkey.renamed", "success").await.unwrap_or(0), 0);
    bob.sign_in(&app).await;
}

/// RC-12: somebody signs up with an address that is not theirs and leaves a passkey for later.
async fn the_first_proof_of_a_mailbox_removes_planted_passkeys(app: App) {
    for by_reset in [true, false] {
        let (planter, _) = Holder::with_passkey(&app).await;
        let waiting = planter.nameless_assertion(&app.caller()).await;
        let email = json!({ "email": planter.email });
        let mut owner = app.caller();
        if by_reset {
            owner.post("/v1/auth/password/forgot").json(&email).send().await.assert_status(204);
            let token = app.mailed(&planter.email, "reset_password").await;
            let body = json!({ "token": token, "new_password": PASSWORD });
            owner.post("/v1/auth/password/reset").json(&body).send().await.assert_status(204);
            owner = app.login(&planter.email).await;
        } else {
            owner.post("/v1/auth/email-otp/request").json(&email).send().await.assert_status(204);
            let code = app.mailed(&planter.email, "sign_in_code").await;
            let body = json!({ "email": planter.email, "code": code });
            owner.follow(|c| c.post("/v1/auth/email-otp/verify").json(&body)).await.assert_status(200);
        }
        assert!(!is_signed_in(&planter.browser).await);
        end_sign_in(&app.caller(), &waiting).await.assert_error(401, "authentication_required");
        let later = planter.nameless_assertion(&app.caller()).await;
        end_sign_in(&app.caller(), &later).await.assert_error(401, "authentication_required");
        assert!(!has_passkeys(&owner).await);
        let owner = planter.on(SoftAuthenticator::new()).in_browser(owner);
        assert_eq!(owner.passkeys().await, json!([]));
        let fresh = owner.begin().await["publicKey"]["user"]["id"].clone();
        assert_ne!(fresh, later["response"]["userHandle"], "the handle of the planted passkey is gone, too");

        // What the proven owner makes stays when they prove it again.
        owner.add_passkey().await;
        owner.browser.post("/v1/auth/password/forgot").json(&email).send().await.assert_status(204);
        let token = app.mailed(&owner.email, "reset_password").await;
        let body = json!({ "token": token, "new_password": PASSWORD });
        app.caller().post("/v1/auth/password/reset").json(&body).send().await.assert_status(204);
        owner.sign_in(&app).await;
    }
}

async fn a_passkey_goes_with_its_account(app: App) {
    let (holder, _) = Holder::with_passkey(&app).await;
    let waiting = holder.nameless_assertion(&app.caller()).await;
    let password = json!({ "password": PASSWORD });
    holder.browser.delete("/v1/users/me").csrf().json(&password).send().await.assert_status(204);
    for assertion in [waiting, holder.nameless_assertion(&app.caller()).await] {
        end_sign_in(&app.caller(), &assertion).await.assert_error(401, "authentication_required");
    }
    if app.engine() != Engine::Memory {
        for table in ["user_passkeys", "passkey_challenges WHERE user_id IS NOT NULL"] {
            let rows = app.select(&format!("SELECT CAST(count(*) AS text) AS line FROM {table}")).await;
            assert_eq!(rows, ["0"], "{table}");
        }
    }
}
