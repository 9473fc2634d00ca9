//! The faults: one entry each.

use crate::ping::causes::Cause;

/// A fault to be named.
#[derive(Debug)]
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is wrong, as the list of answers has it.
    pub title: &'static str,
    /// What `ping` says of it.
    pub cause: Cause,
    /// How the endpoint is broken.
    pub setting: Setting,
    /// The evidence that tells it from its look-alikes.
    pub evidence: &'static str,
    /// The names of what it is easily taken for.
    pub look_alikes: [&'static str; 4],
}

/// How an endpoint is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Nobody listens.
    Refused,
    /// The queue of connections is full, and nobody takes them out of it.
    Dropped,
    /// It speaks TLS, and the URL is plain.
    TlsOnly,
    /// It speaks plain Redis, and the URL asks for TLS.
    PlainOnly,
    /// The URL has another password.
    WrongPassword,
    /// The user may do nothing.
    Forbidden,
    /// It only reads.
    Replica,
    /// Its keys are on another node.
    ClusterNode,
    /// It has no room for a client.
    MaxClients,
    /// It loads its data.
    Loading,
    /// It takes connections and says nothing.
    Silent,
    /// It is a web server.
    Http,
    /// It closes whatever connects.
    Closed,
    /// Its certificate is out of date.
    ExpiredCertificate,
    /// Its certificate is somebody else's.
    WrongName,
    /// It takes its time.
    Slow,
}

/// The fault of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

/// All faults, from the lowest layer up.
pub static FAULTS: &[Fault] = &[
    Fault {
        name: "refused",
        title: "nothing listens on the port",
        cause: Cause::TcpRefused,
        setting: Setting::Refused,
        evidence: "the answer (RST) came at once: the host is reachable and says that nobody is there. A firewall that \
                   drops packets is silent instead, and a stopped server still accepts",
        look_alikes: ["dropped", "closed", "silent", "max-clients"],
    },
    Fault {
        name: "dropped",
        title: "packets are dropped: nothing at all comes back",
        cause: Cause::TcpTimeout,
        setting: Setting::Dropped,
        evidence: "SYN packets went out and neither an answer nor a refusal came back. A security group looks the same \
                   from outside; on loopback it is a full accept queue, whose server no longer takes connections out",
        look_alikes: ["refused", "silent", "closed", "slow"],
    },
    Fault {
        name: "closed",
        title: "the server accepts and closes at once",
        cause: Cause::ProtoClosed,
        setting: Setting::Closed,
        evidence: "TCP connects, and then the connection ends without a byte. Redis says why it turns a client away; \
                   a proxy without a backend does not",
        look_alikes: ["refused", "silent", "tls-only", "max-clients"],
    },
    Fault {
        name: "silent",
        title: "the server accepts and never answers",
        cause: Cause::ServerSilent,
        setting: Setting::Silent,
        evidence: "TCP connects, so the network is fine, and neither a PING nor a TLS hello gets an answer: a stopped or \
                   stuck process. With a security group not even TCP would connect",
        look_alikes: ["dropped", "tls-only", "slow", "closed"],
    },
    Fault {
        name: "http",
        title: "it is not Redis: a web server answers",
        cause: Cause::ProtoNotRedis,
        setting: Setting::Http,
        evidence: "the answer begins with HTTP/1.1, and no Redis reply begins with an H: the port is another service's",
        look_alikes: ["closed", "tls-only", "loading", "silent"],
    },
    Fault {
        name: "tls-only",
        title: "the server speaks TLS, the URL is plain",
        cause: Cause::TlsRequired,
        setting: Setting::TlsOnly,
        evidence: "a plain PING gets no Redis reply, and a TLS handshake on a second connection succeeds: the URL must \
                   begin with rediss://",
        look_alikes: ["plain-only", "silent", "closed", "wrong-password"],
    },
    Fault {
        name: "plain-only",
        title: "the URL asks for TLS, the server speaks none",
        cause: Cause::TlsNotOffered,
        setting: Setting::PlainOnly,
        evidence: "the TLS hello gets silence, because there is no line end in it for which Redis waits, and a plain PING on a \
                   second connection is answered: the URL must begin with redis://",
        look_alikes: ["tls-only", "silent", "expired-certificate", "wrong-name"],
    },
    Fault {
        name: "expired-certificate",
        title: "the certificate is out of date",
        cause: Cause::TlsExpired,
        setting: Setting::ExpiredCertificate,
        evidence: "the authority is trusted and the name is right, and the last day in the certificate has passed. Compare \
                   with this machine's clock, which can be wrong as well",
        look_alikes: ["wrong-name", "tls-only", "plain-only", "closed"],
    },
    Fault {
        name: "wrong-name",
        title: "the certificate is for another name",
        cause: Cause::TlsNameMismatch,
        setting: Setting::WrongName,
        evidence: "the certificate is valid and trusted, and the URL's host is not among its names: that happens with a \
                   CNAME, an address instead of a name, or a tunnel (--tls-name says what to expect)",
        look_alikes: ["expired-certificate", "tls-only", "plain-only", "wrong-password"],
    },
    Fault {
        name: "wrong-password",
        title: "the password is wrong",
        cause: Cause::AuthFailed,
        setting: Setting::WrongPassword,
        evidence: "AUTH got WRONGPASS. Without a password it would be NOAUTH, and a user who may log in but do nothing gets \
                   NOPERM",
        look_alikes: ["acl", "loading", "tls-only", "max-clients"],
    },
    Fault {
        name: "acl",
        title: "logged in, and the ACL forbids the commands",
        cause: Cause::AuthNoPermission,
        setting: Setting::Forbidden,
        evidence: "the login worked and the commands get NOPERM: the password is right, the user's rules are not",
        look_alikes: ["wrong-password", "replica", "loading", "cluster"],
    },
    Fault {
        name: "max-clients",
        title: "the server has no room for another client",
        cause: Cause::ServerMaxClients,
        setting: Setting::MaxClients,
        evidence: "before anything was asked, the server said `max number of clients reached` and closed: look for a pool \
                   that leaks connections",
        look_alikes: ["closed", "loading", "wrong-password", "refused"],
    },
    Fault {
        name: "loading",
        title: "the server is still loading its data",
        cause: Cause::ServerLoading,
        setting: Setting::Loading,
        evidence: "it answers LOADING to a PING: it has just started, and will serve when its data is in memory",
        look_alikes: ["slow", "silent", "replica", "max-clients"],
    },
    Fault {
        name: "replica",
        title: "it is a replica: it reads and does not write",
        cause: Cause::RoleReplica,
        setting: Setting::Replica,
        evidence: "PING is answered, and a write gets READONLY: the URL leads to a reader endpoint, or to a node that is no \
                   longer the primary",
        look_alikes: ["acl", "cluster", "loading", "wrong-password"],
    },
    Fault {
        name: "cluster",
        title: "it is a cluster: the key is on another node",
        cause: Cause::ClusterMode,
        setting: Setting::ClusterNode,
        evidence: "PING is answered, and a command with a key gets MOVED with another address: the client must speak the \
                   cluster's protocol",
        look_alikes: ["replica", "acl", "loading", "closed"],
    },
    Fault {
        name: "slow",
        title: "it works, and every round trip is slow",
        cause: Cause::LatencyHigh,
        setting: Setting::Slow,
        evidence: "every command is answered, a tenth of a second late. A page that asks Redis ten times waits a whole second: \
                   look for a server in another zone or region",
        look_alikes: ["loading", "silent", "dropped", "replica"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_alike_is_another_fault_that_exists() {
        for fault in FAULTS {
            for (index, name) in fault.look_alikes.iter().enumerate() {
                assert!(find(name).is_some(), "{name}");
                assert_ne!(*name, fault.name);
                assert!(
                    !fault.look_alikes[..index].contains(name),
                    "{}: {name} twice",
                    fault.name
                );
            }
        }
    }
}
