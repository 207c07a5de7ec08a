//! The list of sessions, and the guards on ending them.

use serde_json::{Value, json};

use crate::request::{PASSWORD, Request, code, field, read};
use crate::world::{BASE, LISTED, World};

async fn sign_in_again(world: &World, user_agent: &str) -> Value {
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "token_transport": "bearer" });
    let request = Request::post("/v1/auth/login").json(&body).field("user-agent", user_agent);
    read(&world.send(request.field("x-forwarded-for", "6.6.6.6, 198.51.100.7")).await)
}

#[tokio::test]
async fn the_list_shows_where_sessions_are_used() {
    let world = World::new().await;
    let browser = world.browser("ada").await;
    let other = sign_in_again(&world, "Firefox").await;
    let list = read(&world.send(browser.attach(Request::get("/v1/auth/sessions"))).await);
    let sessions = list.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let theirs = sessions.iter().find(|session| session["is_current"] == false).unwrap();
    assert_eq!(theirs["id"], other["user"]["session_family_id"]);
    assert_eq!((&theirs["user_agent"], &theirs["ip_address"]), (&json!("Firefox"), &json!("198.51.100.7")));
    assert_eq!((&theirs["auth_method"], &theirs["aal"]), (&json!("password"), &json!("aal1")));
    assert!(theirs["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(sessions.iter().filter(|session| session["is_current"] == true).count(), 1);
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_only() {
    let world = World::new().await;
    let (ada, bob) = (world.browser("ada").await, world.bearer("bob").await);
    let other = sign_in_again(&world, "Firefox").await;
    let id = other["user"]["session_family_id"].as_str().unwrap();
    let path = format!("/v1/auth/sessions/{id}");
    let bob = bob["access_token"].as_str().unwrap();
    assert_eq!(world.send(Request::delete(&path).bearer(bob)).await.status, 404);
    assert_eq!(world.send(ada.sign(Request::delete(&path))).await.status, 204);
    assert_eq!(world.send(ada.sign(Request::delete(&path))).await.status, 404);
    for no_id in ["x", "0199b2a46c1e7d308f6e3c0c5a2f9b11", "%2e%2e"] {
        let reply = world.send(ada.sign(Request::delete(&format!("/v1/auth/sessions/{no_id}")))).await;
        assert_eq!((reply.status, code(&reply).as_str()), (404, "not_found"), "{no_id}");
    }
}

#[tokio::test]
async fn all_sessions_or_all_others_are_ended() {
    let world = World::new().await;
    let browser = world.browser("ada").await;
    let other = sign_in_again(&world, "Firefox").await;
    let other = other["access_token"].as_str().unwrap();
    for query in ["except_current=yes", "except_current=", "except_current=true&except_current=true"] {
        let reply = world.send(browser.sign(Request::delete(&format!("/v1/auth/sessions?{query}")))).await;
        assert_eq!((reply.status, field(&reply).as_str()), (400, "except_current"));
    }
    let others = browser.sign(Request::delete("/v1/auth/sessions?except_current=true"));
    assert_eq!(world.send(others).await.status, 204);
    assert_eq!(world.send(Request::get("/v1/auth/session").bearer(other)).await.status, 401);
    assert_eq!(world.send(browser.sign(Request::delete("/v1/auth/sessions"))).await.status, 204);
    assert_eq!(world.send(browser.attach(Request::get("/v1/auth/session"))).await.status, 401);
}

#[tokio::test]
async fn a_write_by_cookie_needs_the_token_of_its_session() {
    let world = World::new().await;
    let (ada, bob) = (world.browser("ada").await, world.browser("bob").await);
    let write = || Request::delete("/v1/auth/sessions?except_current=true");
    assert_eq!(code(&world.send(ada.attach(write())).await), "csrf_failed");
    assert_eq!(code(&world.send(ada.attach(write()).field("x-csrf-token", &bob.csrf)).await), "csrf_failed");

    // A pair planted by a sibling subdomain: header and cookie agree, yet the token is another session's.
    let planted = format!("identsphere_at={}; identsphere_csrf={}", ada.access, bob.csrf);
    let request = write().field("cookie", &planted).field("x-csrf-token", &bob.csrf);
    assert_eq!(code(&world.send(request).await), "csrf_failed");
    assert_eq!(code(&world.send(ada.attach(Request::post("/v1/auth/logout"))).await), "csrf_failed");
    assert_eq!(world.send(ada.sign(write())).await.status, 204);
    assert_eq!(world.send(write().bearer(&ada.access)).await.status, 204);
}

#[tokio::test]
async fn foreign_pages_may_not_write() {
    let world = World::new().await;
    let ada = world.browser("ada").await;
    let sign_in =
        || Request::post("/v1/auth/login").json(&json!({ "email": "ada@example.com", "password": PASSWORD }));
    let write = || ada.sign(Request::delete("/v1/auth/sessions?except_current=true"));
    let refresh = || ada.attach(Request::post("/v1/auth/refresh"));
    for (name, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        for request in [sign_in(), write(), refresh()] {
            let reply = world.send(request.field(name, value)).await;
            assert_eq!((reply.status, code(&reply).as_str()), (403, "forbidden"), "{value}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    for origin in [BASE, LISTED] {
        assert_eq!(world.send(sign_in().field("origin", origin)).await.status, 200);
        assert_eq!(world.send(write().field("origin", origin)).await.status, 204);
    }
}

#[tokio::test]
async fn ambiguous_credentials_are_refused() {
    let world = World::new().await;
    let ada = world.browser("ada").await;
    let twice = ada
        .attach(Request::get("/v1/auth/session"))
        .field("cookie", &format!("identsphere_at={}", ada.access));
    assert_eq!(world.send(twice).await.status, 400);
    let request = Request::get("/v1/auth/session").bearer(&ada.access).bearer(&ada.access);
    assert_eq!(world.send(request).await.status, 400);
    // A Bearer credential wins over a cookie, good or bad.
    assert_eq!(world.send(ada.attach(Request::get("/v1/auth/session").bearer("garbage"))).await.status, 401);
}

#[tokio::test]
async fn listed_origins_read_answers_and_preflights() {
    let world = World::new().await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/v1/auth/login")
            .field("origin", origin)
            .field("access-control-request-method", "POST")
    };
    let reply = world.send(preflight(LISTED)).await;
    assert_eq!((reply.status, reply.header("access-control-allow-methods")), (204, Some("POST")));
    assert_eq!(reply.header("access-control-allow-origin"), Some(LISTED));
    assert_eq!(world.send(preflight("https://evil.example")).await.status, 405);
    let reply = world.send(Request::get("/v1/auth/session").field("origin", LISTED)).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (401, Some(LISTED)));
}
