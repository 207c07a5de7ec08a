//! Keys change while validators go by a key set that they fetched a while ago.

use identsphere_e2e::{App, Engine, Framework, run, verify_independently};
use identsphere_kernel::Duration;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// In minutes.
const ACCESS_TTL: usize = 15;
const CACHED_FOR: usize = 15;

/// Somebody who checks tokens by themselves and fetches the key set every quarter of an hour.
struct Validator {
    keys: Value,
    phase: usize,
}

#[test]
fn validators_that_cache_refuse_no_valid_token_over_rotations_on_actix_and_postgres() {
    run(Framework::Actix, Engine::Postgres, validators_that_cache_refuse_no_valid_token);
}

#[test]
fn validators_that_cache_refuse_no_valid_token_over_rotations_on_axum_and_sqlite() {
    run(Framework::Axum, Engine::Sqlite, validators_that_cache_refuse_no_valid_token);
}

/// D-12. Two nodes, two rotations, minute by minute around each moment when another key takes over or leaves.
async fn validators_that_cache_refuse_no_valid_token(app: App) {
    let nodes = [app.another_node().await, app];
    let mut validators: Vec<_> =
        [0, 4, 9, 14].map(|phase| Validator { keys: Value::Null, phase }).into_iter().collect();
    let (email, _) = nodes[0].sign_up().await;
    let mut signers = std::collections::BTreeSet::new();
    for _ in 0..2 {
        // A key signs for 90 days; the next one is published a day before.
        for wait in [DAY * 89 - MINUTE * 30, DAY - MINUTE * 75] {
            nodes[0].clock.advance(wait);
            keep_keys(&nodes).await;
            for validator in &mut validators {
                validator.keys = key_set(&nodes[0]).await;
            }
            let mut session = nodes[0].bearer_login(&email).await.refresh;
            let mut tokens: Vec<String> = vec![];
            for minute in 0..75 {
                nodes[0].clock.advance(MINUTE);
                // Nodes look for new keys every ten seconds, one after the other.
                keep_keys(&nodes[minute % 2..]).await;
                let request = json!({ "refresh_token": session });
                let answer = nodes[minute % 2].caller().post("/v1/auth/refresh").json(&request).send().await;
                answer.assert_status(200);
                let body = answer.json();
                session = body["refresh_token"].as_str().unwrap().to_owned();
                tokens.push(body["access_token"].as_str().unwrap().to_owned());
                for validator in validators.iter_mut().filter(|v| minute % CACHED_FOR == v.phase) {
                    validator.keys = key_set(&nodes[minute / CACHED_FOR % 2]).await;
                }
                // The newest token, and the oldest that is still valid.
                let oldest = tokens.len().saturating_sub(ACCESS_TTL);
                for token in [&tokens[oldest], &tokens[minute]] {
                    for validator in &validators {
                        assert!(verify_independently(&validator.keys, token), "refused in minute {minute}");
                    }
                    for node in &nodes {
                        node.caller().get("/v1/auth/session").bearer(token).send().await.assert_status(200);
                    }
                    signers.insert(token.split('.').next().unwrap().to_owned());
                }
            }
        }
        keep_keys(&nodes).await;
    }
    assert!(signers.len() >= 3, "{} keys signed: nothing was rotated", signers.len());
}

async fn keep_keys(nodes: &[App]) {
    for node in nodes {
        node.service.keep_keys().await.unwrap();
    }
}

async fn key_set(node: &App) -> Value {
    node.caller().get("/.well-known/jwks.json").send().await.json()
}
