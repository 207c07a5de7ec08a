//! Sign-up, on every framework and store.

use identsphere_e2e::{App, matrix, unique};
use serde_json::{Value, json};

matrix! {
    a_browser_signs_up_and_gets_cookies,
    a_service_signs_up_and_gets_tokens_without_cookies,
    every_fault_of_a_registration_is_reported_at_once,
    an_address_belongs_to_one_account_whatever_its_spelling,
    a_given_slug_is_taken_once_a_derived_one_is_made_unique,
    a_refused_registration_leaves_nothing_behind,
    unknown_fields_set_nothing,
    parallel_registrations_of_one_address_make_one_account,
    answers_that_an_address_is_taken_are_rationed,
}

fn body(email: &str) -> Value {
    json!({ "email": email, "password": "correct horse battery", "organization_name": format!("Org of {email}") })
}

async fn a_browser_signs_up_and_gets_cookies(app: App) {
    let email = unique("Ada@Example.com");
    let mut ada = app.caller();
    let mut request = body(&email);
    request["display_name"] = json!("Ada Lovelace");
    let answer = ada.follow(|c| c.post("/v1/auth/register").json(&request)).await;
    answer.assert_status(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let signed_in = answer.json();
    assert_eq!(signed_in["status"], "success");
    assert_eq!(signed_in["token_type"], "Bearer");
    assert_eq!(signed_in["expires_in"], 900);
    assert_eq!(signed_in["refresh_token"], Value::Null, "a browser's refresh token is in its cookie alone");
    assert_eq!(signed_in["capabilities"]["role"], "owner");
    assert_eq!(signed_in["capabilities"]["permissions"].as_array().unwrap().len(), 14);
    let user = &signed_in["user"];
    assert_eq!(user["email"], email);
    assert_eq!(user["email_verified"], false);
    assert_eq!(user["display_name"], "Ada Lovelace");
    assert_eq!(user["auth_method"], "password");

    let cookies = answer.cookies();
    let expected = [
        ("identsphere_at", true, "/", 900),
        ("identsphere_rt", true, "/v1/auth", 2_592_000),
        ("identsphere_csrf", false, "/", 900),
        ("identsphere_device", true, "/v1/auth", 34_560_000),
    ];
    assert_eq!(cookies.len(), expected.len(), "{cookies:?}");
    for (name, http_only, path, max_age) in expected {
        let cookie = &cookies[name];
        assert_eq!(cookie.attributes.contains_key("httponly"), http_only, "{name}");
        assert_eq!(cookie.attributes["path"], path, "{name}");
        assert_eq!(cookie.attributes["samesite"], "lax", "{name}");
        assert_eq!(cookie.max_age(), max_age, "{name}");
        assert!(!cookie.attributes.contains_key("domain"), "{name}");
        assert!(name.len() + cookie.value.len() < 4_096, "{name}");
    }
    ada.get("/v1/auth/session").send().await.assert_status(200);
}

async fn a_service_signs_up_and_gets_tokens_without_cookies(app: App) {
    let mut request = body(&unique("svc@example.com"));
    request["token_transport"] = json!("bearer");
    let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
    answer.assert_status(201);
    assert!(answer.cookies().is_empty());
    let signed_in = answer.json();
    assert!(signed_in["refresh_token"].as_str().unwrap().starts_with("isr_"));
    assert_eq!(signed_in["refresh_expires_in"], 2_592_000);
    let token = signed_in["access_token"].as_str().unwrap();
    app.caller().get("/v1/auth/session").bearer(token).send().await.assert_status(200);
}

async fn every_fault_of_a_registration_is_reported_at_once(app: App) {
    let request = json!({ "email": "nobody", "password": "short", "organization_name": "", "organization_slug": "No Slug", "display_name": "x\ny" });
    let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
    answer.assert_error(400, "invalid_input");
    let answered = answer.json();
    let fields: Vec<&str> = answered["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["email", "password", "organization_name", "organization_slug", "display_name"]);

    for (field, value) in [
        ("email", json!(7)),
        ("password", json!(null)),
        ("organization_name", json!(["a"])),
        ("token_transport", json!("pigeon")),
    ] {
        let mut request = body_with(field, value);
        let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
        answer.assert_error(400, "invalid_input");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(field), "{message:?} names {field}");
        request.as_object_mut().unwrap().remove(field);
    }
    for field in ["email", "password", "organization_name"] {
        let mut request = body(&unique("a@example.com"));
        request.as_object_mut().unwrap().remove(field);
        let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
        answer.assert_error(400, "invalid_input");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(field));
    }
}

fn body_with(field: &str, value: Value) -> Value {
    let mut request = body(&unique("a@example.com"));
    request[field] = value;
    request
}

async fn an_address_belongs_to_one_account_whatever_its_spelling(app: App) {
    let email = unique("grace@example.com");
    app.caller().post("/v1/auth/register").json(&body(&email)).send().await.assert_status(201);
    for spelling in
        [email.clone(), email.to_uppercase(), format!("  {email} "), email.replace("grace", "ｇｒａｃｅ")]
    {
        app.caller()
            .post("/v1/auth/register")
            .json(&body(&spelling))
            .send()
            .await
            .assert_error(409, "conflict");
    }
}

async fn a_given_slug_is_taken_once_a_derived_one_is_made_unique(app: App) {
    let slug = unique("acme").replace(['@', '.'], "-");
    let with_slug = |slug: &str| {
        let mut request = body(&unique("s@example.com"));
        request["organization_slug"] = json!(slug);
        request
    };
    app.caller().post("/v1/auth/register").json(&with_slug(&slug)).send().await.assert_status(201);
    let taken = app.caller().post("/v1/auth/register").json(&with_slug(&slug)).send().await;
    taken.assert_error(409, "conflict");
    assert!(taken.json()["error"]["message"].as_str().unwrap().contains("organization_slug"));

    let name = unique("Derived Name");
    let mut organizations = vec![];
    for _ in 0..3 {
        let mut request = body(&unique("d@example.com"));
        request["organization_name"] = json!(name);
        let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
        answer.assert_status(201);
        organizations.push(answer.json()["user"]["organization_id"].as_str().unwrap().to_owned());
    }
    organizations.dedup();
    assert_eq!(organizations.len(), 3);
}

async fn a_refused_registration_leaves_nothing_behind(app: App) {
    let email = unique("twice@example.com");
    app.caller().post("/v1/auth/register").json(&body(&email)).send().await.assert_status(201);
    let slug = unique("orphan").replace(['@', '.'], "-");
    let mut second = body(&email);
    second["organization_slug"] = json!(slug);
    app.caller().post("/v1/auth/register").json(&second).send().await.assert_error(409, "conflict");
    second["email"] = json!(unique("other@example.com"));
    app.caller().post("/v1/auth/register").json(&second).send().await.assert_status(201);
}

async fn unknown_fields_set_nothing(app: App) {
    let mut request = body(&unique("mallory@example.com"));
    for (field, value) in [
        ("role", json!("superuser")),
        ("user_id", json!("0190d0a0-0000-7000-8000-000000000000")),
        ("email_verified", json!(true)),
        ("is_platform_admin", json!(true)),
        ("aal", json!("aal2")),
        ("organization_id", json!("0190d0a0-0000-7000-8000-000000000000")),
    ] {
        request[field] = value;
    }
    let answer = app.caller().post("/v1/auth/register").json(&request).send().await;
    answer.assert_status(201);
    let user = answer.json()["user"].clone();
    assert_eq!((&user["email_verified"], &user["is_platform_admin"]), (&json!(false), &json!(false)));
    assert_ne!(user["user_id"], request["user_id"]);
    assert_ne!(user["organization_id"], request["organization_id"]);
}

async fn parallel_registrations_of_one_address_make_one_account(app: App) {
    let email = unique("race@example.com");
    let attempts = (0..16).map(|_| {
        let (caller, request) = (app.caller(), body(&email));
        async move { caller.post("/v1/auth/register").json(&request).send().await.status }
    });
    let mut statuses = futures::future::join_all(attempts).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409 || *status == 429), "{statuses:?}");
}

async fn answers_that_an_address_is_taken_are_rationed(app: App) {
    let email = unique("asked@example.com");
    app.caller().post("/v1/auth/register").json(&body(&email)).send().await.assert_status(201);
    for _ in 0..10 {
        app.caller().post("/v1/auth/register").json(&body(&email)).send().await.assert_error(409, "conflict");
    }
    let answer = app.caller().post("/v1/auth/register").json(&body(&email)).send().await;
    answer.assert_error(429, "rate_limited");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}
