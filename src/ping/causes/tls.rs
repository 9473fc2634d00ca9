//! What to do about TLS that is missing, unexpected, not to be trusted or stuck.

use super::{Cause, Fix, FixContext};

pub(super) fn fixes(cause: Cause, at: &FixContext) -> Vec<Fix> {
    let say = |kind, text: &str| vec![Fix::say(kind, text)];
    match cause {
        Cause::TlsRequired => vec![Fix::paste(
            "tls",
            "use TLS: the URL begins with rediss://",
            at.ping("rediss", at.port),
        )],
        Cause::TlsNotOffered => vec![Fix::paste(
            "tls",
            "leave TLS out: the URL begins with redis:// (or switch encryption in transit on)",
            at.ping("redis", at.port),
        )],
        Cause::TlsUntrusted if at.has_unfit_certificate => say(
            "certificate",
            "have the server's certificate issued anew: signed with SHA-256, for servers (extendedKeyUsage \
             serverAuth), and no authority's (basicConstraints CA:FALSE)",
        ),
        Cause::TlsUntrusted => vec![
            Fix::say(
                "ca",
                "trust the authority that signed it: --ca FILE, or SSL_CERT_FILE",
            ),
            Fix::paste(
                "ca",
                "for a managed cache, install the system's roots",
                "sudo apt-get install ca-certificates",
            ),
            Fix::say("chain", "the server must also send the intermediate certificates"),
        ],
        Cause::TlsNameMismatch => say(
            "tls-name",
            "connect by a name that the certificate is for; through a tunnel or a CNAME, add --tls-name NAME",
        ),
        Cause::TlsExpired => vec![
            Fix::paste("clock", "check the clock of this host first", "timedatectl"),
            Fix::say("certificate", "renew the server's certificate"),
        ],
        Cause::TlsVersion => say(
            "tls-version",
            "let the server offer TLS 1.2 or 1.3 with a modern cipher",
        ),
        Cause::TlsClientCert => say(
            "client-certificate",
            "give the client certificate: --cert FILE --key FILE",
        ),
        Cause::TlsStalled => vec![
            Fix::paste(
                "mtu",
                "large packets may be lost on the way: try a smaller MTU",
                format!(
                    "sudo ip link set dev \"$({} | grep -oP 'dev \\K\\S+')\" mtu 1200",
                    at.route()
                ),
            ),
            Fix::say(
                "mtu",
                "let ICMP \"fragmentation needed\" (3/4) pass the firewalls",
            ),
            Fix::say("proxy", "a proxy in between may have no backend"),
        ],
        Cause::TlsExpiresSoon => say("certificate", "renew the server's certificate"),
        _ => Vec::new(),
    }
}
