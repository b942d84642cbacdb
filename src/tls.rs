//! TLS: which certificate is shown, and a fresh one without a connection lost.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::settings::Tls;

/// Why there is no certificate to show, in one line for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {path:?}: {why}")]
pub struct BadCertificate {
    key: &'static str,
    path: PathBuf,
    why: String,
}

/// The certificate that new connections are shown.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files that the settings name; none where they name none.
    ///
    /// # Errors
    /// When a file cannot be read, is no PEM, or the key is not the certificate's.
    pub fn load(tls: &Tls) -> Result<Option<Arc<Self>>, BadCertificate> {
        if tls.cert.is_empty() {
            return Ok(None);
        }
        let (cert, key) = (PathBuf::from(&tls.cert), PathBuf::from(&tls.key));
        let shown = RwLock::new(read(&cert, &key)?);
        Ok(Some(Arc::new(Self { cert, key, shown })))
    }

    /// Reads the files again. Connections that are open go on as they are.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the old certificate stays.
    pub fn reload(&self) -> Result<(), BadCertificate> {
        let fresh = read(&self.cert, &self.key)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// TLS 1.2 and 1.3 with this certificate.
    ///
    /// # Errors
    /// When the cryptography library knows neither, which no build of it does.
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

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, BadCertificate> {
    let bad = |key, path: &Path, why: String| BadCertificate { key, path: path.to_owned(), why };
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| bad("tls.cert", cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(bad("tls.cert", cert, "there is no certificate in it; it must be PEM".into()));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|e| bad("tls.key", key, e.to_string()))?;
    let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
    pair.map(Arc::new)
        .map_err(|e| bad("tls.key", key, format!("not a key for {}: {e}", cert.display())))
}
