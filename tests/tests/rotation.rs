//! Keys change while validators go by a key set that they fetched a while ago.

use identsphere_core::Policy;
use identsphere_e2e::{App, BearerSession, Engine, Framework, run, verify_independently};
use identsphere_kernel::{Clock, Duration};
use identsphere_tokens::{AccessClaims, SigningKey};
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

#[test]
fn what_is_signed_by_a_key_that_has_left_the_set_is_refused_on_actix_and_postgres() {
    run(Framework::Actix, Engine::Postgres, what_is_signed_by_a_key_that_has_left_the_set_is_refused);
}

#[test]
fn what_is_signed_by_a_key_that_has_left_the_set_is_refused_on_axum_and_sqlite() {
    run(Framework::Axum, Engine::Sqlite, what_is_signed_by_a_key_that_has_left_the_set_is_refused);
}

/// D-12. Three nodes, two rotations, minute by minute around each moment when another key takes over or leaves.
async fn validators_that_cache_refuse_no_valid_token(app: App) {
    let nodes = [app.another_node().await, app.another_node().await, app];
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
                // Nodes look for new keys every second, one after the other.
                keep_keys(&nodes[minute % nodes.len()..]).await;
                let request = json!({ "refresh_token": session });
                let answer =
                    nodes[minute % nodes.len()].caller().post("/v1/auth/refresh").json(&request).send().await;
                answer.assert_status(200);
                let body = answer.json();
                session = body["refresh_token"].as_str().unwrap().to_owned();
                tokens.push(body["access_token"].as_str().unwrap().to_owned());
                for validator in validators.iter_mut().filter(|v| minute % CACHED_FOR == v.phase) {
                    validator.keys = key_set(&nodes[minute / CACHED_FOR % nodes.len()]).await;
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

/// Somebody has got hold of a private key. What they sign with it, with times of their own choosing, is worth as much as the
/// key, and nothing from the moment on when the key leaves the set: by its age, or in an emergency.
async fn what_is_signed_by_a_key_that_has_left_the_set_is_refused(app: App) {
    let nodes = [app.another_node().await, app.another_node().await, app];
    let victim = nodes[0].bearer().await;
    let stolen = newest_key(&nodes[0]).await;

    nodes[0].service.rotate_keys(MINUTE).await.unwrap().expect("another key is published");
    nodes[0].clock.advance(MINUTE);
    keep_keys(&nodes).await;
    assert_ne!(newest_key(&nodes[0]).await.kid, stolen.kid);
    let forged = forge(&nodes[0], &stolen, &victim);
    assert_eq!(statuses(&nodes, &forged).await, [200; 3], "as long as its own tokens may be valid");

    nodes[0].clock.advance(Policy::MAX_ACCESS_TTL - MINUTE);
    keep_keys(&nodes).await;
    let forged = forge(&nodes[0], &stolen, &victim);
    assert_eq!(statuses(&nodes, &forged).await, [200; 3]);
    nodes[0].clock.advance(MINUTE);
    keep_keys(&nodes).await;
    // The one that every node has verified and remembers, and one that nobody has seen.
    for forged in [forged, forge(&nodes[0], &stolen, &victim)] {
        assert_eq!(statuses(&nodes, &forged).await, [401; 3], "the key has left the set");
    }
    for node in &nodes {
        assert!(!key_set(node).await.to_string().contains(stolen.kid.as_str()));
    }

    let stolen = newest_key(&nodes[0]).await;
    let own = victim.refreshed(&nodes[0]).await;
    let forged = forge(&nodes[0], &stolen, &victim);
    for token in [&own.access, &forged] {
        assert_eq!(statuses(&nodes, token).await, [200; 3]);
    }
    assert_eq!(nodes[0].service.discard_keys().await.unwrap(), 1);
    keep_keys(&nodes).await;
    for token in [&own.access, &forged] {
        assert_eq!(statuses(&nodes, token).await, [401; 3], "the key was discarded");
    }
    for node in &nodes {
        assert!(!key_set(node).await.to_string().contains(stolen.kid.as_str()));
    }
    assert_eq!(statuses(&nodes, &own.refreshed(&nodes[1]).await.access).await, [200; 3]);
}

async fn newest_key(node: &App) -> SigningKey {
    let keys = node.service.store().list_signing_keys().await.unwrap();
    keys.into_iter().max_by_key(|key| key.activates_at).expect("there is a key")
}

/// A token for this session, valid from now on for as long as any.
fn forge(node: &App, key: &SigningKey, session: &BearerSession) -> String {
    let now = node.clock.now();
    let claims: AccessClaims = serde_json::from_value(session.claims()).unwrap();
    let (iat, exp) = (now.unix_seconds(), now.plus(Policy::MAX_ACCESS_TTL).unix_seconds());
    node.sign_with(key, &AccessClaims { iat, exp, ..claims })
}

async fn statuses(nodes: &[App], token: &str) -> Vec<u16> {
    let mut statuses = vec![];
    for node in nodes {
        statuses.push(node.caller().get("/v1/auth/session").bearer(token).send().await.status);
    }
    statuses
}

async fn keep_keys(nodes: &[App]) {
    for node in nodes {
        node.service.keep_keys().await.unwrap();
    }
}

async fn key_set(node: &App) -> Value {
    node.caller().get("/.well-known/jwks.json").send().await.json()
}
