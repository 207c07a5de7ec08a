//! A node whose clock is wrong, by libfaketime.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::node::{Database, Launch, Node, drill};

/// D-13, D-17: a node whose clock is wrong takes no traffic, and what reaches it nonetheless makes nothing.
#[test]
fn a_node_whose_clock_jumps_is_not_ready_and_makes_nothing_until_it_jumps_back() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::shared_postgres();
        let honest = Node::start(&database, directory.path()).await;
        let mut held = honest.client().register("ada@example.com").await.unwrap();

        let clock = directory.path().join("clock");
        fs::write(&clock, "+0").unwrap();
        let launch = Launch::new(&database, directory.path())
            .with("LD_PRELOAD", library().display())
            .with("FAKETIME_TIMESTAMP_FILE", clock.display())
            .with("FAKETIME_NO_CACHE", 1)
            .with("FAKETIME_DONT_FAKE_MONOTONIC", 1);
        let mut node = launch.start().await;
        for off in ["+10", "-10", "+3600", "-3600"] {
            fs::write(&clock, off).unwrap();
            assert_eq!(node.status("/readyz").await, Some(503), "{off} s");
            assert_eq!(node.status("/healthz").await, Some(200), "{off} s");
            assert_eq!(honest.client().session(&held.access).await, 200, "others do not suffer");
            let refuses = async |node: &Node| {
                let answer = node.client().login("nobody@example.com", None).await;
                answer.expect("an answer").is_turned_away()
            };
            let noticed = node.wait_until("careful", refuses).await;
            assert!(noticed < Duration::from_secs(8), "{off} s noticed after {noticed:?}");
            let refused = node.client().try_refresh(&held.refresh).await.expect("an answer");
            assert!(refused.is_turned_away(), "{off} s: {refused:?}");
            assert!(node.client().try_register("eve@example.com").await.expect("an answer").is_turned_away());
            held = honest.client().refresh(&held).await.expect("the refused refresh replaced nothing");
        }
        for off in ["+2", "-2"] {
            fs::write(&clock, off).unwrap();
            node.wait_until("ready", async |node: &Node| node.status("/readyz").await == Some(200)).await;
            let serves =
                async |node: &Node| node.client().try_refresh("isr_").await.expect("an answer").status == 401;
            node.wait_until("at work again", serves).await;
            let there = node.client().register(&format!("off{off}@example.com")).await.unwrap();
            assert_eq!(honest.client().session(&there.access).await, 200, "{off} s: good everywhere");
        }
        drop(node);

        // So far ahead every session is long over and every key expired.
        let keys = honest.client().get("/.well-known/jwks.json").await.unwrap().body;
        fs::write(&clock, "+800d").unwrap();
        let mut ahead = launch.spawn();
        ahead.wait_until("alive", async |node: &Node| node.status("/healthz").await == Some(200)).await;
        assert_eq!(ahead.status("/readyz").await, Some(503), "years ahead from the start");
        let refused = ahead.client().try_refresh(&held.refresh).await.expect("an answer");
        assert!(refused.is_turned_away(), "{refused:?}");
        // The upkeep begins with the server; this is longer than it takes.
        ahead.wait_until("awake for a while", async |node: &Node| node.age() > Duration::from_secs(2)).await;
        drop(ahead);
        let later = Node::start(&database, directory.path()).await;
        assert_eq!(
            later.client().get("/.well-known/jwks.json").await.unwrap().body,
            keys,
            "no key was touched"
        );
        assert_eq!(later.client().session(&held.access).await, 200, "no session was swept");
        later.client().refresh(&held).await.expect("no session was swept");
        fs::write(&clock, "-3600").unwrap();
        assert!(!launch.spawn().ended().await.success(), "an hour behind its own keys it refuses to start");
    });
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).expect("install the Debian package `libfaketime`")
}
