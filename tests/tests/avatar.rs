//! Pictures of users: what is taken, what becomes of it, and how it is served. On every framework and store.

use std::io::Cursor;

use identsphere_e2e::{Answer, App, Caller, matrix};
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;

matrix! {
    a_picture_is_shown_to_everybody,
    another_picture_takes_the_place_of_the_first,
    a_picture_can_be_taken_away,
    what_is_no_picture_is_refused_and_nothing_is_kept,
    what_is_too_large_is_refused_and_nothing_is_kept,
    forms_with_anything_else_are_refused,
    a_picture_needs_the_csrf_header_and_a_session,
    names_of_no_picture_are_unknown,
}

const AVATAR: &str = "/v1/users/me/avatar";

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    let mut bytes = Cursor::new(vec![]);
    DynamicImage::from(pixels).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--BOUNDARY\r\nContent-Disposition: {disposition}\r\nContent-Type: image/png\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--BOUNDARY--\r\n".to_vec()].concat()
}

async fn send(browser: &Caller, body: Vec<u8>) -> Answer {
    browser.post(AVATAR).csrf().body("multipart/form-data; boundary=BOUNDARY", body).send().await
}

async fn upload(browser: &Caller, content: &[u8]) -> Answer {
    send(browser, form(&[part("form-data; name=\"avatar\"; filename=\"me.png\"", content)])).await
}

async fn shown(browser: &Caller) -> Value {
    browser.get("/v1/users/me").send().await.assert_status(200).json()["avatar_url"].clone()
}

fn path(app: &App, answer: &Answer) -> String {
    let url = answer.assert_status(200).json()["avatar_url"].as_str().unwrap().to_owned();
    url.strip_prefix(&app.origin()).unwrap().to_owned()
}

async fn a_picture_is_shown_to_everybody(app: App) {
    let (_, browser) = app.sign_up().await;
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let uploaded = upload(&browser, &picture(1_000, 500, format)).await;
        let path = path(&app, &uploaded);
        assert_eq!(shown(&browser).await, uploaded.json()["avatar_url"]);
        let answer = app.caller().get(&path).send().await;
        answer.assert_status(200);
        let made = image::load_from_memory(&answer.body).unwrap();
        assert_eq!((made.width(), made.height()), (512, 256), "{format:?}");
        for (field, value) in [
            ("content-type", "image/jpeg"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("content-disposition", "inline"),
            ("cache-control", "public, max-age=86400, immutable"),
        ] {
            assert_eq!(answer.header(field), Some(value));
        }
        let known = answer.header("etag").unwrap();
        app.caller().get(&path).header("if-none-match", known).send().await.assert_status(304);
    }
}

async fn another_picture_takes_the_place_of_the_first(app: App) {
    let (_, browser) = app.sign_up().await;
    let first = path(&app, &upload(&browser, &picture(10, 10, ImageFormat::Png)).await);
    let second =
        send(&browser, form(&[part("form-data; name=\"file\"", &picture(20, 20, ImageFormat::Png))])).await;
    let second = path(&app, &second);
    assert_ne!(first, second);
    app.caller().get(&first).send().await.assert_error(404, "not_found");
    app.caller().get(&second).send().await.assert_status(200);
}

async fn a_picture_can_be_taken_away(app: App) {
    let (_, browser) = app.sign_up().await;
    let path = path(&app, &upload(&browser, &picture(10, 10, ImageFormat::Png)).await);
    for _ in 0..2 {
        browser.delete(AVATAR).csrf().send().await.assert_status(204);
        assert_eq!(shown(&browser).await, Value::Null);
        app.caller().get(&path).send().await.assert_error(404, "not_found");
    }
}

async fn what_is_no_picture_is_refused_and_nothing_is_kept(app: App) {
    let (_, browser) = app.sign_up().await;
    let mut bomb = picture(1, 1, ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut cut = picture(300, 300, ImageFormat::Png);
    cut.truncate(100);
    for content in [
        &b""[..],
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        b"GIF89a<script>",
        &bomb,
        &cut,
        &picture(5_000, 1, ImageFormat::Png),
    ] {
        upload(&browser, content).await.assert_error(400, "invalid_input");
    }
    assert_eq!(shown(&browser).await, Value::Null);
}

async fn what_is_too_large_is_refused_and_nothing_is_kept(app: App) {
    let (_, browser) = app.sign_up().await;
    let mut large = picture(100, 100, ImageFormat::Png);
    for size in [5 * 1_024 * 1_024 + 1, 20_000_000] {
        large.resize(size, 0);
        upload(&browser, &large).await.assert_error(413, "payload_too_large");
    }
    assert_eq!(shown(&browser).await, Value::Null);
}

async fn forms_with_anything_else_are_refused(app: App) {
    let (_, browser) = app.sign_up().await;
    let good = part("form-data; name=\"avatar\"", &picture(10, 10, ImageFormat::Png));
    for body in [
        vec![],
        b"nonsense".to_vec(),
        form(&[]),
        good.clone(),
        form(&[good.clone(), good.clone()]),
        form(&[part("form-data; name=\"picture\"", &picture(10, 10, ImageFormat::Png))]),
        form(&[part("form-data; name=\"role\"", b"owner"), good.clone()]),
        form(&[part("form-data; filename=\"avatar\"", &picture(10, 10, ImageFormat::Png))]),
    ] {
        send(&browser, body).await.assert_error(400, "invalid_input");
    }
    for kind in ["image/png", "application/json", "multipart/form-data"] {
        let request = browser.post(AVATAR).csrf().body(kind, form(std::slice::from_ref(&good)));
        request.send().await.assert_error(415, "unsupported_media_type");
    }
    assert_eq!(shown(&browser).await, Value::Null);
}

async fn a_picture_needs_the_csrf_header_and_a_session(app: App) {
    let (_, browser) = app.sign_up().await;
    let body = form(&[part("form-data; name=\"avatar\"", &picture(10, 10, ImageFormat::Png))]);
    let kind = "multipart/form-data; boundary=BOUNDARY";
    browser.post(AVATAR).body(kind, body.clone()).send().await.assert_error(403, "csrf_failed");
    app.caller().post(AVATAR).body(kind, body).send().await.assert_error(401, "authentication_required");
    assert_eq!(shown(&browser).await, Value::Null);
}

async fn names_of_no_picture_are_unknown(app: App) {
    for name in ["00000000000000000000000000000000.png", "x", "..%2f..%2fetc%2fpasswd", "%00", "a.svg"] {
        let answer = app.caller().get(&format!("/v1/avatars/{name}")).send().await;
        assert!(matches!(answer.status, 400 | 404), "{name}: {}", answer.status);
    }
}
