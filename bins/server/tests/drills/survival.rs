//! The process killed, drained, doubled; its PostgreSQL killed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use identsphere_testkit::{Durability, PostgresServer};
use serde_json::json;
use tokio::task::block_in_place;

use crate::node::{Database, Launch, Node, Tokens, drill, sized};

/// Registers people with eight clients at once; once `enough` were acknowledged, `strike` happens. Everyone whose
/// registration was acknowledged, before or after.
pub(crate) async fn register_through(
    node: &Node,
    round: u32,
    enough: usize,
    strike: impl FnOnce(),
) -> Vec<Tokens> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (http, sender) = (node.client(), sender.clone());
            tokio::spawn(async move {
                for n in 0..1_000 {
                    match http.register(&format!("r{round}.w{writer}.n{n}@example.com")).await {
                        Some(tokens) => sender.send(tokens).unwrap(),
                        None => return,
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let mut ledger = vec![];
    while ledger.len() < enough {
        ledger.push(receiver.recv().await.expect("registrations go on"));
    }
    strike();
    while let Some(tokens) = receiver.recv().await {
        ledger.push(tokens);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    ledger
}

/// Everyone in the ledger is there, whole: account, session, refresh token.
pub(crate) async fn assert_nothing_lost(node: &Node, ledger: &mut [Tokens]) {
    for tokens in ledger {
        assert_eq!(node.client().session(&tokens.access).await, 200, "{} lost the session", tokens.email);
        assert_eq!(
            node.client().register(&tokens.email).await.map(|t| t.email),
            None,
            "the account was lost"
        );
        *tokens =
            node.client().refresh(tokens).await.unwrap_or_else(|status| panic!("{}: {status}", tokens.email));
    }
}

#[test]
fn a_killed_server_on_sqlite_loses_no_acknowledged_write() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = vec![];
        for round in 0..sized(3, 20) {
            let node = Node::start(&Database::Sqlite, directory.path()).await;
            assert_nothing_lost(&node, &mut ledger).await;
            ledger.extend(register_through(&node, round, 12, || node.signal("KILL")).await);
        }
        let node = Node::start(&Database::Sqlite, directory.path()).await;
        assert_nothing_lost(&node, &mut ledger).await;
        assert!(ledger.len() >= 36);
    });
}

#[test]
fn a_killed_server_on_postgres_loses_no_acknowledged_write() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::shared_postgres();
        let mut ledger = vec![];
        for round in 0..sized(3, 20) {
            let node = Node::start(&database, directory.path()).await;
            assert_nothing_lost(&node, &mut ledger).await;
            ledger.extend(register_through(&node, round, 12, || node.signal("KILL")).await);
        }
        let node = Node::start(&database, directory.path()).await;
        assert_nothing_lost(&node, &mut ledger).await;
    });
}

/// D-01, D-02.
#[test]
fn a_killed_postgres_loses_no_acknowledged_write_and_the_server_recovers_by_itself() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let postgres = PostgresServer::start(Durability::Full);
        let database = Database::on(&postgres);
        let mut node = Node::start(&database, directory.path()).await;
        let mut ledger = vec![];
        for round in 0..sized(3, 20) {
            ledger.extend(register_through(&node, round, 12, || postgres.kill()).await);
            let (asked, status) = (Instant::now(), node.client().session(&ledger[0].access).await);
            assert_eq!(status, 503, "without its store the service refuses");
            assert!(asked.elapsed() < Duration::from_secs(5), "and does not hang");
            assert_eq!(node.status("/healthz").await, Some(200), "the process lives");
            assert_eq!(node.status("/readyz").await, Some(503));
            postgres.start_again();
            let back = Instant::now();
            node.wait_until("ready again", async |node: &Node| node.status("/readyz").await == Some(200))
                .await;
            assert!(back.elapsed() < Duration::from_secs(10));
            assert_nothing_lost(&node, &mut ledger).await;
        }
    });
}

/// D-10: what is under way is finished, and the exit is clean.
#[test]
fn a_terminated_server_finishes_what_is_under_way() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let mut node = Node::start(&Database::Sqlite, directory.path()).await;
        let registrations: Vec<_> = (0..8)
            .map(|n| {
                let client = node.client();
                tokio::spawn(async move { client.register(&format!("d{n}@example.com")).await })
            })
            .collect();
        node.wait_until("hashing", async |node: &Node| node.status("/healthz").await == Some(200)).await;
        node.signal("TERM");
        for registration in registrations {
            assert!(registration.await.unwrap().is_some(), "a request under way was cut off");
        }
        assert_eq!(node.ended().await.code(), Some(0));
    });
}

/// D-10: of a request under way only half has arrived when the server stops taking others; it gets its answer.
#[test]
fn a_server_that_takes_no_more_connections_waits_for_the_rest_of_a_request() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let launch = Launch::new(&Database::Sqlite, directory.path()).with("IDENTSPHERE_DRAIN_SECS", 0);
        let mut node = launch.start().await;
        let body = json!({ "email": "nobody@example.com", "password": "a wrong password" }).to_string();
        let (begun, rest) = body.split_at(10);
        let head = format!(
            "POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{begun}",
            body.len()
        );
        let mut connection = TcpStream::connect(node.address).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        // Somebody who comes later is answered: by then the server has begun with the first one.
        assert_eq!(node.status("/healthz").await, Some(200));
        node.signal("TERM");
        node.wait_until("deaf", async |node: &Node| TcpStream::connect(node.address).is_err()).await;
        // A slow client is given more than the second after which those that wait are first looked at.
        tokio::time::sleep(Duration::from_secs(3)).await;
        connection.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        block_in_place(|| connection.read_to_string(&mut answer)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
        assert_eq!(node.ended().await.code(), Some(0));
    });
}
