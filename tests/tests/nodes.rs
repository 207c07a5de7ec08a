//! Two nodes on one store: what one does, the other knows. On every framework and store.

use std::time::Instant;

use identsphere_e2e::{App, Engine, Framework, matrix, run};
use identsphere_kernel::{Clock, Duration, SystemClock};
use serde_json::json;

matrix! {
    a_session_ended_on_one_node_is_refused_on_the_other_within_a_second,
    a_refresh_race_over_two_nodes_leaves_one_leaf,
    rate_limits_count_across_nodes,
    two_nodes_that_start_together_share_one_key,
}

/// SS-03, contract 3.6.
async fn a_session_ended_on_one_node_is_refused_on_the_other_within_a_second(app: App) {
    let node = app.another_node().await;
    for _ in 0..4 {
        let session = app.bearer().await;
        let there = node.caller();
        there.get("/v1/auth/session").bearer(&session.access).send().await.assert_status(200);
        app.caller().post("/v1/auth/logout").bearer(&session.access).send().await.assert_status(204);
        let ended = Instant::now();
        loop {
            let is_due = ended.elapsed() >= Duration::from_secs(1);
            let answer = there.get("/v1/auth/session").bearer(&session.access).send().await;
            if is_due || answer.status != 200 {
                answer.assert_error(401, "authentication_required");
                break;
            }
        }
        let refresh = json!({ "refresh_token": session.refresh });
        there
            .post("/v1/auth/refresh")
            .json(&refresh)
            .send()
            .await
            .assert_error(401, "authentication_required");
    }
}

async fn a_refresh_race_over_two_nodes_leaves_one_leaf(app: App) {
    let node = app.another_node().await;
    let session = app.bearer().await;
    let request = json!({ "refresh_token": session.refresh });
    let calls = (0..40).map(|i| {
        let (caller, request) = (if i % 2 == 0 { app.caller() } else { node.caller() }, &request);
        async move { caller.post("/v1/auth/refresh").json(request).send().await }
    });
    let mut successors = vec![];
    for answer in futures::future::join_all(calls).await {
        answer.assert_status(200);
        successors.push(answer.json()["refresh_token"].as_str().unwrap().to_owned());
    }
    successors.sort();
    successors.dedup();
    assert_eq!(successors.len(), 1);
}

async fn rate_limits_count_across_nodes(app: App) {
    let node = app.another_node().await;
    let (email, _) = app.sign_up().await;
    let request = json!({ "email": email, "password": "not the password" });
    let mut statuses = vec![];
    for i in 0..12 {
        let caller = if i % 2 == 0 { app.caller() } else { node.caller() };
        statuses.push(caller.post("/v1/auth/login").json(&request).send().await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
}

async fn two_nodes_that_start_together_share_one_key(app: App) {
    let nodes = futures::future::join_all((0..3).map(|_| app.another_node())).await;
    let jwks = app.caller().get("/.well-known/jwks.json").send().await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
    for node in nodes {
        assert_eq!(node.caller().get("/.well-known/jwks.json").send().await.json(), jwks);
    }
}

/// D-17.
#[test]
fn a_node_whose_clock_is_off_takes_no_requests_until_it_is_right_again() {
    run(Framework::Axum, Engine::Postgres, async |app: App| {
        const MINUTE: Duration = Duration::from_secs(60);
        let ready = async |now| {
            app.clock.set(now);
            app.caller().get("/readyz").send().await.status
        };
        assert_eq!(ready(SystemClock.now()).await, 200);
        assert_eq!(ready(SystemClock.now().plus(MINUTE)).await, 503);
        assert_eq!(ready(SystemClock.now().minus(MINUTE)).await, 503);
        assert_eq!(ready(SystemClock.now()).await, 200);
    });
}
