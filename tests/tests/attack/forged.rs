//! Forged tokens at every place where a token is taken (TK-01 to TK-08).

use std::collections::BTreeSet;
use std::net::TcpListener;

use identsphere_e2e::uuid_v7;
use identsphere_http::{AuthRule, ENDPOINTS};
use reqwest::Method;
use serde_json::json;

use crate::both;
use crate::forge::{Bait, corpus};
use crate::world::{World, path, with_body};

both! {
    forged_access_tokens_are_refused_wherever_a_token_is_taken,
    forged_refresh_tokens_are_refused,
    tokens_that_were_once_good_are_refused,
}

async fn forged_access_tokens_are_refused_wherever_a_token_is_taken(world: World) {
    let (victim, other) = (world.victim().await, world.victim().await);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let bait = Bait(format!("http://{}", listener.local_addr().unwrap()));
    let families = corpus(&world, &victim, &other, &bait);
    let names: BTreeSet<&str> = families.iter().map(|family| family.name).collect();
    let tokens: BTreeSet<&String> = families.iter().flat_map(|family| &family.tokens).collect();
    assert!(names.len() >= 60 && names.len() == families.len(), "{} families", names.len());
    assert!(tokens.len() >= 300, "{} tokens", tokens.len());

    world.session(&victim.access).await.assert_status(200);
    let before = world.watch.calls().len();
    for family in &families {
        for token in &family.tokens {
            present_everywhere(&world, family.name, token).await;
        }
        assert_eq!(world.watch.calls().len(), before, "{}: the store was asked", family.name);
    }
    assert!(listener.accept().is_err(), "a token made the service call out");
    world.session(&victim.access).await.assert_status(200);
    println!("{} families, {} tokens", names.len(), tokens.len());
}

/// Bearer and cookie on a read, bearer and cookie on logout, body and cookie of refresh.
async fn present_everywhere(world: &World, family: &str, token: &str) {
    let caller = world.caller();
    let refused = |place: &str, answer: identsphere_e2e::Answer| {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "authentication_required"),
            "{family} as {place}: {token:?}"
        );
    };
    let body = json!({ "refresh_token": token });
    refused("body", caller.post("/v1/auth/refresh").json(&body).send().await);
    if token.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte) || byte >= 0x80) {
        refused("bearer", caller.get("/v1/auth/session").bearer(token).send().await);
        caller.post("/v1/auth/logout").bearer(token).send().await.assert_status(204);
        let cookies = format!("identsphere_at={token}");
        // A semicolon ends a cookie, and white space around it is not part of it.
        if !token.contains(';') && token.trim() == token {
            refused("cookie", caller.get("/v1/auth/session").header("cookie", &cookies).send().await);
            caller.post("/v1/auth/logout").header("cookie", &cookies).send().await.assert_status(204);
            let cookies = format!("identsphere_rt={token}");
            refused(
                "refresh cookie",
                caller.post("/v1/auth/refresh").header("cookie", &cookies).send().await,
            );
        }
    }
}

async fn forged_refresh_tokens_are_refused(world: World) {
    let (victim, other) = (world.victim().await, world.victim().await);
    let (genuine, others) = (&victim.refresh, &other.refresh);
    let body = &genuine["isr_".len()..];
    let mut forged: Vec<String> = (0..genuine.len())
        .flat_map(|at| {
            let other = if &genuine[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &genuine[..at], &genuine[at + 1..]);
            [changed, genuine[..at].to_owned(), format!("{}={}", &genuine[..at], &genuine[at..])]
        })
        .collect();
    forged.extend([
        format!("{genuine}A"),
        format!("{genuine}="),
        format!("{genuine}=="),
        format!("{genuine}."),
        format!("{genuine}\0"),
        format!("ISR_{body}"),
        format!("isr_isr_{body}"),
        format!("isr-{body}"),
        body.to_owned(),
        body.replace('-', "+").replace('_', "/") + "=",
        genuine.to_uppercase(),
        format!("{}{}", &genuine[..40], &others[40..]),
        format!("{}{}", &genuine[..genuine.len() - 22], &others[others.len() - 22..]),
        format!("isr_{}", "A".repeat(body.len())),
        victim.access.clone(),
        uuid_v7(),
    ]);
    let before = world.watch.calls().len();
    for token in forged {
        let in_body = json!({ "refresh_token": token });
        let answer = world.caller().post("/v1/auth/refresh").json(&in_body).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "authentication_required"), "{token:?}");
        if !token.contains('\0') {
            let cookie = format!("identsphere_rt={token}");
            let answer = world.caller().post("/v1/auth/refresh").header("cookie", &cookie).send().await;
            answer.assert_error(401, "authentication_required");
            // Nobody is signed out by an invented token either.
            world.caller().post("/v1/auth/logout").header("cookie", &cookie).send().await.assert_status(204);
        }
    }
    assert_eq!(world.watch.calls().len(), before, "the store was asked about a token that cannot be ours");
    let answer =
        world.caller().post("/v1/auth/refresh").json(&json!({ "refresh_token": genuine })).send().await;
    answer.assert_status(200);
}

/// A genuine token after its session has ended, after its time, and after it was replaced: at every route that wants a
/// user.
async fn tokens_that_were_once_good_are_refused(world: World) {
    let ended = world.victim().await;
    world.caller().post("/v1/auth/logout").bearer(&ended.access).send().await.assert_status(204);
    let expired = world.victim().await;
    world.clock.advance(std::time::Duration::from_secs(900));
    for endpoint in ENDPOINTS {
        for route in endpoint.routes.iter().filter(|route| route.auth == AuthRule::User) {
            let path = path(endpoint);
            let method = Method::from_bytes(route.method.name().as_bytes()).unwrap();
            for token in [&ended.access, &expired.access, &expired.refresh] {
                let caller = world.caller();
                let request = with_body(caller.request(method.clone(), &path), route);
                let answer = request.bearer(token).send().await;
                answer.assert_error(401, "authentication_required");
            }
        }
    }
    let refresh = async |token: &str| {
        world.caller().post("/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
    };
    refresh(&ended.refresh).await.assert_error(401, "authentication_required");
    let next = refresh(&expired.refresh).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let last = refresh(&next).await.json()["refresh_token"].as_str().unwrap().to_owned();
    refresh(&expired.refresh).await.assert_error(401, "authentication_required");
    refresh(&last).await.assert_error(401, "authentication_required");
}
