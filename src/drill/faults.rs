//! The table of faults, one entry per drill.

use std::io;

use super::broken_server::{Behaviour, Certificate};
use super::endpoint::{
    Drill, PASSWORD, WRONG_PASSWORD, behind, cluster, dropped, over_tls, refused, served, slow, with_fault,
    with_password, without_clients,
};
use crate::ping::causes::Cause;
use crate::practice::{ServerOptions, SimulatedFault};

/// A fault that the learner has to diagnose.
#[derive(Debug)]
pub struct DrillFault {
    /// The name of the fault on the command line.
    pub name: &'static str,
    /// A description of the fault for the list of answers.
    pub title: &'static str,
    /// The cause that `ping` reports.
    pub cause: Cause,
    /// Starts the broken endpoint on a free loopback port.
    pub(super) endpoint: fn() -> io::Result<Drill>,
    /// The symptom that any tool shows, without an explanation.
    pub symptom: &'static str,
    /// The evidence that distinguishes this fault from similar faults.
    pub evidence: &'static str,
    /// The names of similar faults, which are offered as wrong answers, and the evidence against each. The
    /// evidence must not reveal the right answer.
    pub look_alikes: [(&'static str, &'static str); 4],
}

impl DrillFault {
    /// Returns the evidence against a similar fault, or `None` if `other` is not one of the similar faults.
    #[must_use]
    pub fn contradiction_to(&self, other: &DrillFault) -> Option<&'static str> {
        let mut look_alikes = self.look_alikes.iter();
        let (_, contradiction) = look_alikes.find(|(name, _)| *name == other.name)?;
        Some(contradiction)
    }
}

/// Returns the fault with this name, or `None` if no fault has this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static DrillFault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

/// All faults, sorted by layer, the lowest layer first.
pub static FAULTS: &[DrillFault] = &[
    DrillFault {
        name: "refused",
        title: "no process is listening on the port",
        cause: Cause::TcpRefused,
        endpoint: refused,
        symptom: "a connection attempt fails at once with an RST",
        evidence: "the host replies at once with an RST, the TCP packet that rejects a connection. So the host \
                   is reachable, but no process is listening on the port. A firewall that drops packets would \
                   not reply, and a paused server process would still accept connections",
        look_alikes: [
            (
                "dropped",
                "a connection attempt fails at once, without waiting for a reply",
            ),
            ("closed", "TCP does not connect"),
            ("silent", "TCP does not connect"),
            (
                "max-clients",
                "TCP does not connect, so the server cannot send anything",
            ),
        ],
    },
    DrillFault {
        name: "dropped",
        title: "packets are dropped, so there is no reply at all",
        cause: Cause::TcpTimeout,
        endpoint: dropped,
        symptom: "a connection attempt gets neither a SYN-ACK nor an RST",
        evidence: "a SYN packet asks for a TCP connection. Here, the SYN gets neither a SYN-ACK, which accepts \
                   the connection, nor an RST, which rejects it. A security group that blocks your packets has \
                   the same effect. In this drill, the server's queue of new connections is full",
        look_alikes: [
            ("refused", "no RST arrives"),
            ("silent", "TCP does not connect"),
            ("closed", "TCP does not connect"),
            ("slow", "TCP does not connect, so no command succeeds"),
        ],
    },
    DrillFault {
        name: "closed",
        title: "the server accepts connections and closes them at once",
        cause: Cause::ProtoClosed,
        endpoint: || behind(Behaviour::Close),
        symptom: "TCP connects, and the server closes the connection at once without sending a byte",
        evidence: "TCP connects, but the server closes the connection without sending a byte. Redis would send \
                   an error before it rejects a client. A proxy that cannot reach its Redis server closes \
                   connections like this",
        look_alikes: [
            ("refused", "TCP connects"),
            ("silent", "the connection does not stay open"),
            ("tls-only", "a TLS handshake does not succeed"),
            ("max-clients", "the server sends no text"),
        ],
    },
    DrillFault {
        name: "silent",
        title: "the server accepts connections but never replies",
        cause: Cause::ServerSilent,
        endpoint: || behind(Behaviour::Ignore),
        symptom: "TCP connects, but neither PING nor a TLS ClientHello gets a reply",
        evidence: "TCP connects, so the network works. But neither PING nor a ClientHello (the first message of \
                   TLS) gets a reply, so the server process is stopped or stuck. If a security group blocked \
                   your packets, TCP would not connect",
        look_alikes: [
            ("dropped", "TCP connects"),
            ("tls-only", "a TLS handshake does not succeed"),
            ("slow", "no command succeeds, however long you wait"),
            ("closed", "the connection stays open"),
        ],
    },
    DrillFault {
        name: "http",
        title: "the server is not Redis but a web server",
        cause: Cause::ProtoNotRedis,
        endpoint: || behind(Behaviour::WebServer),
        symptom: "the reply to PING starts with HTTP/1.1",
        evidence: "the reply starts with HTTP/1.1, so the port belongs to a web server. No reply of Redis \
                   starts with H",
        look_alikes: [
            ("closed", "bytes arrive before the server closes the connection"),
            ("tls-only", "PING without TLS gets a reply"),
            ("loading", "the reply does not contain LOADING"),
            ("silent", "PING gets a reply"),
        ],
    },
    DrillFault {
        name: "tls-only",
        title: "the server requires TLS, but the URL is redis://",
        cause: Cause::TlsRequired,
        endpoint: || over_tls("redis", Certificate::Right),
        symptom: "PING without TLS gets no reply, but a TLS handshake succeeds",
        evidence: "PING without TLS gets no Redis reply, but a TLS handshake on a second connection succeeds. \
                   So the URL must start with rediss://",
        look_alikes: [
            ("plain-only", "the URL starts with redis://"),
            ("silent", "one of these two gets a reply"),
            (
                "closed",
                "as long as the server receives no data, it does not close the connection",
            ),
            ("wrong-password", "no reply contains WRONGPASS"),
        ],
    },
    DrillFault {
        name: "plain-only",
        title: "the URL is rediss://, but the server does not support TLS",
        cause: Cause::TlsNotOffered,
        endpoint: || served("rediss", "", ServerOptions::default()),
        symptom: "a TLS handshake gets no reply, but PING without TLS returns PONG",
        evidence: "the ClientHello, which is the first message of TLS, gets no reply. Redis waits for a \
                   newline, but a ClientHello contains no newline. On a second connection, PING without TLS \
                   works. So the URL must start with redis://",
        look_alikes: [
            ("tls-only", "the URL starts with rediss://"),
            ("silent", "one of these two gets a reply"),
            ("expired-certificate", "no certificate arrives"),
            ("wrong-name", "no certificate arrives"),
        ],
    },
    DrillFault {
        name: "expired-certificate",
        title: "the certificate has expired",
        cause: Cause::TlsExpired,
        endpoint: || over_tls("rediss", Certificate::Expired),
        symptom: "the server's certificate lists the host of the URL, but its end date has passed",
        evidence: "the CA is trusted and the name matches, but the certificate's end date has passed. Check the \
                   clock of this host, too, because a wrong clock has the same effect",
        look_alikes: [
            ("wrong-name", "the certificate lists the host of the URL"),
            ("tls-only", "the URL starts with rediss://"),
            ("plain-only", "a TLS handshake gets a reply"),
            ("closed", "the server sends a certificate"),
        ],
    },
    DrillFault {
        name: "wrong-name",
        title: "the certificate is for another name",
        cause: Cause::TlsNameMismatch,
        endpoint: || over_tls("rediss", Certificate::Misnamed),
        symptom: "the server's certificate has not expired, but it does not list the host of the URL",
        evidence: "the certificate has not expired and its CA is trusted, but the certificate does not list the \
                   host of the URL. This happens if you connect through a CNAME, an IP address or a tunnel. \
                   With --tls-name, you can set the name that ping expects",
        look_alikes: [
            (
                "expired-certificate",
                "the end date of the certificate has not passed",
            ),
            ("tls-only", "the URL starts with rediss://"),
            ("plain-only", "a TLS handshake gets a reply"),
            ("wrong-password", "the URL contains no password"),
        ],
    },
    DrillFault {
        name: "wrong-password",
        title: "the password is wrong",
        cause: Cause::AuthFailed,
        endpoint: || with_password(WRONG_PASSWORD, SimulatedFault::None),
        symptom: "AUTH returns WRONGPASS",
        evidence: "AUTH returns WRONGPASS. Without a password, commands would return NOAUTH. Without \
                   permissions, they would return NOPERM",
        look_alikes: [
            ("acl", "AUTH does not succeed"),
            ("loading", "no reply contains LOADING"),
            ("tls-only", "commands without TLS get a reply"),
            (
                "max-clients",
                "the server sends nothing before it has received a command",
            ),
        ],
    },
    DrillFault {
        name: "acl",
        title: "the login works, but the ACL forbids the commands",
        cause: Cause::AuthNoPermission,
        endpoint: || with_password(PASSWORD, SimulatedFault::NoPermission),
        symptom: "AUTH succeeds, but commands return NOPERM",
        evidence: "the login succeeds, so the password is right. But commands return NOPERM, because the user's \
                   ACL rules do not allow them",
        look_alikes: [
            ("wrong-password", "AUTH succeeds"),
            ("replica", "no reply contains READONLY"),
            ("loading", "no reply contains LOADING"),
            ("cluster", "no reply contains MOVED"),
        ],
    },
    DrillFault {
        name: "max-clients",
        title: "the server has reached its client limit",
        cause: Cause::ServerMaxClients,
        endpoint: without_clients,
        symptom: "the server sends \"max number of clients reached\" as soon as TCP connects",
        evidence: "before the server receives any command, it sends `max number of clients reached` and closes \
                   the connection. Check whether an application opens connections without closing them",
        look_alikes: [
            (
                "closed",
                "the server sends a text before it closes the connection",
            ),
            ("loading", "no reply contains LOADING"),
            ("wrong-password", "no reply contains WRONGPASS"),
            ("refused", "TCP connects"),
        ],
    },
    DrillFault {
        name: "loading",
        title: "the server is still loading its data",
        cause: Cause::ServerLoading,
        endpoint: || with_fault(SimulatedFault::Loading),
        symptom: "PING returns LOADING at once",
        evidence: "PING returns LOADING. The server has just started, and will accept commands when it has \
                   loaded all data into memory",
        look_alikes: [
            ("slow", "not every command succeeds"),
            ("silent", "PING gets a reply"),
            ("replica", "PING does not return PONG"),
            (
                "max-clients",
                "the server sends nothing before it has received a command",
            ),
        ],
    },
    DrillFault {
        name: "replica",
        title: "the server is a replica and rejects writes",
        cause: Cause::RoleReplica,
        endpoint: || with_fault(SimulatedFault::Replica),
        symptom: "PING returns PONG at once, but a write returns READONLY",
        evidence: "PING works, but a write returns READONLY. The URL contains a reader endpoint, or the address \
                   of a node that is no longer the primary",
        look_alikes: [
            ("acl", "no reply contains NOPERM"),
            ("cluster", "no reply contains MOVED"),
            ("loading", "PING returns PONG"),
            ("wrong-password", "the URL contains no password"),
        ],
    },
    DrillFault {
        name: "cluster",
        title: "the server is a cluster node, and the key is on another node",
        cause: Cause::ClusterMode,
        endpoint: cluster,
        symptom: "PING returns PONG at once, but a command with a key returns MOVED",
        evidence: "PING works, but a command with a key returns MOVED and another address. So the client must \
                   support the cluster protocol",
        look_alikes: [
            ("replica", "no reply contains READONLY"),
            ("acl", "no reply contains NOPERM"),
            ("loading", "PING returns PONG"),
            ("closed", "commands get replies"),
        ],
    },
    DrillFault {
        name: "slow",
        title: "the server works, but every round trip is slow",
        cause: Cause::LatencyHigh,
        endpoint: slow,
        symptom: "every command succeeds, but takes a tenth of a second",
        evidence: "every command works, but takes a tenth of a second. A page that sends ten commands one by \
                   one takes a whole second. Check whether the server is in another availability zone or region",
        look_alikes: [
            ("loading", "PING returns PONG"),
            ("silent", "every command gets a reply"),
            ("dropped", "TCP connects"),
            ("replica", "no reply contains READONLY"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_alike_is_another_fault_that_exists() {
        for fault in FAULTS {
            for (index, (name, contradiction)) in fault.look_alikes.iter().enumerate() {
                assert!(find(name).is_some(), "{name}");
                assert_ne!(*name, fault.name);
                assert_ne!(*contradiction, fault.symptom, "{name}");
                assert!(
                    !fault.look_alikes[..index]
                        .iter()
                        .any(|(earlier, _)| earlier == name),
                    "{}: {name} twice",
                    fault.name
                );
            }
        }
    }
}
