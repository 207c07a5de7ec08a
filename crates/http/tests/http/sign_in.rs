//! Sign-up, sign-in, refresh and sign-out, by cookie and by Bearer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use identsphere_accounts::{Password, PasswordHash};
use identsphere_core::{HashError, HashPlace, PasswordHasher, UnusableHash, Verification};
use identsphere_http::BEAT;
use identsphere_kernel::Duration;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::request::{Browser, PASSWORD, Request, code, field, read, set_cookies, sign_up};
use crate::world::World;

fn sign_in(name: &str) -> Value {
    json!({ "email": format!("{name}@example.com"), "password": PASSWORD })
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_sign_up_answers_with_the_published_shape() {
    let world = World::new().await;
    let reply = world.send(Request::post("/v1/auth/register").json(&sign_up("ada"))).await;
    assert_eq!((reply.status, set_cookies(&reply).len()), (201, 4));
    let body = read(&reply);
    assert_eq!(keys(&body), ["access_token", "capabilities", "expires_in", "status", "token_type", "user"]);
    assert_eq!(
        (&body["status"], &body["token_type"], &body["expires_in"]),
        (&json!("success"), &json!("Bearer"), &json!(900))
    );
    let user = &body["user"];
    assert_eq!(
        keys(user),
        [
            "allowed_ips",
            "allowed_referrers",
            "api_key_id",
            "api_key_name",
            "api_key_prefix",
            "auth_method",
            "display_name",
            "email",
            "email_verified",
            "extensions",
            "is_platform_admin",
            "mfa_verified_at",
            "organization_id",
            "platform_role",
            "project_id",
            "scopes",
            "session_family_id",
            "team_id",
            "user_id",
        ]
    );
    assert_eq!((&user["email"], &user["auth_method"]), (&json!("ada@example.com"), &json!("password")));
    assert_eq!(
        (&user["api_key_id"], &user["scopes"], &user["extensions"]),
        (&Value::Null, &json!([]), &json!({}))
    );
    assert_eq!(body["capabilities"]["role"], "owner");
    assert_eq!(body["capabilities"]["permissions"].as_array().unwrap().len(), 14);
}

#[tokio::test]
async fn bearer_clients_get_tokens_and_no_cookies() {
    let world = World::new().await;
    let signed_up = world.bearer("ada").await;
    assert_eq!(signed_up["refresh_expires_in"], 2_592_000);
    let mut body = sign_in("ada");
    body["token_transport"] = json!("bearer");
    let reply = world.send(Request::post("/v1/auth/login").json(&body)).await;
    assert_eq!((reply.status, set_cookies(&reply).len()), (200, 0));
    let token = read(&reply)["access_token"].as_str().unwrap().to_owned();
    let session = world.send(Request::get("/v1/auth/session").bearer(&token)).await;
    assert_eq!(keys(&read(&session)), ["capabilities", "user"]);
}

#[tokio::test]
async fn unknown_people_and_wrong_passwords_get_one_answer() {
    let world = World::new().await;
    world.browser("ada").await;
    let wrong = json!({ "email": "ada@example.com", "password": "not the password" });
    let mut answers = Vec::new();
    for body in [wrong, sign_in("nobody")] {
        let reply =
            world.send(Request::post("/v1/auth/login").json(&body).field("x-request-id", "same")).await;
        assert_eq!(reply.status, 401);
        assert!(set_cookies(&reply).is_empty());
        answers.push(read(&reply));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["error"]["code"], "invalid_credentials");
}

#[tokio::test]
async fn every_wrong_field_of_a_sign_up_is_named() {
    let world = World::new().await;
    let body = json!({ "email": 5, "organization_name": "", "token_transport": "pigeon" });
    let reply = world.send(Request::post("/v1/auth/register").json(&body)).await;
    let fields: Vec<_> =
        read(&reply)["error"]["fields"].as_array().unwrap().iter().map(|f| f["field"].clone()).collect();
    assert_eq!(
        (reply.status, fields),
        (400, vec![json!("email"), json!("password"), json!("token_transport")])
    );

    let body = json!({ "email": "ada@example.com", "password": "short", "organization_name": "", "organization_slug": "A B" });
    let reply = world.send(Request::post("/v1/auth/register").json(&body)).await;
    assert_eq!(read(&reply)["error"]["fields"].as_array().unwrap().len(), 3);

    world.browser("ada").await;
    let reply = world.send(Request::post("/v1/auth/register").json(&sign_up("ADA"))).await;
    assert_eq!((reply.status, code(&reply).as_str(), field(&reply).as_str()), (409, "conflict", "email"));
}

#[tokio::test]
async fn fields_nobody_asked_for_change_nothing() {
    let world = World::new().await;
    let mut body = sign_up("ada");
    for (name, value) in
        [("role", json!("viewer")), ("email_verified", json!(true)), ("is_platform_admin", json!(true))]
    {
        body[name] = value;
    }
    let answer = read(&world.send(Request::post("/v1/auth/register").json(&body)).await);
    assert_eq!(answer["capabilities"]["role"], "owner");
    assert_eq!(
        (&answer["user"]["email_verified"], &answer["user"]["is_platform_admin"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn a_refresh_by_cookie_replaces_the_cookies() {
    let world = World::new().await;
    let browser = world.browser("ada").await;
    let reply = world.send(browser.attach(Request::post("/v1/auth/refresh"))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(keys(&read(&reply)), ["access_token", "expires_in", "token_type"]);
    let refreshed = Browser::from_reply(&reply);
    assert_ne!(refreshed.refresh, browser.refresh);
    // The new CSRF token belongs to the same session.
    let reply = world.send(refreshed.sign(Request::post("/v1/auth/logout"))).await;
    assert_eq!(reply.status, 204);
    let json = browser.attach(Request::post("/v1/auth/refresh")).body("application/json", "");
    assert_eq!(world.send(json).await.status, 401);
}

#[tokio::test]
async fn a_refresh_by_body_is_answered_in_the_body() {
    let world = World::new().await;
    let signed_up = world.bearer("ada").await;
    let body = json!({ "refresh_token": signed_up["refresh_token"] });
    let reply = world.send(Request::post("/v1/auth/refresh").json(&body)).await;
    assert_eq!((reply.status, set_cookies(&reply).len()), (200, 0));
    assert_eq!(
        keys(&read(&reply)),
        ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]
    );
}

#[tokio::test]
async fn a_refresh_needs_one_token() {
    let world = World::new().await;
    let (ada, bob) = (world.browser("ada").await, world.bearer("bob").await);
    let both = Request::post("/v1/auth/refresh").json(&json!({ "refresh_token": bob["refresh_token"] }));
    let reply = world.send(ada.attach(both)).await;
    assert_eq!((reply.status, field(&reply).as_str()), (400, "refresh_token"));
    let same = Request::post("/v1/auth/refresh").json(&json!({ "refresh_token": ada.refresh }));
    let reply = world.send(ada.attach(same)).await;
    assert_eq!((reply.status, set_cookies(&reply).len()), (200, 0));
    let none = world.send(Request::post("/v1/auth/refresh")).await;
    assert_eq!((none.status, code(&none).as_str()), (401, "authentication_required"));
    let access = json!({ "refresh_token": bob["access_token"] });
    assert_eq!(world.send(Request::post("/v1/auth/refresh").json(&access)).await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_is_no_bearer_credential() {
    let world = World::new().await;
    let signed_up = world.bearer("ada").await;
    let refresh = signed_up["refresh_token"].as_str().unwrap();
    assert_eq!(world.send(Request::get("/v1/auth/session").bearer(refresh)).await.status, 401);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_clears_its_cookies() {
    let world = World::new().await;
    let browser = world.browser("ada").await;
    let reply = world.send(browser.sign(Request::post("/v1/auth/logout"))).await;
    let cleared = set_cookies(&reply);
    assert_eq!((reply.status, cleared.len()), (204, 3));
    assert!(cleared.iter().all(|cookie| cookie.contains("=; Max-Age=0; Path=/")));
    assert_eq!(world.send(browser.attach(Request::get("/v1/auth/session"))).await.status, 401);
    assert_eq!(world.send(browser.attach(Request::post("/v1/auth/refresh"))).await.status, 401);
    assert_eq!(world.send(browser.sign(Request::post("/v1/auth/logout"))).await.status, 204);
    assert_eq!(world.send(Request::post("/v1/auth/logout")).await.status, 204);
}

#[tokio::test]
async fn signing_out_works_after_the_access_token_has_expired() {
    let world = World::new().await;
    let browser = world.browser("ada").await;
    world.clock.advance(Duration::from_secs(901));
    let only_refresh = format!("identsphere_rt={}", browser.refresh);
    let sign_out = Request::post("/v1/auth/logout").field("cookie", &only_refresh);
    let foreign = sign_out.clone().field("origin", "https://evil.example");
    assert_eq!(code(&world.send(foreign).await), "forbidden");
    assert_eq!(world.send(sign_out).await.status, 204);
    assert_eq!(world.send(browser.attach(Request::post("/v1/auth/refresh"))).await.status, 401);
}

#[tokio::test]
async fn an_authorization_field_speaks_for_a_sign_out_alone() {
    let world = World::new().await;
    let (ada, bob) = (world.browser("ada").await, world.bearer("bob").await);
    let token = bob["access_token"].as_str().unwrap();
    let reply = world.send(ada.attach(Request::post("/v1/auth/logout").bearer(token))).await;
    assert_eq!((reply.status, set_cookies(&reply).len()), (204, 0));
    assert_eq!(world.send(Request::get("/v1/auth/session").bearer(token)).await.status, 401);
    assert_eq!(world.send(ada.attach(Request::get("/v1/auth/session"))).await.status, 200);
    let garbage = world.send(ada.attach(Request::post("/v1/auth/logout").bearer("garbage"))).await;
    assert_eq!((garbage.status, set_cookies(&garbage).len()), (204, 0));
    assert_eq!(world.send(ada.attach(Request::get("/v1/auth/session"))).await.status, 200);
}

#[tokio::test]
async fn too_many_sign_ins_are_told_when_to_come_back() {
    let world = World::new().await;
    let mut last = None;
    for _ in 0..11 {
        last = Some(world.send(Request::post("/v1/auth/login").json(&sign_in("nobody"))).await);
    }
    let reply = last.unwrap();
    assert_eq!((reply.status, code(&reply).as_str()), (429, "rate_limited"));
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}

/// A hasher to which no password is right, and that counts how many it looked at.
#[derive(Default)]
struct Counting {
    looked_at: AtomicUsize,
    is_full: AtomicBool,
}

#[async_trait]
impl PasswordHasher for Counting {
    fn place(&self) -> Result<HashPlace, HashError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(HashError::Overloaded { retry_after: Duration::from_secs(3) });
        }
        Ok(HashPlace::unbounded())
    }

    async fn hash(&self, _: Password) -> Result<PasswordHash, HashError> {
        Ok(PasswordHash::new("none".to_owned()))
    }

    async fn verify(&self, _: Password, _: Option<PasswordHash>) -> Result<Verification, HashError> {
        self.looked_at.fetch_add(1, Ordering::SeqCst);
        // Whoever counts only afterwards lets everybody in before the first is counted.
        tokio::task::yield_now().await;
        Ok(Verification::Mismatch)
    }

    fn judge(&self, _: &PasswordHash) -> Result<(), UnusableHash> {
        Ok(())
    }
}

/// AU-05: what is over the limit is refused before anybody looks at its password.
#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_looked_at_than_the_limit_allows() {
    let hasher = Arc::new(Counting::default());
    let world = World::with_hasher(hasher.clone()).await;
    world.send(Request::post("/v1/auth/register").json(&sign_up("ada"))).await;
    for address in ["ada", "nobody"] {
        let before = hasher.looked_at.load(Ordering::SeqCst);
        let guess = sign_in(address);
        let guesses = (0..40).map(|_| world.send(Request::post("/v1/auth/login").json(&guess)));
        let refused = futures::future::join_all(guesses).await;
        assert_eq!(refused.iter().filter(|reply| reply.status == 401).count(), 10, "{address}");
        assert_eq!(hasher.looked_at.load(Ordering::SeqCst) - before, 10, "{address}");
    }
}

/// DS-13: who is turned away for want of room has used up nothing, neither a look at the password nor an attempt.
#[tokio::test]
async fn a_sign_in_without_room_is_turned_away_before_anything_is_done() {
    let hasher = Arc::new(Counting::default());
    let world = World::with_hasher(hasher.clone()).await;
    let guess = || world.send(Request::post("/v1/auth/login").json(&sign_in("ada")));
    hasher.is_full.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        let reply = guess().await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("3")));
    }
    assert_eq!(hasher.looked_at.load(Ordering::SeqCst), 0);
    hasher.is_full.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(guess().await.status, 401);
    }
    assert_eq!(guess().await.status, 429);
}

/// DS-13. A client that asks again at once, although it was told when to come back, takes no core for itself.
#[tokio::test]
async fn refusals_that_say_when_to_come_back_leave_on_a_beat() {
    let hasher = Arc::new(Counting::default());
    let world = World::with_hasher(hasher.clone()).await;
    tokio::time::pause();
    let guess = async || {
        let asked = Instant::now();
        let reply = world.send(Request::post("/v1/auth/login").json(&sign_in("ada"))).await;
        // The clock stands still while anything is done, and goes on when everything waits; timers are good to 1 ms.
        (reply.status, asked.elapsed().as_millis())
    };
    let beat = BEAT.as_millis();
    hasher.is_full.store(true, Ordering::SeqCst);
    assert!([(503, beat), (503, beat + 1)].contains(&guess().await));
    hasher.is_full.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(guess().await, (401, 0));
    }
    assert!([(429, beat), (429, beat + 1)].contains(&guess().await));
}
