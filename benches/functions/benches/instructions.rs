//! Requests to be counted by valgrind, which sees what noisy clocks hide. `just bench-instructions`.
//!
//! `instructions REQUEST COUNT` answers the request so often inside [`counted`], which is what callgrind is told to look
//! at; everything around it is preparation. The hash of a sign-in runs on a thread of its own, which is not counted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a count of what failed is worth nothing")]

use std::env;

use identsphere_bench_functions::Service;
use identsphere_http::Reply;
use serde_json::Value;
use tokio::runtime::Runtime;

const SESSION: &str = "/v1/auth/session";

fn main() {
    let mut arguments = env::args().skip(1);
    let (request, count) = (arguments.next().unwrap(), arguments.next().unwrap());
    let count: u32 = count.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut service = runtime.block_on(Service::start()).unwrap();
    // The first one makes what is kept.
    for number in 0..=count {
        let reply = answer(&runtime, &mut service, &request, number > 0);
        assert_eq!(reply.status, 200, "{request}: {}", String::from_utf8_lossy(&reply.body));
    }
}

fn answer(runtime: &Runtime, service: &mut Service, request: &str, is_counted: bool) -> Reply {
    let answered =
        |question| if is_counted { counted(runtime, question) } else { runtime.block_on(question) };
    let (access_token, refresh_token) = service.tokens.clone();
    let bearer = format!("Bearer {access_token}");
    let authorization = [("authorization", bearer.as_str())];
    let refresh = format!(r#"{{"refresh_token":"{refresh_token}"}}"#);
    match request {
        "session-check" => answered(Box::pin(service.get(SESSION, &authorization))),
        "first-sight" => {
            // A new token, and a session that has changed since somebody asked who is behind it.
            let refreshed = runtime.block_on(service.post("/v1/auth/refresh", &refresh));
            service.tokens = tokens(&refreshed);
            let bearer = format!("Bearer {}", service.tokens.0);
            answered(Box::pin(service.get(SESSION, &[("authorization", bearer.as_str())])))
        }
        "refresh" => {
            let reply = answered(Box::pin(service.post("/v1/auth/refresh", &refresh)));
            service.tokens = tokens(&reply);
            reply
        }
        "login" => answered(Box::pin(service.sign_in())),
        "jwks" => answered(Box::pin(service.get("/.well-known/jwks.json", &[]))),
        "sessions" => answered(Box::pin(service.get("/v1/auth/sessions", &authorization))),
        other => panic!("no such request: {other}"),
    }
}

/// What callgrind counts.
#[inline(never)]
fn counted(runtime: &Runtime, question: std::pin::Pin<Box<dyn Future<Output = Reply> + '_>>) -> Reply {
    runtime.block_on(question)
}

fn tokens(reply: &Reply) -> (String, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let token = |name: &str| body.get(name).and_then(Value::as_str).unwrap().to_owned();
    (token("access_token"), token("refresh_token"))
}
