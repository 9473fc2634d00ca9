//! Defines the observations about the TLS handshakes and their certificates.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use crate::os::PacketCounts;
use crate::redis_url::Trust;

/// The TLS handshake, if the URL requires TLS, and additional handshakes that explain its failure.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    /// The first handshake.
    pub handshake: Option<Handshake>,
    /// The result of a second handshake on a new connection. This handshake is tried if the server closed the
    /// first connection or did not reply.
    pub second_handshake: Option<TlsResult>,
    /// The result of a handshake in small packets, which runs while the first handshake waits for a reply.
    pub small_packet_handshake: Option<TlsResult>,
    /// The server's choice from a ClientHello with more options, which is sent if the two sides have no TLS
    /// version or algorithm in common.
    pub wider_offer: Option<WiderOffer>,
    /// How many seconds the server's clock is ahead of this host's clock. The difference is measured only if
    /// the certificate seems to be expired or not yet valid.
    pub server_clock_ahead: Option<i64>,
    /// The TLS options of this run.
    pub trust: Trust,
}

#[derive(Clone, Debug)]
pub struct Handshake {
    pub result: TlsResult,
    /// The problem with the server's certificate, if this host does not accept it. With `--insecure`, the
    /// handshake continues anyway.
    pub certificate_problem: Option<CertificateProblem>,
    /// The certificates that the server sent, starting with its own.
    pub chain: Vec<PeerCertificate>,
    /// Whether the issuer names in the server's certificate chain lead to a trusted CA.
    pub leads_to_trusted_ca: bool,
    /// The name that the certificate must contain.
    pub expected_name: String,
    /// The TLS version, such as `TLSv1_3`.
    pub version: Option<String>,
    pub took: Duration,
    /// The packet counts of the connection, if the handshake timed out.
    pub packets: Option<PacketCounts>,
    /// The time of the handshake by this host's clock, in seconds since 1970.
    pub clock: i64,
    pub trusted: TrustedCas,
    /// The client certificate in `--cert`.
    pub client_certificate: Option<PeerCertificate>,
    /// The accepted issuers, if the server requested a client certificate. An empty list means any issuer.
    pub client_certificate_request: Option<Vec<String>>,
}

impl Handshake {
    /// Returns the server's own certificate, if the server sent it.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.chain.first()
    }

    /// Follows the names of the issuers from the server's own certificate, and returns the last certificate
    /// that the server sent. If none of the others is the issuer of the server's own certificate, this is the
    /// server's own.
    pub fn end_of_chain(&self) -> Option<&PeerCertificate> {
        let mut end = self.chain.first()?;
        for _ in &self.chain {
            let issuer = self.chain.iter().find(|one| one.subject == end.issuer);
            match issuer {
                Some(issuer) if !end.is_self_signed => end = issuer,
                _ => break,
            }
        }
        Some(end)
    }

    /// Returns the second certificate that the server sent, if none of the certificates belongs to the issuer
    /// of the server's own certificate.
    pub fn foreign_issuer(&self) -> Option<&PeerCertificate> {
        let (own, others) = self.chain.split_first()?;
        let is_related = own.is_self_signed || others.iter().any(|other| other.subject == own.issuer);
        others.first().filter(|_| !is_related)
    }
}

impl PeerCertificate {
    /// Whether the certificate is valid for this host name or address (RFC 9525, 6.3).
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let domain = host.split_once('.').map(|(_, domain)| domain);
        self.names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            name == host || (domain.is_some() && name.strip_prefix("*.") == domain)
        })
    }
}

/// The result of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsResult {
    Established,
    /// This host rejected the certificate; see [`Handshake::certificate_problem`].
    CertificateRejected,
    /// The server ended the handshake with this alert.
    Alert(AlertDescription),
    /// The two sides have no TLS version or algorithm in common.
    NothingInCommon,
    /// The server violated the protocol. Contains the TLS library's message.
    Misbehaved(String),
    /// The server sent data that is not TLS.
    NotTls,
    /// The server closed or reset the connection.
    Closed,
    TimedOut,
    /// The host name, or the name in `--tls-name`, cannot be used in certificates. Contains this name.
    BadName(String),
    /// The TLS options (`--ca`, `--cert`, `--key`) cannot be used.
    Unusable(String),
}

impl TlsResult {
    /// Whether the peer sent TLS data, even if the handshake failed.
    pub(in crate::ping) fn is_tls(&self) -> bool {
        !matches!(
            self,
            Self::NotTls | Self::Closed | Self::TimedOut | Self::Unusable(_) | Self::BadName(_)
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// No trusted CA has signed the certificate.
    UnknownIssuer,
    /// A trusted CA has the same name as the issuer, but its key does not match the signature.
    WrongSignature,
    /// This host trusts no CA at all.
    NoTrustedCa,
    /// The server sent no certificate.
    Missing,
    /// A CA in the server's chain is not permitted to sign certificates for this host name (RFC 5280,
    /// 4.2.1.10).
    NotPermitted,
    /// The certificate is for a different host name.
    OtherName,
    Expired,
    NotValidYet,
    /// Other clients may support the certificate chain, but this program does not. Contains a description.
    Unsupported(String),
    /// The certificate has a problem that no other variant describes, so other clients probably reject it
    /// too. Contains a description.
    Invalid(String),
    /// The certificate of a CA in the chain does not permit this CA to sign another certificate of the chain.
    /// Contains a description.
    InvalidIssuer(String),
}

/// The CAs that this host trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedCas {
    pub count: usize,
    /// The variable `SSL_CERT_FILE` or `SSL_CERT_DIR` with its value, if it is set. The variable replaces the
    /// system's CAs.
    pub variable: Option<(&'static str, String)>,
    /// Why the file or folder in the variable cannot be read. `None` if it can be read, or if no variable is
    /// set.
    pub fault: Option<String>,
}

/// The contents of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The names in subjectAltName, for which the certificate is valid.
    pub names: Vec<String>,
    /// The names in subjectAltName that are not host names, such as `URI:spiffe://shop/redis`.
    pub other_names: Vec<String>,
    /// The common names in the subject, which old clients also accept as host names.
    pub common_names: Vec<String>,
    pub subject: String,
    pub issuer: String,
    /// Whether issuer and subject are the same.
    pub is_self_signed: bool,
    /// The seconds until the validity period of the certificate begins. Zero or negative if it has begun.
    pub begins_in: i64,
    /// The seconds until the certificate expires. Negative if it has expired.
    pub ends_in: i64,
    /// The feature of the certificate that this program does not support, if there is one, such as `a key on
    /// the curve P-521`.
    pub unsupported: Option<String>,
    pub der: Vec<u8>,
}

impl PeerCertificate {
    /// Returns the certificate as PEM (RFC 7468), after lines with its subject, issuer and fingerprint.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(PEM_LINE)
            .map(String::from_utf8_lossy)
            .collect();
        format!(
            "# subject: {}\n# issuer: {}\n# SHA-256: {}\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            self.subject,
            self.issuer,
            self.fingerprint(),
            lines.join("\n")
        )
    }

    /// Returns the SHA-256 fingerprint in OpenSSL's format, `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, &self.der);
        let bytes: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }
}

/// The number of characters in a line of PEM.
const PEM_LINE: usize = 64;

/// The server's choice from a ClientHello that offers more TLS versions and algorithms than this program
/// supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiderOffer {
    pub version: ProtocolVersion,
    /// The name of the cipher suite, such as `TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256`.
    pub cipher_suite: String,
    /// The key exchange group that the server chose, if it is known.
    pub group: Option<NamedGroup>,
    /// The server's certificate, if it could be read.
    pub certificate: Option<PeerCertificate>,
}
