//! Suggests fixes for a failed TLS handshake.

use std::net::IpAddr;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;

use super::commands::shell_quoted;
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use crate::ping::observation::{CertificateProblem, Handshake, PeerCertificate, TlsResult};
use crate::sanitize;

/// Two clocks count as equal if they differ by less than this many seconds. The tolerance covers the round
/// trip and delays on busy hosts.
const AGREE: i64 = 300;

pub(super) fn required(at: &FixContext) -> Fixes {
    let how = match at.reads_variables() {
        true => "set REDIS_TLS to true",
        false => "change redis:// to rediss:// in the URL",
    };
    let fixes =
        advise("tls", format!("use TLS: {how}")).try_command(at, at.ping_to(|target| target.tls = true));
    let is_remote = !at.seen.tcp.leads_to_this_host();
    if is_remote && at.target.password.is_some() {
        fixes.and(
            "password",
            "change the password: it has just been sent over the network unencrypted",
        )
    } else {
        fixes
    }
}

pub(super) fn untrusted(at: &FixContext) -> Fixes {
    let Some(tls) = at.handshake() else {
        return trust(at, "trust", "the CA that signed it: get its certificate");
    };
    untrusted_certificate(at, tls).and_all(also_other_name(tls))
}

/// Suggests a fix if the certificate is for a different host. This fix follows the fixes for a different
/// fault in the same certificate.
fn also_other_name(tls: &Handshake) -> Option<Fixes> {
    let own = tls.certificate()?;
    let name = own.names.first()?;
    (!own.is_for(&tls.expected_name)).then(|| {
        let text = format!(
            "also use a host name from the certificate ({}) in the URL, or pass this name with --tls-name NAME",
            sanitize::excerpt(name.as_bytes(), 60)
        );
        advise("tls-name", text)
    })
}

/// Suggests a fix if no trusted CA has signed the certificate. This fix follows the fixes for a different
/// fault in the same certificate.
fn also_untrusted(tls: &Handshake) -> Option<Fixes> {
    (!tls.chain.is_empty() && !tls.leads_to_trusted_ca).then(|| trust_file("also trust", &signer(tls)))
}

fn untrusted_certificate(at: &FixContext, tls: &Handshake) -> Fixes {
    if matches!(tls.result, TlsResult::Unusable(_)) {
        return advise(
            "ca",
            "correct the option --ca FILE, which needs a PEM file that contains the CA's certificate",
        );
    }
    if let Some((name, path)) = &tls.trusted.variable
        && let Some(fault) = &tls.trusted.fault
    {
        let text = format!(
            "correct {name} ({path} {fault}), or unset the variable, so that this host trusts the CAs of the system"
        );
        return advise("ca", text).command(format!("unset {name}")).and_all(trust(
            at,
            STILL_UNTRUSTED,
            &signer(tls),
        ));
    }
    match (&tls.certificate_problem, tls.certificate()) {
        (Some(CertificateProblem::NoTrustedCa), _) => {
            advise("ca", "install the system's CA certificates (the package ca-certificates)")
                .and_all(trust(at, STILL_UNTRUSTED, &signer(tls)))
        }
        (Some(CertificateProblem::Invalid(_)), _) => advise(
            "certificate",
            "reissue the certificate without this fault. A server's certificate needs a SHA-256 signature, \
             extendedKeyUsage serverAuth and basicConstraints CA:FALSE, and must not have a critical extension that \
             clients do not know",
        ),
        (Some(CertificateProblem::InvalidIssuer(_)), _) => advise(
            "certificate",
            "sign the server's certificate with a CA whose certificate contains basicConstraints CA:TRUE. The \
             certificate of each CA above this CA must have no pathlen, or a pathlen that is large enough",
        ),
        (Some(CertificateProblem::NotPermitted), _) => advise(
            "certificate",
            "get a certificate from a CA without this limit, or use a name that the CA's certificate permits. To \
             list these names, run openssl x509 -noout -ext nameConstraints -in FILE, where FILE contains the CA's \
             certificate",
        ),
        (Some(CertificateProblem::Missing), _) => {
            advise("certificate", "configure a certificate on the server (tls-cert-file, tls-key-file)")
        }
        (Some(CertificateProblem::WrongSignature), _) => advise(
            "ca",
            "get the current certificate of the CA, and pass it with --ca FILE: the CA was probably created again \
             with the same name",
        )
        .and("certificate", "or reissue the server's certificate with the CA that clients trust"),
        (_, Some(own)) if own.is_self_signed => trust(at, "trust", "this certificate itself: get it"),
        (_, Some(own)) if tls.foreign_issuer().is_some() => advise(
            "chain",
            format!(
                "configure the server to send the certificate of {} (in tls-cert-file, after the server's own \
                 certificate). At present, the server sends other certificates instead",
                own.issuer
            ),
        )
        .and_all(trust_file("trust", &signer(tls))),
        // The server sends its own certificate, but not that of its CA.
        (_, Some(own)) if tls.chain.len() == 1 => {
            let text = format!(
                "if {} is an intermediate CA, configure the server to send the certificate of the CA too \
                 (append it to tls-cert-file)",
                own.issuer
            );
            let chain = advise("chain", text);
            let ca = trust_file("trust", &signer(tls));
            if is_intermediate(&own.issuer) { chain.and_all(ca) } else { ca.and_all(chain) }
        }
        _ => trust(at, "trust", &signer(tls)),
    }
}

/// Whether a CA's name shows that it is an intermediate CA. The name of a public CA counts, because public
/// CAs sign server certificates only with intermediate CAs.
fn is_intermediate(name: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "intermediate",
        "issuing",
        "sub ca",
        "let's encrypt",
        "digicert",
        "sectigo",
        "zerossl",
        "globalsign",
        "google trust",
        "godaddy",
        "o=amazon",
        "o=microsoft",
    ];
    let name = name.to_lowercase();
    SIGNS.iter().any(|sign| name.contains(sign)) && !name.contains("root")
}

/// Names the CA that issued the last certificate in the server's chain, and tells the user to get the CA's
/// certificate. The text continues a sentence that begins with "trust".
fn signer(tls: &Handshake) -> String {
    match tls.end_of_chain() {
        Some(last) if !last.issuer.is_empty() => format!("the CA {}: get its certificate", last.issuer),
        _ => "the CA that signed it: get its certificate".into(),
    }
}

/// The first words of a fix that may follow fixes for the system's CAs.
const STILL_UNTRUSTED: &str = "if the certificate is still not trusted, trust";

/// Suggests trusting a certificate. The sentence begins with `trust`, followed by `what`, such as the text
/// that [`signer`] returns.
fn trust_file(trust: &str, what: &str) -> Fixes {
    let text = format!(
        "{trust} {what} from the administrator, pass the file with --ca FILE, and configure the same file in the \
         application's client (redis-py: ssl_ca_certs)"
    );
    advise("ca", text)
}

fn trust(at: &FixContext, trust: &str, what: &str) -> Fixes {
    trust_file(trust, what).and(
        "ca",
        "or save the certificates that the server sends. Before you trust them, compare their fingerprints with \
         those that the administrator gives you",
    )
    .command(at.ping("--save-ca server-certificates.pem "))
}

pub(super) fn unsupported(at: &FixContext) -> Fixes {
    let has_problem = at
        .handshake()
        .is_some_and(|tls| tls.certificate_problem.is_some());
    let offer = at.seen.tls.wider_offer.as_ref();
    let offered = offer.and_then(|offer| offer.certificate.as_ref());
    let is_certificate = has_problem || offered.is_some_and(|offered| offered.unsupported.is_some());
    let client = advise(
        "client",
        "test the connection with a client that uses OpenSSL, such as redis-cli or a client for Python, Node.js, \
         PHP or Ruby. redis-cli does not check the name in the certificate",
    )
    .redis_cli(at, "PING");
    if is_certificate {
        client.and(
            "certificate",
            "or reissue the certificate in a form that every client accepts: X.509 version 3, the host name in \
             subjectAltName, an RSA key of at least 2048 bits or a key on the curve P-256, and a SHA-256 signature",
        )
    } else {
        client.and(
            "tls-version",
            "or, on the server, enable TLS 1.3 or a TLS 1.2 cipher suite that combines ECDHE with AES-GCM \
             (tls-protocols, tls-ciphers)",
        )
    }
}

pub(super) fn version(at: &FixContext) -> Fixes {
    match at.handshake().map(|tls| &tls.result) {
        Some(TlsResult::Alert(AlertDescription::NoApplicationProtocol)) => advise(
            "alpn",
            "check the port: Redis does not use ALPN, so the port probably belongs to another service, or to a proxy \
             that selects the server by ALPN. Configure such a proxy to accept connections without ALPN",
        ),
        Some(TlsResult::Alert(AlertDescription::UnknownPSKIdentity)) => advise(
            "psk",
            "configure the server to use a certificate: Redis clients do not support pre-shared keys (PSK)",
        ),
        _ => advise(
            "tls-version",
            "enable TLS 1.2 or 1.3 with a modern cipher suite on the server (tls-protocols, tls-ciphers)",
        ),
    }
}

pub(super) fn other_name(at: &FixContext) -> Fixes {
    let own = at.handshake().and_then(Handshake::certificate);
    if let (Some(TlsResult::BadName(name)), Some(_)) =
        (at.handshake().map(|tls| &tls.result), &at.trust().tls_name)
    {
        let host = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        let advice = advise(
            "tls-name",
            "give only a host name to --tls-name, without a scheme, a port or a path",
        );
        return match ServerName::try_from(host) {
            Ok(_) => advice.command(at.ping(&format!("--tls-name {} ", shell_quoted(host)))),
            Err(_) => advice,
        };
    }
    let (Some(own), Some(tls)) = (own, at.handshake()) else {
        let line = at.ping_without_password("--tls-name NAME ");
        let text = format!(
            "in the application's REDIS_URL, use a host name from the server's certificate (see the provider's \
             console or the server's configuration). To test a name without changing the URL, run {line}"
        );
        return advise("tls-name", text);
    };
    let expected = &tls.expected_name;
    let is_address = |name: &str| name.parse::<IpAddr>().is_ok();
    let reissue = if is_address(expected) {
        format!(
            "reissue the certificate with the address in subjectAltName, as IP:{expected}, not as DNS:{expected}"
        )
    } else {
        format!("reissue the certificate with the name {expected} in subjectAltName")
    };
    // The names come from the certificate, so put only plain host names into a command.
    let is_plain = |name: &&String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        name.bytes().all(is_plain)
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && !is_address(name)
    };
    let other = advise(
        "tls-name",
        "in the application's REDIS_URL, use a host name from the certificate. If the URL must contain another \
         host, for example because of a tunnel, use --tls-name to pass the name in the certificate",
    );
    let alias = at.seen.dns.as_ref().and_then(|lookup| lookup.alias.as_deref());
    let alias = alias.filter(|alias| own.is_for(alias) && at.trust().tls_name.is_none());
    if let Some(alias) = alias {
        return advise(
            "tls-name",
            format!(
                "use {alias} in the URL: the certificate is for this name, and {expected} is an alias (CNAME) of it"
            ),
        )
        .try_command(at, at.ping_at(alias, at.port()))
        .and("certificate", format!("or {reissue}"))
        .and_all(also_untrusted(tls));
    }
    let fixes = match own.names.iter().find(is_plain) {
        _ if at.trust().tls_name.is_some() && own.is_for(at.host()) && !is_address(at.host()) => advise(
            "tls-name",
            "remove --tls-name: the certificate is for the host in the URL",
        )
        .command(at.ping_without_tls_name()),
        Some(name) => other
            .command(at.ping(&format!("--tls-name {} ", shell_quoted(name))))
            .and("certificate", format!("or {reissue}")),
        None if own.names.iter().all(|name| is_address(name)) => advise("certificate", reissue),
        None => other.and("certificate", format!("or {reissue}")),
    };
    fixes.and_all(also_untrusted(tls))
}

pub(super) fn expired(at: &FixContext) -> Fixes {
    let Some(tls) = at.handshake() else {
        return clock("check this host's clock");
    };
    let clock_is_right = at
        .seen
        .tls
        .server_clock_ahead
        .is_some_and(|ahead| ahead.abs() < AGREE);
    let condition = if clock_is_right {
        ""
    } else {
        "if the clock is right, "
    };
    let problem = tls.certificate_problem.as_ref();
    let renew = match (problem, faulty(tls)) {
        (Some(CertificateProblem::NotValidYet), _) => advise(
            "certificate",
            format!(
                "{condition}install on the server a certificate that is already valid, such as the previous one if it \
                 has not expired (tls-cert-file, tls-key-file)"
            ),
        ),
        (_, Some(0) | None) => advise(
            "certificate",
            format!("{condition}renew the server's certificate, and load the new certificate on the server"),
        ),
        (_, Some(_)) => advise(
            "certificate",
            format!(
                "{condition}install the CA's current certificate. For an intermediate CA, install it on the server \
                 (in tls-cert-file, after the server's own certificate); for a root CA, install it on this host \
                 (--ca FILE, or the package ca-certificates)"
            ),
        ),
    };
    match at.seen.tls.server_clock_ahead {
        _ if clock_is_right => renew,
        Some(ahead) if is_valid_after(tls, ahead) => {
            clock("set this host's clock: according to the server's clock, the certificate is valid now")
        }
        _ => clock("check this host's clock first").and_all(renew),
    }
    .and_all(also_untrusted(tls))
    .and_all(also_other_name(tls))
}

fn clock(text: &str) -> Fixes {
    advise("clock", text).command("date -u")
}

/// Returns the index of the first certificate in the server's chain that is expired or not yet valid. Returns
/// `None` if all are valid.
pub(in crate::ping) fn faulty(tls: &Handshake) -> Option<usize> {
    let is_faulty = |one: &PeerCertificate| one.ends_in < 0 || one.begins_in > 0;
    tls.chain.iter().position(is_faulty)
}

/// Whether all certificates in the server's chain would be valid if this host's clock were `ahead` seconds
/// later. False if the clocks count as equal.
pub(in crate::ping) fn is_valid_after(tls: &Handshake, ahead: i64) -> bool {
    let is_valid = |one: &PeerCertificate| one.begins_in <= ahead && ahead <= one.ends_in;
    ahead.abs() >= AGREE && tls.chain.iter().all(is_valid)
}

pub(super) fn client_certificate(at: &FixContext) -> Fixes {
    let tls = at.handshake();
    if tls.is_some_and(|tls| matches!(tls.result, TlsResult::Unusable(_))) {
        return advise(
            "client-certificate",
            "correct the options --cert FILE and --key FILE, which need PEM files that contain the client's \
             certificate and its key",
        );
    }
    let accepted = tls
        .and_then(|tls| tls.client_certificate_request.clone())
        .unwrap_or_default();
    let by = match accepted.as_slice() {
        [] => "a CA that the server trusts (tls-ca-cert-file)".to_owned(),
        names => format!("a CA that the server accepts ({})", names.join("; ")),
    };
    match tls.and_then(|tls| tls.client_certificate.as_ref()) {
        Some(own) if own.ends_in < 0 => advise("client-certificate", "renew the client certificate"),
        Some(_) if at.seen.client_alert() == Some(AlertDescription::CertificateRevoked) => advise(
            "client-certificate",
            format!("get a new client certificate from {by}: the CA has revoked the present one"),
        ),
        Some(own) if at.seen.client_alert() == Some(AlertDescription::AccessDenied) => advise(
            "client-certificate",
            format!(
                "check which client certificates the server permits, for example by their subject (yours has the subject \
                 {}). The server's log contains the reason",
                own.subject
            ),
        ),
        Some(_) if at.seen.client_alert() == Some(AlertDescription::UnsupportedCertificate) => advise(
            "client-certificate",
            format!(
                "use a certificate for clients (extendedKeyUsage clientAuth) from {by}, with an RSA key or a key on the \
                 curve P-256"
            ),
        ),
        Some(own) => advise(
            "client-certificate",
            format!("use a certificate that is valid for client authentication, from {by}"),
        )
        .and(
            "server",
            format!("or add the certificate of the CA {} to tls-ca-cert-file on the server", own.issuer),
        )
        .and(
            "client-certificate",
            format!(
                "or, if {} is an intermediate CA, append its certificate to the file in --cert, after the client's \
                 own",
                own.issuer
            ),
        ),
        None => advise(
            "client-certificate",
            format!("add --cert FILE --key FILE, with a client certificate from {by}"),
        )
        .and(
            "server",
            "or set tls-auth-clients to no or optional on the server, so that clients do not need a certificate",
        ),
    }
}
