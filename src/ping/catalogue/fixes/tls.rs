//! What to do about TLS that is missing, unexpected, not to be trusted or stuck.

use super::{Circumstances, Code, Fix};

pub(super) fn fixes(code: Code, at: &Circumstances) -> Vec<Fix> {
    let say = |kind, text: &str| vec![Fix::say(kind, text)];
    match code {
        Code::TlsRequired => vec![Fix::paste(
            "tls",
            "use TLS: the URL begins with rediss://",
            at.ping("rediss", at.port),
        )],
        Code::TlsNotOffered => vec![Fix::paste(
            "tls",
            "leave TLS out: the URL begins with redis:// (or switch encryption in transit on)",
            at.ping("redis", at.port),
        )],
        Code::TlsUntrusted if at.has_unfit_certificate => say(
            "certificate",
            "have the server's certificate issued anew: signed with SHA-256, for servers (extendedKeyUsage \
             serverAuth), and no authority's (basicConstraints CA:FALSE)",
        ),
        Code::TlsUntrusted => vec![
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
        Code::TlsNameMismatch => say(
            "tls-name",
            "connect by a name that the certificate is for; through a tunnel or a CNAME, add --tls-name NAME",
        ),
        Code::TlsExpired => vec![
            Fix::paste("clock", "check the clock of this host first", "timedatectl"),
            Fix::say("certificate", "renew the server's certificate"),
        ],
        Code::TlsVersion => say(
            "tls-version",
            "let the server offer TLS 1.2 or 1.3 with a modern cipher",
        ),
        Code::TlsClientCert => say(
            "client-certificate",
            "give the client certificate: --cert FILE --key FILE",
        ),
        Code::TlsStalled => vec![
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
        Code::TlsExpiresSoon => say("certificate", "renew the server's certificate"),
        _ => Vec::new(),
    }
}
