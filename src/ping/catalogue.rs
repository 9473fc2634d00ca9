//! Every cause and warning: its code, its exit status and its meaning in one place.

use crate::exit::Exit;

macro_rules! codes {
    ($(#[$about:meta])* $kind:ident { $($name:ident $code:literal $meaning:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind {
            $(#[doc = $meaning] $name,)*
        }

        impl $kind {
            /// All of them, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code that scripts may rely on.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it stands for, in a clause.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    /// The one thing that keeps Redis from answering.
    Cause {
        UrlInvalid "url.invalid" "no usable host, port or database can be read from the URL",
        UrlScheme "url.scheme" "the URL's scheme is not one of Redis",
        UrlEncoding "url.encoding" "the user name or password holds a character that must be percent-encoded",
        DnsNotFound "dns.not_found" "the resolver says that the name does not exist",
        DnsNoAddress "dns.no_address" "the name exists and has no address",
        DnsTimeout "dns.timeout" "no resolver answers",
        DnsServerFailure "dns.server_failure" "the resolver cannot or will not answer",
        TcpTimeout "tcp.timeout" "packets go out and nothing at all comes back",
        TcpRefused "tcp.refused" "the host answers, and nothing listens there",
        TcpUnreachable "tcp.unreachable" "there is no way to the address",
        TcpProhibited "tcp.prohibited" "a firewall or a rule says no",
        TlsRequired "tls.required" "the URL is plain, and the server speaks TLS",
        TlsNotOffered "tls.not_offered" "the URL asks for TLS, and the server speaks plain Redis",
        TlsUntrusted "tls.untrusted" "the certificate's chain ends at no trusted root",
        TlsNameMismatch "tls.name_mismatch" "the certificate is for other names",
        TlsExpired "tls.expired" "the certificate is expired, or not valid yet",
        TlsVersion "tls.version" "no TLS version or cipher in common",
        TlsClientCert "tls.client_cert" "the server demands a client certificate, or refuses the one given",
        TlsStalled "tls.stalled" "the TLS handshake starts and never ends",
        AuthRequired "auth.required" "the server wants a password, and none was given",
        AuthFailed "auth.failed" "the user name or the password is wrong",
        AuthNotConfigured "auth.not_configured" "a password was given, and the server has none set",
        AuthNoPermission "auth.no_permission" "logged in, and the ACL forbids commands that are needed",
        ProtoNotRedis "proto.not_redis" "something else than Redis answers",
        ProtoClosed "proto.closed" "the server accepts, and closes without a complete reply",
        ServerSilent "server.silent" "the connection opens, and no complete reply ever comes",
        ServerMaxClients "server.max_clients" "the server has no place for another client",
        ServerProtectedMode "server.protected_mode" "the server is in protected mode",
        ServerLoading "server.loading" "the server is still loading its data",
        ServerBusy "server.busy" "the server is busy running a script",
        ServerOutOfMemory "server.out_of_memory" "the server's memory is full",
        ServerMisconf "server.misconf" "the server refuses writes, because saving to disk failed",
        ServerNoReplicas "server.no_replicas" "the server refuses writes, because too few replicas follow it",
        RoleReplica "role.replica" "this is a read-only replica",
        RoleMasterDown "role.master_down" "this replica has lost its primary",
        RoleSentinel "role.sentinel" "this is a Sentinel, not a data node",
        ClusterMode "cluster.mode" "cluster mode is enabled",
        ClusterDown "cluster.down" "the node answers, and its cluster is down",
        DbIndex "db.index" "the database number is out of range",
    }
}

codes! {
    /// Something to know about a Redis that works.
    Warning {
        RoleReplica "role.replica" "this is a read-only replica",
        RoleMasterDown "role.master_down" "this replica has lost its primary and serves stale data",
        UrlEncoding "url.encoding" "the password holds an unencoded `@`",
        UrlSuspect "url.suspect" "the URL says something that many clients ignore or read otherwise",
        ClusterMode "cluster.mode" "cluster mode is enabled",
        ClusterUnreachableNodes "cluster.unreachable_nodes" "a node that the cluster announces does not answer",
        LatencyHigh "latency.high" "round trips are slow",
        LatencyJitter "latency.jitter" "round trips vary much",
        DnsPartial "dns.partial" "some addresses of the name do not answer",
        TlsExpiresSoon "tls.expires_soon" "the certificate expires soon",
        AuthPlaintext "auth.plaintext" "the password travels unencrypted",
        ServerEviction "server.eviction" "the server may evict sessions, or refuse writes, for want of memory",
    }
}

impl Cause {
    /// The exit status of a ping that ends with it.
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

    /// Finds a cause by its code.
    #[must_use]
    pub fn by_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.code() == code)
    }
}

/// Something to do about a cause.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// A word for the kind of fix, such as `security-group`.
    pub kind: &'static str,
    /// What to do.
    pub text: String,
    /// A line that can be pasted as it is.
    pub command: Option<String>,
}

impl Fix {
    /// A fix without a command.
    pub fn text(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            command: None,
        }
    }

    /// A fix with a line to paste.
    pub fn command(kind: &'static str, text: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            command: Some(command.into()),
        }
    }
}
