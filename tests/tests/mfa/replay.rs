//! A code is accepted once, wherever it is shown (MF-02).

use identsphere_e2e::{App, Authenticator, matrix};
use serde_json::json;

use crate::{challenge, post_as, statuses, verify};

matrix! {
    a_code_is_accepted_once_over_all_endpoints,
    a_code_is_accepted_once_over_two_nodes,
    of_many_who_show_one_code_at_once_one_gets_in,
    a_code_may_be_one_step_early_or_late,
}

async fn a_code_is_accepted_once_over_all_endpoints(app: App) {
    let person = app.enrolled().await;
    let used = person.authenticator.code(&app);
    challenge(&app, &person.mfa_token(&app).await, &used).await.assert_error(401, "authentication_required");
    verify(&person.browser, &used).await.assert_error(401, "authentication_required");

    let code = person.authenticator.next_code(&app);
    challenge(&app, &person.mfa_token(&app).await, &code).await.assert_status(200);
    challenge(&app, &person.mfa_token(&app).await, &code).await.assert_error(401, "authentication_required");
    verify(&person.browser, &code).await.assert_error(401, "authentication_required");

    let code = person.authenticator.next_code(&app);
    verify(&person.browser, &code).await.assert_status(200);
    verify(&person.browser, &code).await.assert_error(401, "authentication_required");
    challenge(&app, &person.mfa_token(&app).await, &code).await.assert_error(401, "authentication_required");
    let code = person.authenticator.next_code(&app);
    challenge(&app, &person.mfa_token(&app).await, &code).await.assert_status(200);
}

async fn a_code_is_accepted_once_over_two_nodes(app: App) {
    let node = app.another_node().await;
    let person = app.enrolled().await;
    let there = person.browser.at(node.address);
    verify(&there, &person.authenticator.code(&app)).await.assert_error(401, "authentication_required");
    let code = person.authenticator.next_code(&app);
    verify(&there, &code).await.assert_status(200);
    verify(&person.browser, &code).await.assert_error(401, "authentication_required");
    challenge(&app, &person.mfa_token(&node).await, &code).await.assert_error(401, "authentication_required");

    let (_, browser) = app.sign_up().await;
    let setup = post_as(&browser.at(node.address), "/v1/auth/mfa/setup", json!({})).await.json();
    let authenticator = Authenticator::with(setup["secret"].as_str().unwrap());
    let code = json!({ "code": authenticator.code(&app) });
    post_as(&browser, "/v1/auth/mfa/enable", code.clone()).await.assert_status(200);
    let again = post_as(&browser.at(node.address), "/v1/auth/mfa/verify", code).await;
    assert!(matches!(again.status, 401 | 403), "{}", again.json());
}

async fn of_many_who_show_one_code_at_once_one_gets_in(app: App) {
    let node = app.another_node().await;
    let person = app.enrolled().await;
    let mut tokens = vec![];
    for _ in 0..8 {
        tokens.push(person.mfa_token(&app).await);
    }
    let code = person.authenticator.next_code(&app);
    let there = person.browser.at(node.address);
    let (by_challenge, by_verify) = tokio::join!(
        futures::future::join_all(
            tokens
                .iter()
                .zip([&app, &node].into_iter().cycle())
                .map(|(token, at)| challenge(at, token, &code))
        ),
        futures::future::join_all([verify(&person.browser, &code), verify(&there, &code)]),
    );
    let answers = [by_challenge, by_verify].concat();
    assert_eq!(statuses(&answers), [(200, 1), (401, 9)].into());
}

async fn a_code_may_be_one_step_early_or_late(app: App) {
    let person = app.enrolled().await;
    let authenticator = &person.authenticator;
    for _ in 0..4 {
        authenticator.next_code(&app);
    }
    for far in [-2, 2] {
        let refused = verify(&person.browser, &authenticator.code_at(&app, far)).await;
        refused.assert_error(401, "authentication_required");
    }
    for (steps, status) in [(-1, 200), (1, 200), (0, 401), (-1, 401), (1, 401)] {
        let answer = verify(&person.browser, &authenticator.code_at(&app, steps)).await;
        assert_eq!(answer.status, status, "{steps}: none older than the last one");
    }
}
