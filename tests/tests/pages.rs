//! Pages for people, and that opening one changes nothing.

use identsphere_e2e::{App, Caller, matrix};
use serde_json::json;

matrix! {
    the_pages_are_served_and_lead_where_mails_do,
    opening_a_link_changes_nothing_and_redeeming_it_does,
}

const PATHS: [&str; 4] = ["/account", "/verify-email", "/reset-password", "/not-me"];

async fn the_pages_are_served_and_lead_where_mails_do(app: App) {
    for path in PATHS {
        let page = app.caller().get(path).send().await;
        page.assert_status(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert!(page.header("content-security-policy").unwrap().contains("script-src 'sha256-"));
        app.caller().post(path).send().await.assert_error(405, "method_not_allowed");
        let german = app.caller().get(path).header("accept-language", "de").send().await;
        assert!(String::from_utf8(german.body).unwrap().contains("<html lang=\"de\">"));
    }
}

async fn is_verified(browser: &Caller) -> bool {
    browser.get("/v1/auth/session").send().await.json()["user"]["email_verified"].as_bool().unwrap()
}

async fn opening_a_link_changes_nothing_and_redeeming_it_does(app: App) {
    let (email, browser) = app.sign_up().await;
    let token = app.mailed(&email, "verify_email").await;
    for _ in 0..3 {
        for path in PATHS {
            let page = browser.get(&format!("{path}?token={token}")).send().await;
            page.assert_status(200);
            assert!(page.cookies().is_empty());
            assert!(!String::from_utf8(page.body).unwrap().contains(&token));
        }
    }
    assert!(!is_verified(&browser).await);
    let redeemed = browser.post("/v1/auth/email/verify").json(&json!({ "token": token })).send().await;
    redeemed.assert_status(204);
    assert!(is_verified(&browser).await);
}
