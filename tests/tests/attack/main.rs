//! Attacks: what strangers and hostile pages try, on both frameworks, over real HTTP.
//!
//! Every refusal is exact (status and code), and what must not happen besides is looked for: a call of the store, an
//! outbound connection, a 5xx, an answer that another client gets. `docs/security.md` says what each part promises.

mod bombs;
mod browsers;
mod faults;
mod forge;
mod forged;
mod paths;
mod probes;
mod smuggling;
mod world;

/// Runs each scenario on both frameworks: one test each.
#[macro_export]
macro_rules! both {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn actix() {
                $crate::run(identsphere_e2e::Framework::Actix, super::$scenario);
            }

            #[test]
            fn axum() {
                $crate::run(identsphere_e2e::Framework::Axum, super::$scenario);
            }
        }
    )+};
}

fn run<S: Future<Output = ()>>(
    framework: identsphere_e2e::Framework,
    scenario: impl FnOnce(world::World) -> S,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = world::World::start(framework).await;
        scenario(world).await;
    });
}
