//! TLS towards destinations: rustls with its ring provider, Mozilla's roots, HTTP/1.1 only.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::tunnel::Tunnel;
use super::{Config, HttpError};

const BAD_ROOTS: HttpError = HttpError::Config("extra_roots holds no certificate in PEM form; check it");

/// What opens secure connections as `config` says.
pub(super) fn connector(config: &Config) -> Result<TlsConnector, HttpError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpError::Config("this build knows no version of TLS; use another"))?;
    let mut tls = if config.verify_tls {
        builder.with_root_certificates(roots(config.extra_roots.as_deref())?).with_no_client_auth()
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth()
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A ticket would tell a service that two circuits carry the same client.
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(tls)))
}

fn roots(extra: Option<&str>) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|_| BAD_ROOTS)?).map_err(|_| BAD_ROOTS)?;
        }
        if roots.len() == before {
            return Err(BAD_ROOTS);
        }
    }
    Ok(roots)
}

/// Makes `tunnel` secure towards `host`, given as in a URL. The caller sets the limit.
pub(super) async fn wrap(connector: &TlsConnector, host: &str, tunnel: Tunnel) -> Result<Tunnel, HttpError> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| HttpError::Request("the URL's host can have no certificate; check it"))?;
    connector.connect(name, tunnel).await.map(Tunnel::new).map_err(HttpError::Tls)
}

/// `verify_tls = false`: takes any certificate, so an exit may pose as anybody.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
