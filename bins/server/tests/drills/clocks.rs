//! A node whose clock is wrong, by libfaketime.

use std::fs;
use std::path::PathBuf;

use crate::node::{Database, Launch, Node, drill};

/// D-13, D-17.
#[test]
fn a_node_whose_clock_jumps_is_not_ready_until_it_jumps_back() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::shared_postgres();
        let honest = Node::start(&database, directory.path()).await;
        let held = honest.client().register("ada@example.com").await.unwrap();

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
        }
        for off in ["+2", "-2"] {
            fs::write(&clock, off).unwrap();
            node.wait_until("ready", async |node: &Node| node.status("/readyz").await == Some(200)).await;
            let there = node.client().register(&format!("off{off}@example.com")).await.unwrap();
            assert_eq!(honest.client().session(&there.access).await, 200, "{off} s: good everywhere");
        }
        drop(node);

        fs::write(&clock, "+3600").unwrap();
        let mut ahead = launch.spawn();
        ahead.wait_until("alive", async |node: &Node| node.status("/healthz").await == Some(200)).await;
        assert_eq!(ahead.status("/readyz").await, Some(503), "an hour ahead from the start");
        drop(ahead);
        fs::write(&clock, "-3600").unwrap();
        assert!(!launch.spawn().ended().await.success(), "an hour behind its own keys it refuses to start");
    });
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).expect("install the Debian package `libfaketime`")
}
