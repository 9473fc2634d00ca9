//! Verifies certificates, and records what the server sends.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{self, NamePath};
use super::problem::problem;
use super::trusted_cas::Trusted;
use crate::ping::observation::{CertificateProblem, PeerCertificate, TrustedCas};

/// The data that the server sent in the handshake, even if the handshake failed.
#[derive(Debug, Default)]
pub(super) struct SeenTls(Mutex<Seen>);

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The certificates that the server sent, starting with its own.
    pub(super) chain: Vec<PeerCertificate>,
    pub(super) leads_to_trusted_ca: bool,
    pub(super) problem: Option<CertificateProblem>,
    pub(super) trusted: TrustedCas,
    pub(super) client_certificate: Option<PeerCertificate>,
    pub(super) client_certificate_request: Option<Vec<String>>,
}

impl SeenTls {
    pub(super) fn get(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Records a server's certificates, then verifies them with webpki.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The trusted CAs, or `None` if certificates are not verified.
    pub(super) trusted: Option<Trusted>,
    /// Whether the handshake continues with an invalid certificate. The certificate's problem is recorded in
    /// both cases.
    pub(super) accepts_all: bool,
    pub(super) seen: Arc<SeenTls>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Signature algorithms that ring does not support (RFC 8446, 4.2.3): ECDSA with P-521, and RSA-PSS keys. A
/// server with such a key sends its certificate only if the client offers these algorithms.
const UNSUPPORTED: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificates = || std::iter::once(end_entity).chain(intermediates);
        self.seen.update(|seen| {
            seen.chain = certificate::read_chain(certificates(), now.as_secs().cast_signed());
        });
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = match &trusted.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let verified = match verified {
            // `openssl req -x509` creates a CA certificate. webpki rejects such a certificate for a server,
            // even if it is trusted.
            Err(_) if trusted.certificates.contains(end_entity) => {
                self.verify_name_and_dates(end_entity, server_name)
            }
            verified => verified,
        };
        let path = NamePath::of(end_entity, intermediates, &trusted.certificates);
        self.seen
            .update(|seen| seen.leads_to_trusted_ca = path.is_trusted);
        let verified = verified.and_then(|verified| self.check_root(&path, now).map(|()| verified));
        verified.or_else(|error| {
            let problem = if trusted.verifier.is_none() {
                CertificateProblem::NoTrustedCa
            } else {
                problem(&error, &path, self.seen.get().chain.first(), server_name)
            };
            self.reject(problem, error)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if self.accepts_all {
            schemes.extend(UNSUPPORTED);
        }
        schemes
    }
}

impl Verifier {
    fn verify_name_and_dates(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        let seen = self.seen.get();
        let dates = seen.chain.first().map(|own| (own.begins_in, own.ends_in));
        let (begins_in, ends_in) = dates.unwrap_or_default();
        if ends_in < 0 {
            return Err(CertificateError::Expired.into());
        }
        if begins_in > 0 {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// Checks whether the trusted CA has expired. webpki does not check this, but OpenSSL and most other
    /// clients do.
    fn check_root(&self, path: &NamePath, now: UnixTime) -> Result<(), Error> {
        let root = path.root.as_ref();
        let root = root.and_then(|der| certificate::read(der, now.as_secs().cast_signed()));
        match root.filter(|root| root.ends_in < 0) {
            Some(root) => {
                self.seen.update(|seen| seen.chain.push(root));
                Err(CertificateError::Expired.into())
            }
            None => Ok(()),
        }
    }

    /// Handles an invalid signature in the handshake. A valid signature proves that the server has the
    /// certificate's private key.
    fn check_signature(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        verified.or_else(|error| {
            let own = self.seen.get().chain.into_iter().next();
            let problem = match own.and_then(|own| own.unsupported) {
                Some(what) => CertificateProblem::Unsupported(format!("the server's certificate has {what}")),
                None => CertificateProblem::Invalid(
                    "the server does not have the certificate's private key".into(),
                ),
            };
            self.reject(problem, error)?;
            Ok(HandshakeSignatureValid::assertion())
        })
    }

    /// Records `problem`. Returns `error`, which ends the handshake, unless all certificates are accepted.
    fn reject(&self, problem: CertificateProblem, error: Error) -> Result<(), Error> {
        self.seen.update(|seen| {
            seen.problem.get_or_insert(problem);
        });
        if self.accepts_all { Ok(()) } else { Err(error) }
    }
}
