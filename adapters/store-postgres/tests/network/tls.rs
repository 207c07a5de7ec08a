//! The way to the server, encrypted and not, before servers that are who they should be and servers that are not.

use identsphere_core::Schema;
use identsphere_kernel::SecretString;
use identsphere_store_postgres::{PgConfig, PgStore, Protection};
use identsphere_testkit::{Authority, Durability, PostgresServer};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::config;

/// From asking nothing of the server to asking for its name and an authority that vouches for it.
const MODES: [&str; 4] = ["prefer", "require", "verify-ca", "verify-full"];

#[tokio::test]
async fn each_mode_asks_as_much_of_the_server_as_it_should() {
    let scene = Scene::new();
    for (name, authority, accepted) in [
        ("localhost", "ours", [true, true, true, true]),
        ("elsewhere.example", "ours", [true, true, true, false]),
        ("localhost", "another", [true, true, false, false]),
    ] {
        scene.present(name, authority);
        for (mode, accepted) in MODES.into_iter().zip(accepted) {
            let said = scene.ping(mode).await;
            assert_eq!(said.is_ok(), accepted, "{name} by {authority}, {mode}: {said:?}");
        }
    }
    // What the server is not trusted with is said, so that an operator can tell a wrong name from a wrong authority.
    scene.present("elsewhere.example", "ours");
    let wrong_name = scene.ping("verify-full").await.unwrap_err();
    assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
    scene.present("localhost", "another");
    let wrong_authority = scene.ping("verify-full").await.unwrap_err();
    assert!(wrong_authority.contains("UnknownIssuer"), "{wrong_authority}");
}

#[tokio::test]
async fn what_is_asked_for_is_encrypted() {
    let scene = Scene::new();
    scene.present("localhost", "ours");
    for (mode, encrypted) in [("disable", false), ("prefer", true), ("require", true), ("verify-full", true)]
    {
        let mut config = scene.config(mode);
        config.url = SecretString::new(format!("{}&application_name={mode}", config.url.expose()));
        let store = PgStore::open(&config).unwrap();
        store.ping().await.unwrap();
        assert_eq!(scene.encryption_of(mode).await, [encrypted], "{mode}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_left_alone_by_all_who_demand_it() {
    let scene = Scene::new();
    for (mode, accepted) in [
        ("disable", true),
        ("prefer", true),
        ("require", false),
        ("verify-ca", false),
        ("verify-full", false),
    ] {
        assert_eq!(scene.ping(mode).await.is_ok(), accepted, "{mode}");
    }
}

/// SCRAM with channel binding (RFC 5929 §4): the password's proof is good for this connection alone.
#[tokio::test]
async fn a_password_can_be_bound_to_the_encrypted_connection() {
    let scene = Scene::new();
    scene.present("localhost", "ours");
    scene.server.run_sql(&[
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE visitor LOGIN PASSWORD 'a password of a visitor'",
        "COPY (SELECT 'host all identsphere 127.0.0.1/32 trust' UNION ALL SELECT 'hostssl all visitor all scram-sha-256') \
         TO PROGRAM 'cat > pg_hba.conf'",
    ]);
    scene.server.stop();
    scene.server.start_again();
    for (binding, mode, accepted) in [("require", "verify-full", true), ("prefer", "disable", false)] {
        let url = format!(
            "postgres://visitor:a%20password%20of%20a%20visitor@localhost:{}/postgres?sslmode={mode}&sslrootcert={}\
             &channel_binding={binding}",
            scene.server.port(),
            scene.authority_file(),
        );
        let said = PgStore::open(&config(url)).unwrap().ping().await;
        assert_eq!(said.is_ok(), accepted, "{mode}: {said:?}");
    }
}

#[tokio::test]
async fn tables_are_made_over_an_encrypted_connection_too() {
    let scene = Scene::new();
    scene.present("localhost", "ours");
    let config = scene.config("verify-full");
    assert_eq!(config.protection().unwrap(), Protection::Authenticated);
    PgStore::open(&config).unwrap().migrate_up().await.unwrap();
}

/// A server, and the authority whose certificates are trusted.
struct Scene {
    server: PostgresServer,
    directory: TempDir,
    ours: Authority,
    another: Authority,
}

impl Scene {
    fn new() -> Self {
        let server = PostgresServer::start(Durability::Relaxed);
        let directory = TempDir::new().unwrap();
        let (ours, another) = (Authority::new("ours"), Authority::new("another"));
        ours.publish(directory.path());
        Self { server, directory, ours, another }
    }

    /// Gives the server a certificate of this name.
    fn present(&self, name: &str, authority: &str) {
        let issuer = if authority == "ours" { &self.ours } else { &self.another };
        self.server.speak_tls(&issuer.certify(name));
    }

    fn authority_file(&self) -> String {
        self.directory.path().join("authority.pem").display().to_string()
    }

    fn config(&self, mode: &str) -> PgConfig {
        // `require` with authorities is `verify-ca`.
        let authorities = match mode {
            "verify-ca" | "verify-full" => format!("&sslrootcert={}", self.authority_file()),
            _ => String::new(),
        };
        config(format!(
            "postgres://identsphere@localhost:{}/postgres?sslmode={mode}{authorities}",
            self.server.port()
        ))
    }

    /// What a store hears from the server, with all causes.
    async fn ping(&self, mode: &str) -> Result<(), String> {
        let said = PgStore::open(&self.config(mode)).unwrap().ping().await;
        said.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// Of each connection of this application, whether it is encrypted.
    async fn encryption_of(&self, application: &str) -> Vec<bool> {
        let (client, connection) = tokio_postgres::connect(&self.server.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let asked =
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
        client.query(asked, &[&application]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}
