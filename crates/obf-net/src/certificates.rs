//! PEM files to TLS configurations, and the names in a peer's certificate. TLS 1.2 and 1.3, no session resumption
//! on mutual TLS (a resumed session would outlive the check of its certificate).

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why certificates cannot be used. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read, or has no PEM section of the kind that is needed.
    #[error("{}: no {wanted} could be read: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// The parts are there but do not fit together (wrong key, bad certificate).
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What the TLS library said.
        reason: String,
    },
}

/// A certificate chain with its private key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// A server that does not ask for client certificates (RPB, admin API).
///
/// # Errors
/// [`CertificateError`] names the file.
pub fn server(own: &CertificateFiles) -> Result<Arc<ServerConfig>, CertificateError> {
    let (chain, key) = load(own)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&own.chain, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&own.chain, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A server whose clients must have a certificate of `client_ca` (RADIUS/TLS).
///
/// # Errors
/// [`CertificateError`] names the file.
pub fn mutual_server(
    own: &CertificateFiles,
    client_ca: &Path,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(client_ca)?), provider())
        .build()
        .map_err(|error| unusable(client_ca, &error))?;
    mutual(own, verifier)
}

fn mutual(
    own: &CertificateFiles,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let (chain, key) = load(own)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&own.chain, &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&own.chain, &error))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A server whose clients may show a certificate of `client_ca`, or none (admin API).
///
/// # Errors
/// [`CertificateError`] names the file.
pub fn server_that_knows_clients(
    own: &CertificateFiles,
    client_ca: &Path,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(client_ca)?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(client_ca, &error))?;
    let mut config = ServerConfig::clone(&*mutual(own, verifier)?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client that trusts `ca` (RPB, admin API).
///
/// # Errors
/// [`CertificateError`] names the file.
pub fn client(ca: &Path) -> Result<Arc<ClientConfig>, CertificateError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(ca, &error))?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client that trusts `ca` and shows a certificate (RADIUS/TLS).
///
/// # Errors
/// [`CertificateError`] names the file.
pub fn mutual_client(own: &CertificateFiles, ca: &Path) -> Result<Arc<ClientConfig>, CertificateError> {
    let (chain, key) = load(own)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&own.chain, &error))?
        .with_root_certificates(roots(ca)?)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&own.chain, &error))?;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The dNSNames of a certificate in DER, lower-case. The common name is not used, nor is a wildcard
/// (WIRES "Who may ask"). Empty for what is no certificate.
pub fn dns_names(certificate: &[u8]) -> Vec<String> {
    let Ok(certificate) = openssl::x509::X509::from_der(certificate) else { return Vec::new() };
    let names = certificate.subject_alt_names();
    let names = names.iter().flatten().filter_map(|name| name.dnsname());
    names.filter(|name| !name.contains('*')).map(str::to_ascii_lowercase).collect()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load(
    files: &CertificateFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateError> {
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| CertificateError::Pem {
        path: files.key.clone(),
        wanted: "private key",
        reason: error.to_string(),
    })?;
    Ok((certificates(&files.chain)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let failed = |reason: String| CertificateError::Pem { path: path.into(), wanted: "certificate", reason };
    let all = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    if all.is_empty() { Err(failed("the file has none".into())) } else { Ok(all) }
}

fn roots(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::Unusable { path: path.into(), reason: error.to_string() }
}
