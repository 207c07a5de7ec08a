//! SQLite with many writers and sudden deaths; disks that run full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use identsphere_testkit::{Durability, PostgresServer};

use crate::load::sign_up;
use crate::node::{Client, Database, Launch, Node, Tokens, drill, figure, sized};
use crate::survival::assert_nothing_lost;

/// A small disk, gone when this is dropped.
struct SmallDisk {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl SmallDisk {
    fn new(mib: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::create_dir(&path).unwrap();
        as_root(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o"])
                .arg(format!("size={mib}m,mode=777"))
                .args(["drill"])
                .arg(&path),
        );
        Self { path, _directory: directory }
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = File::create(self.path.join("ballast")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(Command::new("umount").arg("--lazy").arg(&self.path));
    }
}

/// Runs a command as root, through sudo when we are somebody else.
fn as_root(command: &Command) {
    let mut line = Command::new("sudo");
    line.arg("-n").arg(command.get_program()).args(command.get_args());
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        line = Command::new(command.get_program());
        line.args(command.get_args());
    }
    assert!(line.status().unwrap().success(), "{line:?}");
}

fn assert_sound(database: &Path) {
    let output = Command::new("sqlite3").arg(database).arg("PRAGMA integrity_check").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok");
}

/// D-28.
#[test]
fn fifty_writers_on_sqlite_and_a_kill_in_their_midst_leave_a_sound_file_with_everything_acknowledged() {
    drill(async {
        let directory = tempfile::tempdir().unwrap();
        // The restart of a node may take a busy machine longer than the usual grace, and some answers were lost.
        let launch =
            Launch::new(&Database::Sqlite, directory.path()).with("IDENTSPHERE_REFRESH_GRACE_SECS", 60);
        let rounds = sized(3, 100);
        let mut ledger = vec![];
        for round in 0..rounds {
            let node = launch.start().await;
            if round == 0 {
                ledger = sign_up(&node.client(), "writer", 50).await;
            }
            assert_nothing_lost(&node, &mut ledger).await;
            let (sender, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
            let writers = ledger.drain(..).map(|held| {
                let (client, sender) = (node.client(), sender.clone());
                tokio::spawn(write(client, held, sender))
            });
            let writers: Vec<_> = writers.collect();
            for _ in 0..200 {
                acknowledged.recv().await.unwrap();
            }
            node.signal("KILL");
            for writer in writers {
                ledger.push(writer.await.unwrap());
            }
            drop(node);
            assert_sound(&directory.path().join("identsphere.db"));
        }
        figure("D-28", "kills amid 50 writers, `integrity_check` ok and nothing lost", rounds);
    });
}

/// Refreshes until the service is gone; the newest tokens that were acknowledged.
async fn write(client: Client, mut held: Tokens, done: tokio::sync::mpsc::UnboundedSender<()>) -> Tokens {
    while let Some(answer) = client.try_refresh(&held.refresh).await {
        assert!(answer.status == 200 || answer.is_turned_away(), "{answer:?}");
        if answer.status == 200 {
            held = crate::node::tokens(&held.email, &answer.body);
            let _ = done.send(());
        }
    }
    held
}

/// D-27.
#[test]
fn on_a_full_disk_sqlite_refuses_writes_serves_reads_and_recovers() {
    drill(async {
        let disk = SmallDisk::new(8);
        let node = Node::start(&Database::Sqlite, &disk.path).await;
        let ledger = full_disk(&node, &disk).await;
        assert_sound(&disk.path.join("identsphere.db"));
        figure("D-27", "SQLite: writes acknowledged around a full disk, none lost", ledger);
    });
}

/// D-27. The write-ahead log is on another disk: without room for that PostgreSQL itself goes down, which is D-01.
#[test]
fn on_a_full_disk_postgres_refuses_writes_serves_reads_and_recovers() {
    drill(async {
        let disk = SmallDisk::new(8);
        let postgres = PostgresServer::start(Durability::Full);
        let space = disk.path.join("space");
        fs::create_dir(&space).unwrap();
        as_root(Command::new("chown").arg("--reference").arg(postgres.directory()).arg(&space));
        let create = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
        postgres.run_sql(&[&create, "ALTER ROLE identsphere SET default_tablespace = small"]);
        let directory = tempfile::tempdir().unwrap();
        let node = Node::start(&Database::on(&postgres), directory.path()).await;
        let ledger = full_disk(&node, &disk).await;
        drop(node);
        drop(postgres);
        figure("D-27", "PostgreSQL: writes acknowledged around a full disk, none lost", ledger);
    });
}

/// Registers people until the disk is full, makes room, registers more; how many were acknowledged.
async fn full_disk(node: &Node, disk: &SmallDisk) -> usize {
    let client = node.client();
    let mut ledger = sign_up(&client, "before", 3).await;
    disk.fill();
    let mut refused = 0;
    for n in 0..500 {
        let email = format!("during.{n}@example.com");
        let answer = client.try_register(&email).await.expect("an answer");
        if answer.status == 201 {
            // There was room left in pages that the file had already.
            ledger.push(crate::node::tokens(&email, &answer.body));
            continue;
        }
        assert!(answer.is_turned_away(), "{answer:?}");
        refused += 1;
        assert_eq!(client.session(&ledger[0].access).await, 200, "reads go on");
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk never ran full");
    assert_eq!(node.status("/healthz").await, Some(200));
    disk.make_room();
    ledger.extend(sign_up(&client, "after", 3).await);
    assert_nothing_lost(node, &mut ledger).await;
    ledger.len()
}
