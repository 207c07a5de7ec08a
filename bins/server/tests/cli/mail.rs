//! Mail over encrypted connections, to servers that can be trusted and to others.

use identsphere_testkit::{Authority, Encryption, SmtpSink};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::machine::Machine;

#[test]
fn mail_goes_out_over_both_kinds_of_encryption() {
    for encryption in [Encryption::Implicit, Encryption::StartTls] {
        let scene = Scene::new();
        let sink = scene.sink(encryption, &scene.trusted, "localhost");
        let machine = scene.machine_that_sends_by(encryption, &sink);
        let doctor = machine.run(&["doctor"]);
        assert!(doctor.out.contains("greets"), "{encryption:?}\n{}", doctor.out);
        let server = machine.serve(&[]);
        let account = json!({ "email": "ada@example.com", "password": "correct horse battery", "organization_name": "Ada" });
        let answer = server.post("/v1/auth/register", &account);
        assert_eq!(answer.0, 201, "{}", answer.1);
        let mails = scene.runtime.block_on(sink.wait_for(1));
        assert_eq!(mails[0].to, ["ada@example.com"], "{encryption:?}");
        assert!(sink.commands().iter().any(|line| line.starts_with("AUTH PLAIN")), "{encryption:?}");
    }
}

#[test]
fn a_server_that_cannot_be_trusted_is_told_nothing() {
    let scene = Scene::new();
    let stranger = Authority::new("stranger");
    for encryption in [Encryption::Implicit, Encryption::StartTls] {
        for (authority, host) in [(&stranger, "localhost"), (&scene.trusted, "elsewhere.example")] {
            let sink = scene.sink(encryption, authority, host);
            let doctor = scene.machine_that_sends_by(encryption, &sink).run(&["doctor"]);
            assert_eq!(doctor.code, 1, "{}", doctor.out);
            assert!(doctor.out.contains("certificate"), "{encryption:?}\n{}", doctor.out);
            let said = sink.commands();
            assert!(!said.iter().any(|line| line.contains("AUTH") || line.contains("MAIL")), "{said:?}");
        }
    }
}

struct Scene {
    runtime: Runtime,
    folder: TempDir,
    trusted: Authority,
}

impl Scene {
    fn new() -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let trusted = Authority::new("trusted");
        trusted.publish(folder.path());
        Self { runtime, folder, trusted }
    }

    /// A mail server that this authority vouches for, under this name.
    fn sink(&self, encryption: Encryption, authority: &Authority, host: &str) -> SmtpSink {
        self.runtime.block_on(SmtpSink::start_with_tls(encryption, &authority.certify(host)))
    }

    fn machine_that_sends_by(&self, encryption: Encryption, sink: &SmtpSink) -> Machine {
        let port = sink.address().port();
        let url = match encryption {
            Encryption::Implicit => format!("smtps://ada:hunter2@localhost:{port}"),
            Encryption::StartTls => format!("smtp://ada:hunter2@localhost:{port}?tls=required"),
        };
        Machine::new()
            .env("IDENTSPHERE_SMTP_URL", &url)
            .env("IDENTSPHERE_FROM_EMAIL", "id@example.org")
            .env("SSL_CERT_FILE", self.folder.path().join("authority.pem").to_str().unwrap())
    }
}
