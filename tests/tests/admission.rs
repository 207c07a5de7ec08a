//! Who may not sign in, by every path that leads to a session or a password (AU-09). On every framework and store.

use identsphere_e2e::{Answer, App, PASSWORD, matrix};
use serde_json::{Value, json};

const OTHER_PASSWORD: &str = "staple battery horse";

matrix! {
    a_deleted_user_gets_in_by_no_path,
}

/// On the stores with tables: no route disables a user or ends a membership yet, so the tests do it in SQL.
macro_rules! with_tables {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            identsphere_e2e::matrix!(@ $scenario: actix_sqlite = Actix Sqlite, actix_postgres = Actix Postgres,
                axum_sqlite = Axum Sqlite, axum_postgres = Axum Postgres);
        }
    )+};
}

with_tables! {
    a_disabled_user_gets_in_by_no_path,
    a_user_without_a_membership_gets_in_by_no_path,
}

/// Somebody who has collected whatever signs them in, or leads there, before they lost their right to.
struct Collector {
    email: String,
    access: String,
    refresh: String,
    code: String,
    reset: String,
}

async fn post(app: &App, path: &str, body: Value) -> Answer {
    app.caller().post(path).json(&body).send().await
}

async fn ask(app: &App, email: &str) {
    for path in ["/v1/auth/email-otp/request", "/v1/auth/password/forgot"] {
        post(app, path, json!({ "email": email })).await.assert_status(204);
    }
}

impl Collector {
    async fn new(app: &App) -> Self {
        let session = app.bearer().await;
        ask(app, &session.email).await;
        let code = app.mailed(&session.email, "sign_in_code").await;
        let reset = app.mailed(&session.email, "reset_password").await;
        Self { email: session.email, access: session.access, refresh: session.refresh, code, reset }
    }

    async fn is_refused(&self, app: &App) {
        let email = &self.email;
        post(app, "/v1/auth/login", json!({ "email": email, "password": PASSWORD }))
            .await
            .assert_error(401, "invalid_credentials");
        for (path, body) in [
            ("/v1/auth/refresh", json!({ "refresh_token": self.refresh })),
            ("/v1/auth/email-otp/verify", json!({ "email": email, "code": self.code })),
            ("/v1/auth/password/reset", json!({ "token": self.reset, "new_password": OTHER_PASSWORD })),
        ] {
            let answer = post(app, path, body).await;
            assert_eq!(answer.status, 401, "{path} {}", answer.json());
            answer.assert_error(401, "authentication_required");
            assert!(answer.cookies().values().all(|cookie| cookie.value.is_empty()), "{path}");
        }
        let before = app.deliver().await.received(email).len();
        ask(app, email).await;
        assert_eq!(app.deliver().await.received(email).len(), before, "nothing is sent to them");
    }
}

async fn a_deleted_user_gets_in_by_no_path(app: App) {
    let person = Collector::new(&app).await;
    let body = json!({ "password": PASSWORD });
    let caller = app.caller();
    caller.delete("/v1/users/me").bearer(&person.access).json(&body).send().await.assert_status(204);
    person.is_refused(&app).await;
}

async fn a_disabled_user_gets_in_by_no_path(app: App) {
    let person = Collector::new(&app).await;
    let email = &person.email;
    app.change(&format!("UPDATE users SET status = 'disabled' WHERE email = '{email}'")).await;
    person.is_refused(&app).await;
    app.change(&format!("UPDATE users SET status = 'active' WHERE email = '{email}'")).await;
    app.login(email).await;
}

async fn a_user_without_a_membership_gets_in_by_no_path(app: App) {
    let person = Collector::new(&app).await;
    let of_person = format!("user_id = (SELECT id FROM users WHERE email = '{}')", person.email);
    app.change(&format!("DELETE FROM organization_memberships WHERE {of_person}")).await;
    person.is_refused(&app).await;
}
