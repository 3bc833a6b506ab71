//! TLS to the server, by rustls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Checks of the server's certificate.
#[derive(Clone, Debug)]
pub(crate) enum Verify {
    /// Nothing: others can't read along, but may pretend to be the server.
    Nothing,
    /// That the authority in this file signed it.
    Authority(PathBuf),
    /// Also that it is for the host in the URL.
    AuthorityAndHost(PathBuf),
}

/// Whether TLS is used, and how.
#[derive(Clone)]
pub(crate) struct Tls {
    mode: SslMode,
    connector: MakeRustlsConnect,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.mode).finish()
    }
}

impl Tls {
    pub(crate) fn disabled() -> Result<Self, String> {
        Self::new(SslMode::Disable, &Verify::Nothing, None)
    }

    /// Returns TLS where the server has it.
    pub(crate) fn preferred() -> Result<Self, String> {
        Self::new(SslMode::Prefer, &Verify::Nothing, None)
    }

    /// Returns TLS that is always used, with the client's certificate and key if there are some.
    ///
    /// # Errors
    ///
    /// If a file can't be read.
    pub(crate) fn required(
        verify: &Verify,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, String> {
        Self::new(SslMode::Require, verify, identity)
    }

    pub(crate) fn mode(&self) -> SslMode {
        self.mode
    }

    pub(crate) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    fn new(
        mode: SslMode,
        verify: &Verify,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Checks::new(verify, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("key", key, &error))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| unreadable("key", key, &error))?
            }
        };
        let connector = MakeRustlsConnect::new(config);
        Ok(Self { mode, connector })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn fmt::Display| unreadable("certificate", file, error);
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(|error| unreadable(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))?;
    if found.is_empty() {
        return Err(unreadable(&"there is none in it"));
    }
    Ok(found)
}

fn unreadable(what: &str, file: &Path, error: &dyn fmt::Display) -> String {
    format!("can't read the {what} in {}: {error}", file.display())
}

/// The checks that [`Verify`] names.
#[derive(Debug)]
struct Checks {
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
    is_host_checked: bool,
}

impl Checks {
    fn new(verify: &Verify, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let (file, is_host_checked) = match verify {
            Verify::Nothing => (None, false),
            Verify::Authority(file) => (Some(file), false),
            Verify::AuthorityAndHost(file) => (Some(file), true),
        };
        let authority = file.map(|file| {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| unreadable("certificate", file, &error))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| unreadable("certificate", file, &error))
        });
        Ok(Self {
            provider: Arc::clone(provider),
            authority: authority.transpose()?,
            is_host_checked,
        })
    }
}

impl ServerCertVerifier for Checks {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(certificate, intermediates, host, ocsp, now) {
            // The host is the last thing that is checked: all else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_host_checked => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
