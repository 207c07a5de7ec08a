//! How often somebody may try, and what is no code at all (MF-03, MF-04).

use std::iter;

use identsphere_e2e::{Answer, App, Authenticator, PERIOD, matrix};
use identsphere_kernel::Duration;
use serde_json::{Value, json};

use crate::{challenge, post_as, recover, status, statuses, verify};

matrix! {
    what_is_no_code_is_refused_and_counted,
    what_is_no_code_confirms_nothing_and_is_counted,
    a_sign_in_that_waits_is_locked_after_five_misses,
    parallel_sign_ins_share_the_attempts_of_their_user,
    all_endpoints_share_the_attempts_of_a_user,
    a_code_that_is_right_gives_its_attempt_back,
    the_attempts_of_one_user_are_not_those_of_another,
}

const HOUR: Duration = Duration::from_secs(3_600);

fn is_told_to_wait(answer: &Answer, at_most: u64) {
    answer.assert_error(429, "rate_limited");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=at_most).contains(&wait), "{wait}");
}

/// Spellings of a right code that somebody may take for it, and other things.
fn malformed(code: &str) -> Vec<String> {
    let in_digits_from = |zero: char| -> String {
        let digit = |c: char| char::from_u32(u32::from(zero) + c.to_digit(10).unwrap()).unwrap();
        code.chars().map(digit).collect()
    };
    let (head, tail) = code.split_at(3);
    vec![
        String::new(),
        code[..5].to_owned(),
        format!("{code}0"),
        format!("0{code}"),
        format!(" {code}"),
        format!("{code} "),
        format!("{head} {tail}"),
        format!("{head}-{tail}"),
        format!("{code}\n"),
        format!("\t{code}"),
        format!("{code}\0"),
        format!("+{}", &code[1..]),
        format!("-{}", &code[1..]),
        format!("{}.0", &code[..4]),
        format!("0x{}", &code[..4]),
        format!("{head}\u{200b}{tail}"),
        in_digits_from('\u{ff10}'),
        in_digits_from('\u{0660}'),
        in_digits_from('\u{0966}'),
        in_digits_from('\u{1d7ce}'),
        code.replace(|c: char| c.is_ascii_digit(), "a"),
        code.repeat(10_000),
    ]
}

/// MF-03.
async fn what_is_no_code_is_refused_and_counted(app: App) {
    let person = app.enrolled().await;
    let code = person.authenticator.next_code(&app);
    for five in malformed(&code).chunks(5) {
        app.clock.advance(HOUR);
        let mut browser = app.caller();
        person.sign_in(&app, &mut browser).await;
        let token = person.mfa_token(&app).await;
        for text in five {
            let refused = challenge(&app, &token, text).await;
            let error = refused.assert_error(400, "invalid_input").json();
            assert_eq!(error["error"]["fields"][0]["field"], "code", "{text:?}");
            verify(&browser, text).await.assert_error(400, "invalid_input");
        }
        if five.len() == 5 {
            let right = person.authenticator.next_code(&app);
            is_told_to_wait(&challenge(&app, &token, &right).await, 300);
            is_told_to_wait(&verify(&browser, &right).await, 3_600);
        }
    }
    app.clock.advance(HOUR);
    let token = person.mfa_token(&app).await;
    for of_no_type in [json!(123_456), json!(null), json!(true), json!([code]), json!({ "code": code })] {
        let request = json!({ "mfa_token": token, "code": of_no_type });
        let answer = app.caller().post("/v1/auth/mfa/challenge").json(&request).send().await;
        answer.assert_error(400, "invalid_input");
    }
    challenge(&app, &token, &person.authenticator.code(&app)).await.assert_status(200);
}

/// MF-03, before there is a second factor.
async fn what_is_no_code_confirms_nothing_and_is_counted(app: App) {
    let (_, browser) = app.sign_up().await;
    let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await.json();
    let authenticator = Authenticator::with(setup["secret"].as_str().unwrap());
    let enable = async |code: &str| post_as(&browser, "/v1/auth/mfa/enable", json!({ "code": code })).await;
    for text in malformed(&authenticator.code(&app)).iter().rev().take(10) {
        enable(text).await.assert_error(400, "invalid_input");
    }
    is_told_to_wait(&enable(&authenticator.code(&app)).await, 3_600);
    assert_eq!(status(&browser).await, json!({ "enabled": false, "recovery_codes_left": 0 }));
}

async fn a_sign_in_that_waits_is_locked_after_five_misses(app: App) {
    let person = app.enrolled().await;
    let token = person.mfa_token(&app).await;
    let wrong = person.authenticator.wrong_code(&app);
    for _ in 0..5 {
        challenge(&app, &token, &wrong).await.assert_error(401, "authentication_required");
    }
    let right = person.authenticator.next_code(&app);
    is_told_to_wait(&challenge(&app, &token, &right).await, 300 - PERIOD.as_secs());
    is_told_to_wait(&recover(&app, &token, &person.recovery_codes[0]).await, 300);
    assert_eq!(status(&person.browser).await["recovery_codes_left"], 10);
    challenge(&app, &person.mfa_token(&app).await, &right).await.assert_status(200);

    app.clock.advance(Duration::from_secs(300));
    challenge(&app, &token, &right).await.assert_error(401, "authentication_required");
}

async fn parallel_sign_ins_share_the_attempts_of_their_user(app: App) {
    let node = app.another_node().await;
    let person = app.enrolled().await;
    let wrong = person.authenticator.wrong_code(&app);
    let mut tokens = vec![];
    for _ in 0..40 {
        tokens.push(person.mfa_token(&app).await);
    }
    let at = [&app, &node].into_iter().cycle();
    let race = tokens.iter().zip(at).map(|(token, at)| challenge(at, token, &wrong));
    let answers = futures::future::join_all(race).await;
    assert_eq!(statuses(&answers), [(401, 10), (429, 30)].into());
    let right = person.authenticator.next_code(&app);
    is_told_to_wait(&challenge(&app, &person.mfa_token(&app).await, &right).await, 3_600);

    app.clock.advance(HOUR / 10);
    person.sign_in(&app, &mut app.caller()).await;
}

async fn all_endpoints_share_the_attempts_of_a_user(app: App) {
    let (_, browser) = app.sign_up().await;
    let setup = browser.post("/v1/auth/mfa/setup").csrf().send().await.json();
    let authenticator = Authenticator::with(setup["secret"].as_str().unwrap());
    let enable = async |code: &str| post_as(&browser, "/v1/auth/mfa/enable", json!({ "code": code })).await;
    for _ in 0..10 {
        enable(&authenticator.wrong_code(&app)).await.assert_error(401, "authentication_required");
    }
    is_told_to_wait(&enable(&authenticator.code(&app)).await, 3_600);

    let person = app.enrolled().await;
    let wrong = person.authenticator.wrong_code(&app);
    let right = person.authenticator.next_code(&app);
    let (one, two) = (person.mfa_token(&app).await, person.mfa_token(&app).await);
    for _ in 0..3 {
        challenge(&app, &one, &wrong).await.assert_error(401, "authentication_required");
        verify(&person.browser, &wrong).await.assert_error(401, "authentication_required");
        recover(&app, &two, "0000-0000-0000-0000").await.assert_error(401, "authentication_required");
    }
    verify(&person.browser, "12345").await.assert_error(400, "invalid_input");
    is_told_to_wait(&verify(&person.browser, &right).await, 3_600);
    is_told_to_wait(&challenge(&app, &one, &right).await, 3_600);
    is_told_to_wait(&recover(&app, &two, &person.recovery_codes[0]).await, 3_600);
    app.clock.advance(HOUR / 10);
    verify(&person.browser, &person.authenticator.code(&app)).await.assert_status(200);
}

async fn a_code_that_is_right_gives_its_attempt_back(app: App) {
    let person = app.enrolled().await;
    for _ in 0..6 {
        verify(&person.browser, &person.authenticator.next_code(&app)).await.assert_status(200);
        person.sign_in(&app, &mut app.caller()).await;
    }
    let (spent, rest) = person.recovery_codes.split_at(6);
    for code in spent {
        recover(&app, &person.mfa_token(&app).await, code).await.assert_status(200);
    }
    assert_eq!(status(&person.browser).await["recovery_codes_left"], rest.len());
    let wrong = person.authenticator.wrong_code(&app);
    let misses: Vec<Answer> =
        futures::future::join_all(iter::repeat_with(|| verify(&person.browser, &wrong)).take(10)).await;
    assert_eq!(statuses(&misses), [(401, 10)].into());
}

async fn the_attempts_of_one_user_are_not_those_of_another(app: App) {
    let (person, other) = (app.enrolled().await, app.enrolled().await);
    let wrong = person.authenticator.wrong_code(&app);
    for _ in 0..10 {
        verify(&person.browser, &wrong).await.assert_error(401, "authentication_required");
    }
    is_told_to_wait(&verify(&person.browser, &wrong).await, 3_600);
    other.sign_in(&app, &mut app.caller()).await;
    let cross: Value =
        json!({ "mfa_token": other.mfa_token(&app).await, "code": person.authenticator.code(&app) });
    let answer = app.caller().post("/v1/auth/mfa/challenge").json(&cross).send().await;
    answer.assert_error(401, "authentication_required");
}
