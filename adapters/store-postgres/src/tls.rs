//! What protects the way to the server: `sslmode` and `sslrootcert`, as libpq means them (PostgreSQL 17 documentation,
//! §32.19), over rustls.
//!
//! One thing differs: without an `sslmode` a server on this machine is spoken to in the clear, since there is no network
//! to protect. For every other server the default is libpq's `prefer`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::OpenError;

/// How well the connections to a server are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// They do not leave this machine.
    Local,
    /// Encrypted if the server offers it, or not at all: whoever is on the way may read and change everything.
    None,
    /// Encrypted for whoever answers: whoever is on the way may answer.
    Encrypted,
    /// Encrypted for a server with a certificate of a trusted authority (`verify-ca`), also for this name (`verify-full`).
    Authenticated,
}

/// What a URL asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    mode: Mode,
    /// `sslrootcert`; absent: the authorities that this machine trusts.
    authorities: Option<PathBuf>,
    local: bool,
}

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// A URL without the parameters that are understood here, and their values.
pub(crate) struct Parameters {
    pub(crate) rest: String,
    mode: Option<Mode>,
    authorities: Option<String>,
}

impl Parameters {
    /// Takes `sslmode` and `sslrootcert` out of a URL; the last of several counts, as with libpq.
    pub(crate) fn take(url: &str) -> Result<Self, OpenError> {
        let Some((address, query)) = url.split_once('?') else {
            return Ok(Self { rest: url.to_owned(), mode: None, authorities: None });
        };
        let (mut kept, mut mode, mut authorities) = (Vec::new(), None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "sslmode" => mode = Some(Mode::parse(&value)?),
                "sslrootcert" => authorities = Some(value.into_owned()),
                "sslnegotiation" => kept.push(pair),
                name if name.starts_with("ssl") => return Err(OpenError::TlsParameter(name.to_owned())),
                _ => kept.push(pair),
            }
        }
        let question_mark = if kept.is_empty() { "" } else { "?" };
        Ok(Self { rest: format!("{address}{question_mark}{}", kept.join("&")), mode, authorities })
    }

    /// What they come to for these hosts.
    pub(crate) fn for_hosts(&self, hosts: &[Host]) -> Tls {
        let local = hosts.iter().all(is_local);
        let authorities = self.authorities.as_deref();
        let mode = match self.mode {
            None if local => Mode::Disable,
            None => Mode::Prefer,
            // "For backwards compatibility" of libpq, and nothing that an operator who names authorities would not want.
            Some(Mode::Require) if authorities.is_some() => Mode::VerifyCa,
            Some(mode) => mode,
        };
        let authorities = authorities.filter(|&path| path != "system").map(PathBuf::from);
        Tls { mode, authorities, local }
    }
}

impl Mode {
    fn parse(text: &str) -> Result<Self, OpenError> {
        Ok(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(OpenError::TlsMode(text.to_owned())),
        })
    }
}

impl Tls {
    /// What protects connections of this kind.
    pub(crate) fn protection(&self) -> Protection {
        match self.mode {
            Mode::VerifyCa | Mode::VerifyFull => Protection::Authenticated,
            Mode::Disable | Mode::Prefer | Mode::Require if self.local => Protection::Local,
            Mode::Require => Protection::Encrypted,
            Mode::Disable | Mode::Prefer => Protection::None,
        }
    }

    /// The part of it that the driver decides.
    pub(crate) fn driver_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What makes connections. Reads the authorities' certificates.
    ///
    /// # Errors
    /// [`OpenError::Authorities`] when there are none, and [`OpenError::Tls`] when rustls cannot be set up.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, OpenError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authorities = match self.mode {
            Mode::Disable | Mode::Prefer | Mode::Require => None,
            Mode::VerifyCa | Mode::VerifyFull => Some(self.read_authorities()?),
        };
        let name = if self.mode == Mode::VerifyFull { Name::MustMatch } else { Name::Any };
        let verifier = Verifier { authorities, name, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(OpenError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn read_authorities(&self) -> Result<RootCertStore, OpenError> {
        let (place, certificates) = match &self.authorities {
            Some(path) => (path.display().to_string(), read_file(path)?),
            None => ("this machine's authorities".to_owned(), rustls_native_certs::load_native_certs().certs),
        };
        let mut authorities = RootCertStore::empty();
        let (taken, _) = authorities.add_parsable_certificates(certificates);
        if taken == 0 {
            return Err(OpenError::Authorities { place, source: "there is no certificate".into() });
        }
        Ok(authorities)
    }
}

fn read_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| OpenError::Authorities { place: path.display().to_string(), source: error.into() })
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Judges the server's certificate.
#[derive(Debug)]
struct Verifier {
    /// Absent: any certificate will do.
    authorities: Option<RootCertStore>,
    name: Name,
    provider: Arc<CryptoProvider>,
}

/// Whether the certificate must be for the host of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    MustMatch,
    Any,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities {
            let certificate = ParsedCertificate::try_from(certificate)?;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                authorities,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
            if self.name == Name::MustMatch {
                verify_server_name(&certificate, host)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    /// That the server holds the certificate's key is checked in every mode.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> Result<(Mode, Protection), OpenError> {
        let parameters = Parameters::take(url)?;
        let driver: tokio_postgres::Config = parameters.rest.parse().map_err(|_| OpenError::Url)?;
        let tls = parameters.for_hosts(driver.get_hosts());
        Ok((tls.mode, tls.protection()))
    }

    #[test]
    fn a_url_says_how_the_way_is_protected() {
        for (url, mode, protection) in [
            ("postgres://a@localhost/b", Mode::Disable, Protection::Local),
            ("postgres://a@127.0.0.1:1/b?connect_timeout=1", Mode::Disable, Protection::Local),
            ("postgres://a@%2Frun%2Fpostgresql/b", Mode::Disable, Protection::Local),
            ("postgres://a@[::1]/b?sslmode=require", Mode::Require, Protection::Local),
            ("postgres://a@db/b", Mode::Prefer, Protection::None),
            ("postgres://a@localhost,db/b", Mode::Prefer, Protection::None),
            ("postgres://a@db/b?sslmode=disable", Mode::Disable, Protection::None),
            ("postgres://a@db/b?sslmode=require&application_name=x", Mode::Require, Protection::Encrypted),
            (
                "postgres://a@db/b?sslmode=require&sslrootcert=ca.pem",
                Mode::VerifyCa,
                Protection::Authenticated,
            ),
            ("postgres://a@db/b?sslmode=verify-ca", Mode::VerifyCa, Protection::Authenticated),
            (
                "postgres://a@db/b?sslrootcert=system&sslmode=verify-full",
                Mode::VerifyFull,
                Protection::Authenticated,
            ),
        ] {
            assert_eq!(asked(url).unwrap(), (mode, protection), "{url}");
        }
    }

    #[test]
    fn only_what_is_understood_is_taken_out_of_a_url() {
        let url = "postgres://a@db/b?sslmode=verify-ca&options=-c%20a%3Db&sslrootcert=%2Fetc%2Fmy%20ca.pem&sslnegotiation=direct";
        let parameters = Parameters::take(url).unwrap();
        assert_eq!(parameters.rest, "postgres://a@db/b?options=-c%20a%3Db&sslnegotiation=direct");
        assert_eq!(parameters.authorities.as_deref(), Some("/etc/my ca.pem"));
        assert_eq!(Parameters::take("postgres://a@db/b?sslmode=disable").unwrap().rest, "postgres://a@db/b");
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let allow = asked("postgres://a@db/b?sslmode=allow").unwrap_err();
        assert!(allow.to_string().contains("not `allow`"), "{allow}");
        let key = asked("postgres://a@db/b?sslkey=secret").unwrap_err().to_string();
        assert!(key.contains("`sslkey`") && !key.contains("secret"), "{key}");
    }

    #[test]
    fn authorities_that_are_not_there_are_named() {
        let directory = std::env::temp_dir();
        let nowhere = directory.join("no-such-authority.pem");
        let url = format!("postgres://a@db/b?sslmode=verify-full&sslrootcert={}", nowhere.display());
        let tls = Parameters::take(&url).unwrap().for_hosts(&[Host::Tcp("db".to_owned())]);
        let error = tls.connector().err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("no-such-authority.pem"), "{error}");
    }
}
