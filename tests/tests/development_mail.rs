//! Mail that was not sent, read in a browser on the same machine.

use identsphere_e2e::{Answer, App, matrix};

matrix! {
    a_kept_mail_is_read_in_the_browser,
    through_a_proxy_or_under_a_foreign_name_there_is_nothing,
}

fn page(answer: &Answer) -> String {
    answer.assert_status(200);
    String::from_utf8(answer.body.clone()).unwrap()
}

async fn a_kept_mail_is_read_in_the_browser(app: App) {
    let empty = app.caller().get("/dev/mail").send().await;
    assert!(page(&empty).contains("Nothing yet"));
    let id = app.keep_mail().await;
    let list = app.caller().get("/dev/mail").send().await;
    let path = format!("/dev/mail/{id}");
    assert!(page(&list).contains(&format!("href=\"{path}\"")));
    let one = app.caller().get(&path).send().await;
    assert!(page(&one).contains("<a href=\"https://id.example.com/verify?token=abc\""));
    assert_eq!(one.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(one.header("cache-control"), Some("no-store"));
}

async fn through_a_proxy_or_under_a_foreign_name_there_is_nothing(app: App) {
    let path = format!("/dev/mail/{}", app.keep_mail().await);
    for path in ["/dev/mail", &path] {
        for (name, value) in
            [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("host", "id.example.com")]
        {
            let answer = app.caller().get(path).header(name, value).send().await;
            answer.assert_error(404, "not_found");
            assert!(!String::from_utf8_lossy(&answer.body).contains("ada@example.com"));
        }
    }
}
