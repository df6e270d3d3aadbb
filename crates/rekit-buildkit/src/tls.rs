//! TLS for daemons over TCP. Key material comes in as PEM bytes and is shown by nothing: no `Debug` of its content, no `Serialize`.
use std::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use thiserror::Error;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// PEM bytes for one connection: whom to trust, and who we are.
#[derive(Clone, Default)]
pub struct TlsMaterial {
    /// Certificates to trust. Only these: the system's own are not added.
    pub ca: Vec<u8>,
    /// Our certificate chain and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Accepts every certificate of the daemon (`SkipTLSVerify` of a Docker context). Signatures are still checked.
    pub skip_verify: bool,
    /// Name to expect in the daemon's certificate instead of the host's (buildx's `servername`).
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TlsMaterial(hidden)")
    }
}

/// Why the material cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The PEM text is broken; says which part.
    #[error("could not read the PEM of the {part}")]
    Pem {
        /// `ca`, `certificate` or `key`.
        part: &'static str,
        /// What the parser said.
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate authority to trust and `skip_verify` is off.
    #[error("no certificate authority is given")]
    NoAuthority,
    /// rustls refuses the combination, such as a key that does not belong to the certificate.
    #[error("the TLS material does not fit together")]
    Refused {
        /// rustls' reason.
        source: rustls::Error,
    },
    /// The host is no valid name for a certificate.
    #[error("`{name}` is not a name that a certificate can hold")]
    ServerName {
        /// The name tried.
        name: String,
    },
}

impl TlsMaterial {
    /// Makes rustls' configuration; `alpn` is `h2` for gRPC and `http/1.1` for the Engine API.
    pub(crate) fn config(&self, alpn: &[u8]) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let refused = |source| TlsError::Refused { source };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(refused)?;
        let builder = if self.skip_verify {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&self.ca, "ca")? {
                roots.add(certificate).map_err(refused)?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoAuthority);
            }
            builder.with_root_certificates(roots)
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::Pem {
                    part: "key",
                    source,
                })?;
                builder
                    .with_client_auth_cert(certificates(chain, "certificate")?, key)
                    .map_err(refused)?
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }

    /// The name to ask for and to check: `server_name`, else the host.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName {
            name: name.to_owned(),
        })
    }
}

fn certificates(pem: &[u8], part: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { part, source })
}

/// Checks that the peer holds the key of the certificate it shows, but not who signed it.
#[derive(Debug)]
struct TrustAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn material_shows_nothing_and_needs_an_authority() {
        let material = TlsMaterial {
            ca: b"secret".to_vec(),
            ..TlsMaterial::default()
        };
        assert_eq!(format!("{material:?}"), "TlsMaterial(hidden)");
        assert!(matches!(material.config(b"h2"), Err(TlsError::NoAuthority)));
        let anyone = TlsMaterial {
            skip_verify: true,
            ..TlsMaterial::default()
        };
        assert!(anyone.config(b"h2").is_ok());
    }
}
