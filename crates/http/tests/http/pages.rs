//! Pages for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identsphere_http::{App, Drain, HttpConfig};
use sha2::{Digest, Sha256};

use crate::request::{Request, text};
use crate::world::{BASE, World, http_config};

const PATHS: [&str; 4] = ["/account", "/verify-email", "/reset-password", "/not-me"];

fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    page.split(start).nth(1).unwrap().split(end).next().unwrap()
}

#[tokio::test]
async fn a_page_runs_its_own_script_and_style_and_nothing_else() {
    let world = World::new().await;
    for path in PATHS {
        let reply = world.send(Request::get(path)).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let page = text(&reply);
        let policy = reply.header("content-security-policy").unwrap();
        let mut expected = vec!["default-src 'none'".to_owned()];
        for (kind, tag, directive) in
            [("script", "<script type=\"module\">", "script-src"), ("style", "<style>", "style-src")]
        {
            assert_eq!(page.matches(&format!("<{kind}")).count(), 1, "{path}");
            let inline = between(&page, tag, &format!("</{kind}>"));
            expected.push(format!("{directive} 'sha256-{}'", STANDARD.encode(Sha256::digest(inline))));
        }
        expected.extend(
            [
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
            ]
            .map(str::to_owned),
        );
        assert_eq!(policy, expected.join("; "), "{path}");
        for never in ["innerHTML", "eval(", "src=", " style=", " onclick", "{{", "http:"] {
            assert!(!page.contains(never), "{path}: {never}");
        }
        let links = page.split("href=\"").skip(1);
        assert!(
            links.into_iter().all(|link| link.starts_with('#') || link.starts_with("/account")),
            "{path}"
        );
        assert_eq!(page.matches("https://").count(), page.matches(BASE).count(), "{path}");
    }
}

#[tokio::test]
async fn a_page_is_never_kept_never_framed_and_never_a_referrer() {
    let world = World::new().await;
    for path in PATHS {
        let reply = world.send(Request::get(&format!("{path}?token=abc"))).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert!(reply.header("set-cookie").is_none());
        assert!(!text(&reply).contains("abc"), "the token is not written into the page");
        assert_eq!(world.send(Request::post(path)).await.status, 405);
    }
}

#[tokio::test]
async fn a_page_speaks_the_language_of_its_reader() {
    let world = World::new().await;
    for path in PATHS {
        for (accepted, language, word) in
            [("de-AT,en;q=0.5", "de", "E-Mail"), ("fr", "en", "mail"), ("en", "en", "mail")]
        {
            let page = text(&world.send(Request::get(path).field("accept-language", accepted)).await);
            assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(word), "{path}");
        }
    }
}

#[tokio::test]
async fn whatever_a_page_lets_people_do_its_script_knows() {
    let world = World::new().await;
    for path in PATHS {
        let page = text(&world.send(Request::get(path)).await);
        let (content, script) = page.split_once("<script").unwrap();
        let actions = content.split(" data-action=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let mut count = 0;
        for action in actions {
            let is_known = [format!("  {action}: "), format!("  async {action}(")];
            assert!(is_known.iter().any(|known| script.contains(known)), "{path}: {action}");
            count += 1;
        }
        assert!(count > 0, "{path}");
    }
}

#[tokio::test]
async fn passkeys_are_offered_where_somebody_signs_in_and_nowhere_else() {
    let world = World::new().await;
    for path in PATHS {
        let page = text(&world.send(Request::get(path)).await);
        let offers: Vec<_> = page.split("<section").filter(|view| view.contains("webauthn\"")).collect();
        assert_eq!(offers.len(), usize::from(path == "/account"), "{path}");
        assert!(offers.iter().all(|view| view.starts_with(" data-view=\"sign-in\"")));
    }
}

#[tokio::test]
async fn settings_on_a_page_mean_nothing_to_its_parser() {
    let world = World::new().await;
    let config = HttpConfig { app_name: "<b>\"Acme\" & Sons".to_owned(), ..http_config(Drain::default()) };
    let world = World { app: App::new(world.core.clone(), config).unwrap(), ..world };
    let page = text(&world.send(Request::get("/account")).await);
    assert!(page.contains("<title>Your account · &lt;b&gt;&quot;Acme&quot; &amp; Sons</title>"));
    assert!(!page.contains("<b>"));
    assert!(page.contains("data-csrf-cookie=\"identsphere_csrf\""));
}
