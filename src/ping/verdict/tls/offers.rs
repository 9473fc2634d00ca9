//! Determines the verdict on a server that has no TLS version or algorithm in common with this program.

use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use crate::ping::causes::Cause;
use crate::ping::observation::{Handshake, WiderOffer};
use crate::ping::verdict::finding::{Finding, alert_name};

/// Returns the finding about a handshake that ended before the server sent a certificate.
pub(super) fn nothing_in_common(
    alert: Option<AlertDescription>,
    tls: &Handshake,
    offer: Option<&WiderOffer>,
) -> Finding {
    use AlertDescription as Alert;
    let ended = match alert {
        Some(alert) => format!("the server sent the TLS alert {}", alert_name(alert)),
        None => "the server chose a TLS feature that this program had not offered".to_owned(),
    };
    if let Some(offer) = offer
        && let Some(finding) = judge_offer(offer)
    {
        return finding.fact(ended);
    }
    let is_about_offers = matches!(
        alert,
        None | Some(Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure)
    );
    let finding = if is_about_offers {
        Finding::proved(Cause::TlsVersion)
    } else {
        Finding::likely(Cause::TlsVersion).summary(match alert {
            Some(Alert::NoApplicationProtocol) => {
                "the server requires the TLS extension ALPN, which Redis clients do not use"
            }
            Some(Alert::UnknownPSKIdentity) => {
                "the server requires a pre-shared key (PSK), which this program does not support"
            }
            _ => "the server ends the TLS handshake with an alert",
        })
    };
    finding
        .fact(ended)
        .fact("this program offered TLS 1.2 and 1.3, with ECDHE and AES-GCM or ChaCha20")
        .facts(without_name(tls))
}

/// Returns the finding about the TLS version and algorithms that the server chose. Returns `None` if this
/// program supports all of them.
fn judge_offer(offer: &WiderOffer) -> Option<Finding> {
    let version = version_name(offer.version);
    let seen = format!(
        "on another connection, this program also offered TLS features that it does not support, and the server \
         chose {version} with {}",
        offer.cipher_suite
    );
    if !matches!(offer.version, ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3) {
        let finding = Finding::proved(Cause::TlsVersion).summary(format!(
            "the server supports no TLS version newer than {version}, which is obsolete"
        ));
        return Some(finding.fact(seen));
    }
    let certificate = offer.certificate.as_ref().and_then(|one| one.unsupported.clone());
    let what = certificate
        .map(|what| format!("the server's certificate has {what}"))
        .or_else(|| suite_kind(&offer.cipher_suite).map(|kind| format!("the server requires {kind}")))
        .or_else(|| {
            let group = offer.group.filter(|group| !SUPPORTED_GROUPS.contains(group))?;
            Some(format!("the server requires the key exchange group {group:?}"))
        })?;
    Some(
        Finding::proved(Cause::TlsUnsupported)
            .summary(format!(
                "{what}, which this program does not support; clients that use OpenSSL may support it"
            ))
            .fact(seen),
    )
}

const SUPPORTED_GROUPS: [NamedGroup; 3] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];

/// Describes a cipher suite, or returns `None` if rustls supports it. rustls supports AES-GCM and ChaCha20 in
/// TLS 1.3, and in older versions with ECDHE.
fn suite_kind(name: &str) -> Option<&'static str> {
    let has_known_key_exchange = !name.contains("_WITH_") || name.starts_with("TLS_ECDHE_");
    Some(match () {
        () if has_known_key_exchange && (name.contains("_GCM_") || name.contains("CHACHA20")) => return None,
        () if name.contains("_CBC_") => "a CBC cipher suite",
        () if name.contains("_CCM") => "a CCM cipher suite",
        () if name.starts_with("TLS_RSA_") => "a cipher suite with RSA key exchange",
        () if name.starts_with("TLS_DHE_") => "a cipher suite with DHE key exchange",
        () => "an unusual cipher suite",
    })
}

fn version_name(version: ProtocolVersion) -> String {
    format!("{version:?}").replace("TLSv", "TLS ").replace('_', ".")
}

/// Returns a note if no host name was sent, because the URL contains an IP address. A server with several
/// certificates needs the name to select the right certificate.
pub(super) fn without_name(tls: &Handshake) -> Option<&'static str> {
    tls.expected_name.parse::<std::net::IpAddr>().is_ok().then_some(
        "the URL contains an address instead of a name, so this program sent no server name (SNI); some servers \
         require one",
    )
}
