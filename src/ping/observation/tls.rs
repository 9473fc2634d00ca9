//! Observations of the TLS handshakes, and of the certificates in them.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use crate::os::PacketCounts;
use crate::redis_url::Trust;

/// The TLS handshake, if the URL requires TLS, and what other handshakes show about its failure.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    /// The handshake on the connection.
    pub handshake: Option<Handshake>,
    /// The result of a second handshake, which accepts any certificate. It is tried if the server closed the
    /// first connection, or did not reply on it.
    pub second_handshake: Option<TlsResult>,
    /// The result of a handshake in small packets, which ran while the first one got no reply.
    pub small_packet_handshake: Option<TlsResult>,
    /// What the server chooses from a wider offer. This offer is sent after a handshake that failed because
    /// the two sides had no TLS version or algorithm in common.
    pub wider_offer: Option<WiderOffer>,
    /// How many seconds the server's clock is ahead of this host's clock. It is measured only if the
    /// certificate seems to be expired or not yet valid.
    pub server_clock_ahead: Option<i64>,
    /// The TLS options of this run.
    pub trust: Trust,
}

/// A TLS handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub result: TlsResult,
    /// Why the server's certificate is rejected. With `--insecure`, the handshake continues nevertheless.
    pub certificate_problem: Option<CertificateProblem>,
    /// The certificates that the server sent, starting with its own.
    pub chain: Vec<PeerCertificate>,
    /// Whether the names in the chain lead to a trusted CA.
    pub leads_to_trusted_ca: bool,
    /// The name that must be in the certificate.
    pub expected_name: String,
    /// The protocol version, such as `TLSv1_3`.
    pub version: Option<String>,
    pub took: Duration,
    /// The packet counts after a timeout.
    pub packets: Option<PacketCounts>,
    /// The time on this host's clock, in seconds since 1970.
    pub clock: i64,
    pub trusted: TrustedCas,
    /// The client certificate in `--cert`.
    pub client_certificate: Option<PeerCertificate>,
    /// If the server requested a client certificate, the issuers that it accepts. The list is empty if the
    /// server accepts any.
    pub client_certificate_request: Option<Vec<String>>,
}

impl Handshake {
    /// Returns the server's certificate.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.chain.first()
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

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsResult {
    Established,
    /// This host rejected the certificate; see [`Handshake::certificate_problem`].
    CertificateRejected,
    /// The server ended the handshake with this alert.
    Alert(AlertDescription),
    /// The server chose something that was not offered.
    NothingInCommon,
    /// The server violated the protocol. Contains the library's message.
    Misbehaved(String),
    /// The server sent something other than TLS.
    NotTls,
    /// The server closed or reset the connection.
    Closed,
    TimedOut,
    /// The host name, or the name in `--tls-name`, is not valid in certificates.
    BadName(String),
    /// The TLS options (`--ca`, `--cert`, `--key`) cannot be used.
    Unusable(String),
}

/// Why a certificate was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// No trusted CA has signed it.
    UnknownIssuer,
    /// A trusted CA has the issuer's name, but its key does not verify the signature.
    WrongSignature,
    /// This host trusts no CA at all.
    NoTrustedCa,
    /// The server sent no certificate.
    Missing,
    /// A CA in the chain is not permitted to sign certificates for this name (RFC 5280, 4.2.1.10).
    NotPermitted,
    /// The certificate is for a different host name.
    OtherName,
    Expired,
    NotValidYet,
    /// The chain contains something that this program does not support, although other clients may. Contains
    /// a description.
    Unsupported(String),
    /// The certificate is not valid for servers, and other clients reject it, too. Contains a description.
    Invalid(String),
}

/// The CAs that this host trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedCas {
    /// The number of trusted CAs.
    pub count: usize,
    /// The variable `SSL_CERT_FILE` or `SSL_CERT_DIR` with its value, which replaces the system's CAs.
    pub variable: Option<(&'static str, String)>,
    /// Why the file or folder in the variable cannot be read.
    pub fault: Option<String>,
}

/// The contents of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The names for which the certificate is valid, from its subjectAltName.
    pub names: Vec<String>,
    /// The common names in the subject, which old clients also accept as host names.
    pub common_names: Vec<String>,
    pub subject: String,
    pub issuer: String,
    /// Whether issuer and subject are the same.
    pub is_self_signed: bool,
    /// In how many seconds the certificate becomes valid. Negative if it is already valid.
    pub begins_in: i64,
    /// In how many seconds the certificate expires. Negative if it has expired.
    pub ends_in: i64,
    /// The part of the certificate that this program does not support, such as `a key on the curve P-521`.
    pub unsupported: Option<String>,
    /// The certificate in DER form.
    pub der: Vec<u8>,
}

impl PeerCertificate {
    /// Returns the certificate as PEM (RFC 7468), preceded by its subject, issuer and fingerprint.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.der);
        let mut pem = format!(
            "# subject: {}\n# issuer: {}\n# SHA-256: {}\n-----BEGIN CERTIFICATE-----\n",
            self.subject,
            self.issuer,
            self.fingerprint()
        );
        for (index, character) in text.chars().enumerate() {
            if index > 0 && index % PEM_LINE == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem + "\n-----END CERTIFICATE-----\n"
    }

    /// Returns the SHA-256 fingerprint in the form that OpenSSL prints: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, &self.der);
        let bytes: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }
}

/// The number of characters in a line of PEM.
const PEM_LINE: usize = 64;

/// What a server chooses if a ClientHello offers more than this program supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiderOffer {
    pub version: ProtocolVersion,
    /// The name of the cipher suite, such as `TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256`.
    pub cipher_suite: String,
    /// The group used for the key exchange.
    pub group: Option<NamedGroup>,
    /// The server's certificate, if it could be read.
    pub certificate: Option<PeerCertificate>,
}
