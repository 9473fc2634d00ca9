//! Every cause and warning: its code, its exit status, and the kind of each fix. The one place for each fact.

mod context;
mod dns;
mod server;
mod tcp;
mod tls;
mod url;

use crate::exit::Exit;

pub(crate) use context::FixContext;

macro_rules! codes {
    ($($variant:ident $code:literal $meaning:literal;)+) => {
        /// What `ping` can say: a cause, or a warning beside a connection that works.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause {
            $(#[doc = $meaning] $variant,)+
        }

        impl Cause {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code that scripts rely on.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What is wrong, in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    UrlInvalid "url.invalid" "the URL cannot be used";
    UrlScheme "url.scheme" "the URL scheme is not a Redis scheme";
    UrlEncoding "url.encoding" "the user name or password in the URL contains a character that must be percent-encoded";
    UrlSuspect "url.suspect" "the URL is probably not what you meant";
    DnsNotFound "dns.not_found" "the host name does not exist";
    DnsNoAddress "dns.no_address" "the host name exists but has no address";
    DnsTimeout "dns.timeout" "no name server replies";
    DnsServerFailure "dns.server_failure" "the name server cannot or will not resolve the host name";
    DnsPartial "dns.partial" "some addresses of the host name do not work";
    TcpTimeout "tcp.timeout" "connection attempts get no reply at all";
    TcpRefused "tcp.refused" "no process is listening on the port";
    TcpUnreachable "tcp.unreachable" "the address is unreachable";
    TcpProhibited "tcp.prohibited" "a firewall or rule blocks the connection";
    TlsRequired "tls.required" "the server speaks TLS, but the URL is redis://";
    TlsNotOffered "tls.not_offered" "the server does not speak TLS, but the URL is rediss://";
    TlsUntrusted "tls.untrusted" "the certificate is not signed by a trusted CA";
    TlsNameMismatch "tls.name_mismatch" "the certificate is for other names";
    TlsExpired "tls.expired" "the certificate has expired or is not valid yet";
    TlsVersion "tls.version" "client and server have no TLS version or cipher in common";
    TlsClientCert "tls.client_cert" "the server requires a client certificate that it trusts";
    TlsStalled "tls.stalled" "the TLS handshake starts but never completes";
    TlsExpiresSoon "tls.expires_soon" "the certificate expires soon";
    AuthRequired "auth.required" "a password is required, but none was given";
    AuthFailed "auth.failed" "the user name or password is wrong";
    AuthNotConfigured "auth.not_configured" "a password was given, but the server has none set";
    AuthNoPermission "auth.no_permission" "the user is not allowed to run a required command";
    AuthPlaintext "auth.plaintext" "the password is sent over the network unencrypted";
    ProtoNotRedis "proto.not_redis" "the server is not a Redis server";
    ProtoClosed "proto.closed" "the server accepts the connection, then closes it without a complete reply";
    ServerSilent "server.silent" "the server accepts the connection but never replies";
    ServerMaxClients "server.max_clients" "Redis has reached maxclients and rejects new connections";
    ServerProtectedMode "server.protected_mode" "Redis is in protected mode and accepts only local clients";
    ServerLoading "server.loading" "Redis is still loading its data set";
    ServerBusy "server.busy" "a long-running script blocks Redis for all other clients";
    ServerOutOfMemory "server.out_of_memory" "Redis is out of memory and refuses writes";
    ServerMisconf "server.misconf" "Redis refuses writes because it cannot save its data to disk";
    ServerNoReplicas "server.no_replicas" "too few in-sync replicas: Redis refuses writes";
    ServerEviction "server.eviction" "Redis may evict sessions when memory is full";
    RoleReplica "role.replica" "the server is a read-only replica";
    RoleMasterDown "role.master_down" "the server is a replica that has lost its primary";
    RoleSentinel "role.sentinel" "the server is a Sentinel, which stores no data";
    ClusterMode "cluster.mode" "the server is a cluster node; clients must use the cluster protocol";
    ClusterDown "cluster.down" "the cluster is down";
    ClusterUnreachableNodes "cluster.unreachable_nodes" "the cluster announces node addresses that cannot be reached from here";
    DbIndex "db.index" "the server has no database with that number";
    LatencyHigh "latency.high" "round trips are slow";
    LatencyJitter "latency.jitter" "round trip times vary widely";
}

impl Cause {
    /// What to do about it, most promising first.
    #[must_use]
    pub fn fixes(self, at: &FixContext) -> Vec<Fix> {
        url::fixes(self, at)
    }

    /// The exit status of a `ping` that ends with this cause.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self.code().split('.').next().unwrap_or_default() {
            "url" => Exit::Usage,
            "dns" => Exit::Dns,
            "tcp" => Exit::Tcp,
            "tls" => Exit::Tls,
            "auth" => Exit::Auth,
            _ => Exit::Server,
        }
    }
}

/// Something to do about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// A word for scripts, such as `security-group`.
    pub kind: &'static str,
    /// What to do, for people.
    pub text: String,
    /// A line that can be pasted as it is.
    pub command: Option<String>,
}

impl Fix {
    /// A fix without a command.
    #[must_use]
    pub fn say(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            command: None,
        }
    }

    /// A fix with a line to paste.
    #[must_use]
    pub fn paste(kind: &'static str, text: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            command: Some(command.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_belongs_to_an_exit_status_of_the_table() {
        for code in Cause::ALL {
            assert!(code.code().contains('.') && !code.meaning().is_empty());
            assert_ne!(code.exit(), Exit::Ok);
        }
    }
}
