//! Second spellings of every path in the route table reach no handler (WB-06).

use identsphere_e2e::{raw_exchange, uuid_v7};
use identsphere_http::{ENDPOINTS, Endpoint};

use crate::both;
use crate::world::World;

both! { no_path_has_a_second_spelling }

async fn no_path_has_a_second_spelling(world: World) {
    let victim = world.victim().await;
    let mut sent = 0;
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{id}", &uuid_v7());
        for spelling in spellings(&path) {
            // Nobody's handler may take it for one of ours, not even the handler of another path.
            assert!(!names_an_endpoint(&spelling), "{spelling} is a path of its own");
            for route in endpoint.routes {
                let head = format!(
                    "{} {spelling} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
                    route.method.name(),
                    world.address,
                    victim.access
                );
                let answer = raw_exchange(world.address, &head).await;
                let status = answer.get(9..12).unwrap_or_default();
                // Where a segment may vary, a spelling can be text in its place: the handler there finds nothing.
                let refused = if ENDPOINTS.iter().any(|endpoint| endpoint.matches(&spelling)) {
                    ["400", "404", "405"]
                } else {
                    ["400", "404", "414"]
                };
                let in_envelope = answer.contains("\"error\"") || answer.ends_with("\r\n\r\n");
                assert!(refused.contains(&status) && in_envelope, "{spelling}: {answer}");
                sent += 1;
            }
        }
    }
    world.session(&victim.access).await.assert_status(200);
    println!("{sent} spellings refused");
}

fn names_an_endpoint(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap();
    // A segment that varies takes any text, and its handler refuses what is no id.
    let fixed = |endpoint: &&Endpoint| !endpoint.path.contains('{');
    ENDPOINTS.iter().filter(fixed).any(|endpoint| endpoint.matches(path))
}

/// Other ways to write a path that some proxy, router or file system takes for the same.
fn spellings(path: &str) -> Vec<String> {
    let (parent, last) = path.rsplit_once('/').unwrap();
    let first = last.chars().next().unwrap();
    let encoded_last = format!("%{:02x}{}", u32::from(first), &last[first.len_utf8()..]);
    let mut upper = path.to_uppercase();
    if upper == path {
        upper.push('!');
    }
    let mut spellings = vec![
        format!("/{path}"),
        path.replace('/', "//"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/%2e{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/..;{path}"),
        format!("{parent}/./{last}"),
        format!("{parent}%2f{last}"),
        format!("{parent}%5c{last}"),
        format!("{parent}\\{last}"),
        upper,
    ];
    // The last segment of `/v1/auth/sessions/{id}` takes any text; what is done to it is still one segment.
    let takes_any = last.len() == 36;
    if !takes_any {
        spellings.extend([
            format!("{path};x=1"),
            format!("{path}%00"),
            format!("{path}%20"),
            format!("{path}."),
            format!("{path}.json"),
            format!("{path}.html"),
            format!("{path}~"),
            format!("{path}%0a"),
            format!("{path}%3f"),
            format!("{path}%23"),
            format!("{path}*"),
            format!("{parent}/{encoded_last}"),
            format!("{parent}/{last}%2f"),
        ]);
    }
    spellings.extend([
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/x/.."),
        format!("{path}/..;/{last}"),
    ]);
    spellings
}
