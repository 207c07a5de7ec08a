//! A panic in the middle of a request (D-34).

use identsphere_e2e::PASSWORD;
use serde_json::json;

use crate::both;
use crate::world::World;

both! { a_panic_in_a_handler_is_one_refused_request }

async fn a_panic_in_a_handler_is_one_refused_request(world: World) {
    let victim = world.victim().await;
    let caller = world.caller();
    let sign_in = json!({ "email": victim.email, "password": PASSWORD });
    let refresh = json!({ "refresh_token": victim.refresh });
    for round in 0..20 {
        world.watch.panic_once();
        let answer = match round % 4 {
            // Who is behind the session is remembered for a moment; the list is not.
            0 => caller.get("/v1/auth/sessions").bearer(&victim.access).send().await,
            1 => caller.post("/v1/auth/login").json(&sign_in).send().await,
            2 => caller.post("/v1/auth/refresh").json(&refresh).send().await,
            _ => caller.post("/v1/auth/logout").bearer(&victim.access).send().await,
        };
        answer.assert_error(500, "internal_error");
        assert!(!String::from_utf8_lossy(&answer.body).contains("a panic"), "the panic's text stays inside");
        assert!(answer.cookies().is_empty());
        world.session(&victim.access).await.assert_status(200);
    }
    caller.post("/v1/auth/login").json(&sign_in).send().await.assert_status(200);
    caller.post("/v1/auth/refresh").json(&refresh).send().await.assert_status(200);
}
