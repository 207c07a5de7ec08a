//! The service on axum with a store in memory, for recipes that want a process: prints its address and serves until its
//! standard input ends.

use std::io::Read;

use identsphere_e2e::{App, Engine, Framework, run};

fn main() {
    run(Framework::Axum, Engine::Memory, serve);
}

async fn serve(app: App) {
    println!("{}", app.origin());
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    told.await.expect("the thread that reads").expect("standard input");
}
