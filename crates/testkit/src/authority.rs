//! A certificate authority that exists for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its private key, both as PEM.
pub struct ServerIdentity {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

#[expect(clippy::unwrap_used, reason = "what goes in is fixed, so that nothing can go wrong")]
impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A new certificate for the server of this name.
    pub fn certify(&self, host: &str) -> ServerIdentity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        ServerIdentity { certificate, key: key.serialize_pem() }
    }

    /// Writes the authority's own certificate (PEM) into a folder; where it is then.
    pub fn publish(&self, folder: &Path) -> PathBuf {
        let path = folder.join("authority.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }
}

#[expect(clippy::unwrap_used, reason = "what goes in was made by an authority of these tests")]
impl ServerIdentity {
    /// What a server that shows it is set up with.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}
