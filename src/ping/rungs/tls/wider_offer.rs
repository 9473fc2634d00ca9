//! Sends a ClientHello with features that other clients support but rustls does not. The reply shows which
//! features the server requires.
//!
//! The offers are the defaults of OpenSSL 3. The handshake is never completed. Only the server's first,
//! unencrypted messages are read (RFC 5246, 7.4; RFC 8446, 4.1).

use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::certificate;
use crate::deadline::Deadline;
use crate::ping::observation::{PeerCertificate, WiderOffer};
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::random;

/// The maximum number of bytes that are read in reply to a ClientHello.
const MOST_BYTES: usize = 64 * 1024;

const HANDSHAKE: u8 = 22;

/// The cipher suites for TLS 1.2 and older that OpenSSL 3 offers.
const OLD_SUITES: &[CipherSuite] = &[
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
    CipherSuite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
    CipherSuite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
    CipherSuite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    CipherSuite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA,
    CipherSuite::TLS_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_RSA_WITH_AES_256_CBC_SHA256,
    CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA256,
    CipherSuite::TLS_RSA_WITH_AES_256_CBC_SHA,
    CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    CipherSuite::TLS_RSA_WITH_AES_128_CCM,
    CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV,
];

const NEW_SUITES: &[CipherSuite] = &[
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_128_CCM_SHA256,
];

/// Returns the standard name of a cipher suite. rustls adds the prefix `TLS13_` to the suites of TLS 1.3.
fn suite_name(suite: CipherSuite) -> String {
    match suite.as_str() {
        Some(name) => name.replace("TLS13_", "TLS_"),
        None => format!("number 0x{:04x}", u16::from(suite)),
    }
}

const GROUPS: [NamedGroup; 7] = [
    NamedGroup::X25519,
    NamedGroup::secp256r1,
    NamedGroup::X448,
    NamedGroup::secp384r1,
    NamedGroup::secp521r1,
    NamedGroup::FFDHE2048,
    NamedGroup::FFDHE3072,
];

/// The signature algorithms in the ClientHello (RFC 8446, 4.2.3): ECDSA, EdDSA, RSA-PSS with both kinds of
/// key, RSA, and algorithms with SHA-1.
const SIGNATURES: [u16; 18] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501,
    0x0601, 0x0303, 0x0301, 0x0203, 0x0201,
];

/// Offers TLS 1.0 to 1.2. If the server chooses none of these versions, offers TLS 1.3. Returns the server's
/// choice with its certificate, or `None` if the server does not choose TLS 1.3 either.
pub(in crate::ping) async fn observe(
    address: SocketAddr,
    name: &str,
    clock: i64,
    deadline: Deadline,
) -> Option<WiderOffer> {
    for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
        let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
        let messages = exchange(stream?, &client_hello(name, version), deadline).await;
        if let Some(mut choice) = choice(&messages, clock) {
            if choice.certificate.is_none() {
                // In TLS 1.3, the certificate is encrypted, so only a full handshake can show it.
                let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
                if let Some(stream) = stream {
                    let chain = super::unverified_chain(stream, name, deadline).await;
                    choice.certificate = chain.into_iter().next();
                }
            }
            return Some(choice);
        }
    }
    None
}

/// Sends a ClientHello, and returns the server's handshake messages. Stops after ServerHelloDone, a
/// ServerHello of TLS 1.3, an alert, or the end of the connection.
async fn exchange(mut stream: TcpStream, hello: &[u8], deadline: Deadline) -> Vec<u8> {
    let mut received = Vec::new();
    if !matches!(deadline.bound(stream.write_all(hello)).await, Ok(Ok(()))) {
        return received;
    }
    while received.len() < MOST_BYTES {
        match deadline.bound(stream.read_buf(&mut received)).await {
            Ok(Ok(length)) if length > 0 => {}
            _ => break,
        }
        let (messages, is_over) = handshake_messages(&received);
        if is_over {
            return messages;
        }
    }
    handshake_messages(&received).0
}

/// Extracts the handshake messages from TLS records. Also returns whether these messages already show the
/// server's whole choice.
fn handshake_messages(mut records: &[u8]) -> (Vec<u8>, bool) {
    let mut messages = Vec::new();
    let mut is_over = false;
    while let [kind, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((content, rest)) = rest.split_at_checked(length) else {
            break;
        };
        match *kind {
            HANDSHAKE => messages.extend_from_slice(content),
            _ => is_over = true,
        }
        records = rest;
    }
    is_over |= Messages(&messages).any(|(kind, body)| {
        kind == SERVER_HELLO_DONE
            || (kind == SERVER_HELLO && ServerHello::read(body).is_some_and(ServerHello::is_tls13))
    });
    (messages, is_over)
}

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const SERVER_HELLO_DONE: u8 = 14;

/// Iterates over complete handshake messages, as pairs of type and body.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, a, b, c, rest @ ..] = self.0 else {
            return None;
        };
        let (body, rest) = rest.split_at_checked(length24([*a, *b, *c]))?;
        self.0 = rest;
        Some((*kind, body))
    }
}

fn length24([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

fn choice(messages: &[u8], clock: i64) -> Option<WiderOffer> {
    let mut found: Option<WiderOffer> = None;
    for (kind, body) in Messages(messages) {
        match (kind, &mut found) {
            (SERVER_HELLO, None) => {
                let hello = ServerHello::read(body)?;
                found = Some(WiderOffer {
                    version: hello.version,
                    cipher_suite: suite_name(hello.cipher_suite),
                    group: hello.group,
                    certificate: None,
                });
            }
            (CERTIFICATE, Some(choice)) => choice.certificate = first_certificate(body, clock),
            // If curve_type is 3, the curve has a name (RFC 8422, 5.4). Other key exchanges begin with the
            // length of a number.
            (SERVER_KEY_EXCHANGE, Some(choice)) => {
                if let [3, high, low, ..] = body {
                    choice.group = Some(NamedGroup::from(u16::from_be_bytes([*high, *low])));
                }
            }
            _ => {}
        }
    }
    found
}

fn first_certificate(body: &[u8], clock: i64) -> Option<PeerCertificate> {
    let [_, _, _, a, b, c, rest @ ..] = body else {
        return None;
    };
    let der = rest.get(..length24([*a, *b, *c]))?;
    certificate::read(&CertificateDer::from(der), clock)
}

#[derive(Clone, Copy)]
struct ServerHello {
    version: ProtocolVersion,
    cipher_suite: CipherSuite,
    group: Option<NamedGroup>,
}

impl ServerHello {
    /// Parses a ServerHello or a HelloRetryRequest, which have the same form (RFC 8446, 4.1.3). Returns
    /// `None` if the message is too short.
    fn read(body: &[u8]) -> Option<Self> {
        let ([major, minor], rest) = body.split_first_chunk::<2>()?;
        let (_random, rest) = rest.split_at_checked(32)?;
        let (&session, rest) = rest.split_first()?;
        let (_session, rest) = rest.split_at_checked(usize::from(session))?;
        let ([high, low, _compression], rest) = rest.split_first_chunk::<3>()?;
        let mut hello = Self {
            version: ProtocolVersion::from(u16::from_be_bytes([*major, *minor])),
            cipher_suite: CipherSuite::from(u16::from_be_bytes([*high, *low])),
            group: None,
        };
        let mut extensions = rest.get(2..).unwrap_or_default();
        while let [a, b, c, d, rest @ ..] = extensions {
            let (content, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
            match (u16::from_be_bytes([*a, *b]), content) {
                (SUPPORTED_VERSIONS, [high, low]) => {
                    hello.version = ProtocolVersion::from(u16::from_be_bytes([*high, *low]));
                }
                (KEY_SHARE, [high, low, ..]) => {
                    hello.group = Some(NamedGroup::from(u16::from_be_bytes([*high, *low])));
                }
                _ => {}
            }
            extensions = rest;
        }
        Some(hello)
    }

    fn is_tls13(self) -> bool {
        self.version == ProtocolVersion::TLSv1_3
    }
}

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;

/// Returns a ClientHello in a single record (RFC 5246, 7.4.1.2). A ClientHello for TLS 1.3 contains no key,
/// so that the server's HelloRetryRequest names the group that the server requires.
fn client_hello(name: &str, version: ProtocolVersion) -> Vec<u8> {
    let is_tls13 = version == ProtocolVersion::TLSv1_3;
    let suites = if is_tls13 { NEW_SUITES } else { OLD_SUITES };
    let numbers = |list: &[u16]| -> Vec<u8> { list.iter().flat_map(|number| number.to_be_bytes()).collect() };
    let mut extensions = Vec::new();
    // IP addresses are never sent as a server name (RFC 6066, 3).
    if name.parse::<std::net::IpAddr>().is_err() {
        let name = prefixed16(name.as_bytes());
        extension(
            &mut extensions,
            SERVER_NAME,
            &prefixed16(&[&[0][..], &name].concat()),
        );
    }
    let groups: Vec<u16> = GROUPS.into_iter().map(u16::from).collect();
    extension(&mut extensions, SUPPORTED_GROUPS, &prefixed16(&numbers(&groups)));
    extension(
        &mut extensions,
        SIGNATURE_ALGORITHMS,
        &prefixed16(&numbers(&SIGNATURES)),
    );
    if is_tls13 {
        extension(&mut extensions, SUPPORTED_VERSIONS, &[2, 3, 4]);
        extension(&mut extensions, PSK_KEY_EXCHANGE_MODES, &[1, 1]);
        extension(&mut extensions, KEY_SHARE, &[0, 0]);
    } else {
        extension(&mut extensions, POINT_FORMATS, &[1, 0]);
        extension(&mut extensions, EXTENDED_MASTER_SECRET, &[]);
    }
    let suites: Vec<u16> = suites.iter().copied().map(u16::from).collect();
    let mut body = vec![3, 3];
    body.extend(random::bytes::<32>());
    body.push(32);
    body.extend(random::bytes::<32>());
    body.extend(prefixed16(&numbers(&suites)));
    body.extend([1, 0]);
    body.extend(prefixed16(&extensions));
    let message = [&[1, 0][..], &prefixed16(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &prefixed16(&message)].concat()
}

fn extension(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(prefixed16(content));
}

/// Returns `content` after its length in two bytes. The content must not be longer than 65,535 bytes.
fn prefixed16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &prefixed16(body)].concat()
    }

    fn server_hello(suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.push(0);
        body.extend(prefixed16(extensions));
        message(SERVER_HELLO, &body)
    }

    fn record(content: &[u8]) -> Vec<u8> {
        [&[HANDSHAKE, 3, 3][..], &prefixed16(content)].concat()
    }

    #[test]
    fn a_choice_of_tls_1_2_is_read_across_records_and_with_its_group() {
        let flight = [
            server_hello(0xc027, &[]),
            message(SERVER_KEY_EXCHANGE, &[3, 0, 25, 1, 4]),
            message(SERVER_HELLO_DONE, &[]),
        ]
        .concat();
        let (first, second) = flight.split_at(30);
        let (messages, is_over) = handshake_messages(&[record(first), record(second)].concat());
        assert!(is_over);
        let choice = choice(&messages, 0).unwrap();
        assert_eq!(choice.version, ProtocolVersion::TLSv1_2);
        assert_eq!(choice.cipher_suite, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256");
        assert_eq!(choice.group, Some(NamedGroup::secp521r1));
    }

    #[test]
    fn a_retry_request_of_tls_1_3_names_the_group() {
        let hello = server_hello(0x1301, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 30]);
        let (messages, is_over) = handshake_messages(&record(&hello));
        assert!(is_over);
        let choice = choice(&messages, 0).unwrap();
        assert_eq!(choice.version, ProtocolVersion::TLSv1_3);
        assert_eq!(choice.cipher_suite, "TLS_AES_128_GCM_SHA256");
        assert_eq!(choice.group, Some(NamedGroup::X448));
    }

    #[test]
    fn neither_an_alert_nor_half_a_message_is_a_choice() {
        assert!(handshake_messages(&[21, 3, 3, 0, 2, 2, 40]).1);
        let hello = server_hello(0xc027, &[]);
        for length in 0..hello.len() {
            assert_eq!(choice(&hello[..length], 0), None);
        }
    }
}
