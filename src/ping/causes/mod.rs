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

            /// The truth that it stands for, in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    UrlInvalid "url.invalid" "the URL cannot be used";
    UrlScheme "url.scheme" "the URL's scheme is not Redis's";
    UrlEncoding "url.encoding" "the URL's user name or password holds a character that must be percent-encoded";
    UrlSuspect "url.suspect" "the URL probably does not say what was meant";
    DnsNotFound "dns.not_found" "the name does not exist";
    DnsNoAddress "dns.no_address" "the name exists and has no address";
    DnsTimeout "dns.timeout" "no name server answers";
    DnsServerFailure "dns.server_failure" "the name server cannot or will not answer";
    DnsPartial "dns.partial" "some addresses of the name do not answer";
    TcpTimeout "tcp.timeout" "packets go out and nothing at all comes back";
    TcpRefused "tcp.refused" "nothing listens there";
    TcpUnreachable "tcp.unreachable" "there is no way to that address";
    TcpProhibited "tcp.prohibited" "a firewall or a rule says no";
    TlsRequired "tls.required" "the server speaks TLS, and the URL is plain";
    TlsNotOffered "tls.not_offered" "the server speaks plain Redis, and the URL asks for TLS";
    TlsUntrusted "tls.untrusted" "the certificate is signed by nobody that is trusted here";
    TlsNameMismatch "tls.name_mismatch" "the certificate is for other names";
    TlsExpired "tls.expired" "the certificate is not valid now";
    TlsVersion "tls.version" "no TLS version or cipher in common";
    TlsClientCert "tls.client_cert" "the server wants a client certificate that it trusts";
    TlsStalled "tls.stalled" "the TLS handshake starts and never ends";
    TlsExpiresSoon "tls.expires_soon" "the certificate expires soon";
    AuthRequired "auth.required" "the server wants a password, and the URL has none";
    AuthFailed "auth.failed" "the password, or the user name, is wrong";
    AuthNotConfigured "auth.not_configured" "the URL has a password, and the server has none set";
    AuthNoPermission "auth.no_permission" "logged in, and not allowed to do what is needed";
    AuthPlaintext "auth.plaintext" "the password crosses the network unencrypted";
    ProtoNotRedis "proto.not_redis" "something that is not Redis answers";
    ProtoClosed "proto.closed" "the connection is accepted, and then closed without a reply";
    ServerSilent "server.silent" "the connection is accepted, and no reply ever comes";
    ServerMaxClients "server.max_clients" "Redis has as many clients as it takes";
    ServerProtectedMode "server.protected_mode" "Redis is in protected mode and takes local clients only";
    ServerLoading "server.loading" "Redis is loading its data";
    ServerBusy "server.busy" "Redis is busy with a script";
    ServerOutOfMemory "server.out_of_memory" "Redis is out of memory and refuses writes";
    ServerMisconf "server.misconf" "Redis has stopped writes, because it cannot save its data";
    ServerNoReplicas "server.no_replicas" "Redis has too few replicas and refuses writes";
    ServerEviction "server.eviction" "Redis may throw sessions away when memory runs short";
    RoleReplica "role.replica" "a read-only replica";
    RoleMasterDown "role.master_down" "a replica that has lost its primary";
    RoleSentinel "role.sentinel" "a Sentinel, which holds no data";
    ClusterMode "cluster.mode" "a node of a cluster: clients must speak the cluster protocol";
    ClusterDown "cluster.down" "the cluster is down";
    ClusterUnreachableNodes "cluster.unreachable_nodes" "the cluster announces addresses that cannot be reached from here";
    DbIndex "db.index" "there is no database of that number";
    LatencyHigh "latency.high" "round trips are slow";
    LatencyJitter "latency.jitter" "round trips are uneven";
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
