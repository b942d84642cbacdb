//! TLS: the certificate that clients are shown, which can be replaced while connections stay open.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::settings::Tls;

/// Why the server has no certificate to show. The text is one line for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {path:?}: {problem}")]
pub struct CertificateError {
    key: &'static str,
    path: PathBuf,
    problem: Box<CertificateProblem>,
}

/// What is wrong with one of the two files.
#[derive(Debug, thiserror::Error)]
enum CertificateProblem {
    #[error(transparent)]
    Pem(#[from] pem::Error),
    #[error("there is no certificate in it; it must be PEM")]
    NoCertificate,
    #[error("not a key for {}: {error}", cert.display())]
    NotItsKey { cert: PathBuf, error: rustls::Error },
}

impl CertificateError {
    fn new(key: &'static str, path: &Path, problem: CertificateProblem) -> Self {
        Self { key, path: path.to_owned(), problem: Box::new(problem) }
    }
}

/// The certificate that new connections are shown.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files that the settings name. Returns nothing where they name none.
    ///
    /// # Errors
    /// When a file cannot be read or is not PEM, or the key does not belong to the certificate.
    pub fn load(tls: &Tls) -> Result<Option<Arc<Self>>, CertificateError> {
        if tls.cert.is_empty() {
            return Ok(None);
        }
        let (cert, key) = (PathBuf::from(&tls.cert), PathBuf::from(&tls.key));
        let shown = RwLock::new(read(&cert, &key)?);
        Ok(Some(Arc::new(Self { cert, key, shown })))
    }

    /// Reads the files again. Open connections are not affected.
    ///
    /// # Errors
    /// Under the conditions of [`Certificate::load`]. The old certificate is then still shown.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let fresh = read(&self.cert, &self.key)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Returns a configuration for TLS 1.2 and 1.3 with this certificate.
    ///
    /// # Errors
    /// When the cryptography library supports neither version, which is true of no build of it.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = config
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let bad_cert = |problem| CertificateError::new("tls.cert", cert, problem);
    let bad_key = |problem| CertificateError::new("tls.key", key, problem);
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_cert(error.into()))?;
    if chain.is_empty() {
        return Err(bad_cert(CertificateProblem::NoCertificate));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_key(error.into()))?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map(Arc::new)
        .map_err(|error| bad_key(CertificateProblem::NotItsKey { cert: cert.to_owned(), error }))
}
