//! Cookies as browsers read them (CK-01): every attribute, and how long they last beside how long what they carry is good.

use std::collections::BTreeMap;

use identsphere_e2e::{Answer, App, Scenario, SetCookie, claims};
use identsphere_http::{AuthRule, Content};
use identsphere_kernel::Clock;

const DAY: i64 = 86_400;

/// What a session consists of: name, path, whether scripts may read it.
const SESSION: [(&str, &str, bool); 3] =
    [("identsphere_at", "/", false), ("identsphere_rt", "/v1/auth", false), ("identsphere_csrf", "/", true)];

/// Checks the cookies of an answer when all is well.
pub async fn assert_cookies(app: &App, scenario: &Scenario, answer: &Answer, name: &str) {
    let cookies = answer.cookies();
    let lines = answer.headers.get_all("set-cookie").iter().count();
    assert_eq!(lines, cookies.len(), "{name} sets a cookie twice");
    for line in answer.headers.get_all("set-cookie") {
        assert!(line.len() < 4_096, "{name}");
    }
    let names: Vec<&str> = cookies.keys().map(String::as_str).collect();
    match due(scenario, answer, name) {
        Due::Nothing => assert_eq!(names, [""; 0], "{name}"),
        Due::Cleared => {
            assert_eq!(names, ["identsphere_at", "identsphere_csrf", "identsphere_rt"], "{name}");
            for (cookie, path, readable) in SESSION {
                let cookie = &cookies[cookie];
                assert_eq!(cookie.value, "", "{name}");
                // Alike but for their age, or the browser keeps what it has.
                assert_attributes(cookie, path, readable, 0);
            }
        }
        Due::Session(others) => {
            let mut due: Vec<&str> =
                SESSION.iter().map(|(cookie, ..)| *cookie).chain(others.iter().copied()).collect();
            due.sort_unstable();
            assert_eq!(names, due, "{name}");
            assert_session(app, scenario, answer, &cookies).await;
        }
        Due::Trust => {
            assert_eq!(names, ["identsphere_trust"], "{name}");
            let until = answer.json()["trusted_browser"]["expires_at"].clone();
            assert_eq!(until.as_str().unwrap()[..10], in_days(app, 30), "{name}");
            assert_attributes(&cookies["identsphere_trust"], "/v1/auth", false, 30 * DAY);
        }
    }
}

/// Which cookies an operation sets.
enum Due {
    Nothing,
    Cleared,
    /// Those of a session, and these.
    Session(&'static [&'static str]),
    Trust,
}

fn due(scenario: &Scenario, answer: &Answer, name: &str) -> Due {
    let body = match scenario.route.success.content {
        Content::Object(_) => answer.json(),
        _ => serde_json::Value::Null,
    };
    match scenario.route.operation {
        "logout" | "deleteAccount" => Due::Cleared,
        "trustBrowser" => Due::Trust,
        "refresh" => Due::Session(&[]),
        _ if body.get("access_token").is_none() => Due::Nothing,
        _ if name.contains("trusted browser") => Due::Session(&["identsphere_device", "identsphere_trust"]),
        _ => Due::Session(&["identsphere_device"]),
    }
}

async fn assert_session(
    app: &App,
    scenario: &Scenario,
    answer: &Answer,
    cookies: &BTreeMap<String, SetCookie>,
) {
    assert!(scenario.route.auth != AuthRule::User, "whoever has a session gets no other one");
    let body = answer.json();
    let (access, claims) = (&cookies["identsphere_at"].value, claims(&cookies["identsphere_at"].value));
    assert_eq!(body["access_token"], access.as_str());
    let left = claims["exp"].as_i64().unwrap() - app.clock.now().unix_seconds();
    assert_eq!(body["expires_in"], left);

    // The end of the session, as its owner is told it.
    let caller = app.caller();
    let sessions = caller.get("/v1/auth/sessions").bearer(access).send().await.assert_status(200).json();
    let current = sessions.as_array().unwrap().iter().find(|session| session["is_current"] == true).unwrap();
    let end = identsphere_kernel::Timestamp::parse_rfc3339(current["expires_at"].as_str().unwrap()).unwrap();
    let ages = [left, end.unix_seconds() - app.clock.now().unix_seconds(), left];
    for ((cookie, path, readable), age) in SESSION.into_iter().zip(ages) {
        assert_attributes(&cookies[cookie], path, readable, age);
    }
    if let Some(device) = cookies.get("identsphere_device") {
        assert_attributes(device, "/v1/auth", false, 400 * DAY);
    }
    if let Some(trust) = cookies.get("identsphere_trust") {
        assert_attributes(trust, "/v1/auth", false, 30 * DAY);
    }
}

fn assert_attributes(cookie: &SetCookie, path: &str, readable: bool, max_age: i64) {
    let age = max_age.to_string();
    let mut due = BTreeMap::from([("path", path), ("secure", ""), ("samesite", "lax"), ("max-age", &age)]);
    if !readable {
        due.insert("httponly", "");
    }
    let found: BTreeMap<_, _> = cookie.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, due, "{}", cookie.name);
}

/// The date so many days from now.
fn in_days(app: &App, days: u64) -> String {
    let then = app.clock.now().plus(identsphere_kernel::Duration::from_secs(days * 86_400));
    then.to_rfc3339()[..10].to_owned()
}
