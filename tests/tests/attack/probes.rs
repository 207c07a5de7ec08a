//! What scanners ask every server for: nothing of it is there, and no answer says what answers.

use identsphere_e2e::raw_exchange;

use crate::both;
use crate::world::World;

both! { scanners_find_nothing }

/// `METHOD PATH`, sent as it stands.
const PROBES: &str = include_str!("probes.txt");

/// What would tell a scanner which software to attack.
const BANNERS: [&str; 8] =
    ["\r\nserver:", "\r\nx-powered-by:", "\r\nvia:", "actix", "axum", "hyper", "panick", "/src/"];

async fn scanners_find_nothing(world: World) {
    let probes: Vec<&str> = PROBES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(probes.len() >= 200, "{} probes", probes.len());
    for probe in &probes {
        let request = format!("{probe} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.address);
        let answer = raw_exchange(world.address, &request).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(["400", "404", "405"].contains(&status), "{probe}: {answer}");
        // What is no HTTP at all is refused before anybody could put it into the envelope.
        let enveloped = answer.contains("\"error\"") || probe.starts_with("HEAD") || status == "400";
        assert!(enveloped, "{probe}: {answer}");
        let answer = answer.to_lowercase();
        assert!(BANNERS.iter().all(|banner| !answer.contains(banner)), "{probe}: {answer}");
    }
    println!("{} probes found nothing", probes.len());
}
