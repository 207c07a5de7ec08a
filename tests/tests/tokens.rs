//! Access tokens, their keys, and everything that looks like one but is not. On every framework and store.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identsphere_e2e::{App, claims, matrix, verify_independently};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(86_400);

matrix! {
    an_access_token_says_what_the_contract_says,
    a_stranger_verifies_it_with_the_published_keys,
    the_published_keys_hold_nothing_private_and_are_cached,
    forged_tokens_are_refused,
    a_rotation_refuses_no_valid_token_and_signs_with_no_unpublished_key,
    discarded_keys_verify_nothing_once_the_nodes_have_looked,
}

async fn jwks(app: &App) -> Value {
    let answer = app.caller().get("/.well-known/jwks.json").send().await;
    answer.assert_status(200);
    answer.json()
}

async fn accepts(app: &App, token: &str) -> bool {
    app.caller().get("/v1/auth/session").bearer(token).send().await.status == 200
}

async fn an_access_token_says_what_the_contract_says(app: App) {
    let session = app.bearer().await;
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(session.access.split('.').next().unwrap()).unwrap())
            .unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
    let claims = session.claims();
    assert_eq!(claims["iss"], app.origin());
    assert_eq!(claims["typ"], "access");
    assert_eq!(
        (&claims["aal"], &claims["auth_method"], &claims["role"]),
        (&json!("aal1"), &json!("password"), &json!("owner"))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["auth_time"], claims["iat"]);
    for id in ["sub", "org", "jti", "sid"] {
        assert_eq!(claims[id].as_str().unwrap().len(), 36, "{id}");
    }
    assert!(claims.get("email").is_none(), "an address that nobody verified is not claimed");
    assert!(claims.get("aud").is_none());
}

async fn a_stranger_verifies_it_with_the_published_keys(app: App) {
    let session = app.bearer().await;
    assert!(verify_independently(&jwks(&app).await, &session.access));
    assert!(!verify_independently(&jwks(&app).await, &format!("{}A", session.access)));
    let other = app.bearer().await;
    let mixed = [
        session.access.split('.').next().unwrap(),
        other.access.split('.').nth(1).unwrap(),
        session.access.split('.').nth(2).unwrap(),
    ]
    .join(".");
    assert!(!verify_independently(&jwks(&app).await, &mixed));
}

/// TK-10.
async fn the_published_keys_hold_nothing_private_and_are_cached(app: App) {
    let answer = app.caller().get("/.well-known/jwks.json").send().await;
    let body = answer.json();
    for key in body["keys"].as_array().unwrap() {
        let mut members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(
            (&key["kty"], &key["use"], &key["alg"], &key["e"]),
            (&json!("RSA"), &json!("sig"), &json!("RS256"), &json!("AQAB"))
        );
    }
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(answer.cookies().is_empty());
    let etag = answer.header("etag").unwrap().to_owned();
    let again = app.caller().get("/.well-known/jwks.json").header("if-none-match", &etag).send().await;
    again.assert_status(304);
    assert!(again.body.is_empty());
    app.caller()
        .get("/.well-known/jwks.json")
        .header("if-none-match", "\"other\"")
        .send()
        .await
        .assert_status(200);
}

/// TK-01 to TK-06.
async fn forged_tokens_are_refused(app: App) {
    let session = app.bearer().await;
    let parts: Vec<&str> = session.access.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let kid = jwks(&app).await["keys"][0]["kid"].as_str().unwrap().to_owned();
    let segment = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut elevated = session.claims();
    elevated["aal"] = json!("aal2");
    let headers = [
        json!({ "alg": "none", "typ": "JWT", "kid": kid }),
        json!({ "alg": "None" }),
        json!({ "alg": "nOnE", "kid": kid }),
        json!({ "alg": "HS256", "kid": kid }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "RS256", "kid": "other" }),
        json!({ "alg": "RS512", "kid": kid }),
        json!({ "alg": "PS256", "kid": kid }),
        json!({ "alg": "ES256", "kid": kid }),
        json!({ "alg": "rs256", "kid": kid }),
        json!({ "alg": "RS256", "kid": kid, "jku": "http://127.0.0.1:9/" }),
        json!({ "alg": "RS256", "kid": kid, "crit": ["b64"], "b64": false }),
        json!({ "alg": "RS256", "kid": "../../etc/passwd" }),
        json!({ "alg": "RS256", "kid": "' OR 1=1 --" }),
        json!({ "alg": "RS256", "kid": kid, "zip": "DEF" }),
        json!([]),
        json!("JWT"),
        json!({ "alg": "RS256", "kid": kid, "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } }),
        json!({ "alg": "RS256", "kid": kid, "x5u": "http://127.0.0.1:9/" }),
    ];
    let mut forged: Vec<String> = headers
        .iter()
        .flat_map(|h| [format!("{}.{payload}.{signature}", segment(h)), format!("{}.{payload}.", segment(h))])
        .collect();
    forged.extend([
        format!("{header}.{}.{signature}", segment(&elevated)),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.x"),
        format!(" {header}.{payload}.{signature}x"),
        format!("{header}.{payload}.{}", "A".repeat(signature.len())),
        format!("{header}.{payload}.{}", signature.replace('_', "/").replace('-', "+") + "=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([0u8; 256])),
        format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([0xffu8; 256])),
        session.refresh.clone(),
    ]);
    for token in forged {
        let answer = app.caller().get("/v1/auth/session").bearer(&token).send().await;
        answer.assert_error(401, "authentication_required");
        let cookie = format!("identsphere_at={token}");
        if token.is_ascii() && !token.contains(' ') {
            app.caller()
                .get("/v1/auth/session")
                .header("cookie", &cookie)
                .send()
                .await
                .assert_error(401, "authentication_required");
        }
    }
    assert!(accepts(&app, &session.access).await);

    let foreign = app.impostor().await.bearer().await;
    assert_eq!(foreign.claims()["iss"], session.claims()["iss"]);
    assert!(!accepts(&app, &foreign.access).await, "another deployment's token");
}

/// TK-11: one rotation seen by two nodes, while tokens of every age are in use.
async fn a_rotation_refuses_no_valid_token_and_signs_with_no_unpublished_key(app: App) {
    let node = app.another_node().await;
    let (email, _) = app.sign_up().await;
    let kid_of = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let first_kid = kid_of(&app.bearer_login(&email).await.access);
    let next = app.service.rotate_keys(DAY).await.unwrap().unwrap();
    node.service.keep_keys().await.unwrap();

    let mut tokens: Vec<(std::time::Duration, String)> = vec![];
    let mut elapsed = Duration::ZERO;
    let mut signed_by = vec![];
    let step = Duration::from_secs(600);
    while elapsed < DAY + 6 * Duration::from_secs(3_600) {
        for at in [&app, &node] {
            let token = at.bearer_login(&email).await.access;
            for publisher in [&app, &node] {
                assert!(
                    verify_independently(&jwks(publisher).await, &token),
                    "signed by a key that is published everywhere"
                );
            }
            signed_by.push(kid_of(&token));
            tokens.push((elapsed, token));
        }
        tokens.retain(|(at, _)| elapsed - *at < Duration::from_secs(900));
        for (_, token) in &tokens {
            assert!(accepts(&app, token).await && accepts(&node, token).await, "a valid token was refused");
            assert!(verify_independently(&jwks(&node).await, token));
        }
        let jump = if elapsed < DAY - 2 * step || elapsed > DAY + 4 * step { 12 * step } else { step };
        let jump = if elapsed < DAY - 2 * step { jump.min(DAY - 2 * step - elapsed).max(step) } else { jump };
        app.clock.advance(jump);
        elapsed += jump;
        app.service.keep_keys().await.unwrap();
        node.service.keep_keys().await.unwrap();
    }
    signed_by.dedup();
    assert_eq!(signed_by, [first_kid.clone(), next.as_str().to_owned()], "one change, on both nodes at once");
    let published = jwks(&app).await;
    assert_eq!(
        published["keys"].as_array().unwrap().len(),
        1,
        "the old key is gone once its last token has expired"
    );
    assert_eq!(claims(&tokens[0].1)["typ"], "access");
}

/// D-12, the emergency: nodes that run look every few seconds, here at once.
async fn discarded_keys_verify_nothing_once_the_nodes_have_looked(app: App) {
    let node = app.another_node().await;
    let session = app.bearer().await;
    for at in [&app, &node] {
        assert!(accepts(at, &session.access).await, "and they remember that its signature is right");
    }
    assert_eq!(app.service.discard_keys().await.unwrap(), 1);
    for at in [&app, &node] {
        at.service.keep_keys().await.unwrap();
        assert!(!accepts(at, &session.access).await);
        assert!(!verify_independently(&jwks(at).await, &session.access));
    }
    assert_eq!(jwks(&app).await, jwks(&node).await);
    let fresh = app.bearer_login(&session.email).await;
    assert!(accepts(&node, &fresh.access).await);
}
