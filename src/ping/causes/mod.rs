//! Defines the table of all causes and warnings, with their codes, exit statuses, meanings and fixes.
//!
//! To add a row, follow "Add a cause or a warning" in CONTRIBUTING.md. `sessiontut ping --codes` prints the
//! table, and `sessiontut explain CODE` prints the page about one cause.

mod commands;
mod dns;
mod error_replies;
mod fix;
mod fix_context;
#[cfg(test)]
mod hostile_text;
mod idle;
mod latency;
mod login;
mod no_reply;
mod refusal;
mod role;
mod server_state;
pub(in crate::ping) mod tcp;
pub(in crate::ping) mod tls;
mod url;

use super::observation::WriteTest;
use crate::exit::Exit;
use fix::{Fixes, advise};

pub(in crate::ping) use dns::hosts_file_fixes;
pub(crate) use error_replies::{ErrorReply, Scope, is_command_unavailable, knows_no_users};
pub(crate) use fix::Fix;
pub(crate) use fix_context::FixContext;
pub(in crate::ping) use no_reply::other_server_fixes;
pub(in crate::ping) use url::url_fixes;

/// Declares [`Cause`]. Each row has the form `Variant "code" ExitStatus "meaning" => fixes;`, where `fixes`
/// is a function that takes a [`FixContext`]. The exit status of a warning is `Ok`.
macro_rules! causes {
    ($($variant:ident $code:literal $exit:ident $meaning:literal => $fixes:expr;)+) => {
        /// The reason why a connection fails, or a warning about a connection that works.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause {
            $(#[doc = $meaning] $variant,)+
        }

        impl Cause {
            /// All causes and warnings, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Returns the code, such as `tcp.timeout`. Scripts rely on these codes.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Returns one sentence without a full stop that says what is wrong.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Returns the exit status of `ping` for this cause.
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)+ }
            }

            /// Returns the documentation page about this cause, as Markdown.
            pub(crate) fn page(self) -> String {
                match self {
                    $(Self::$variant => include_str!(concat!("../../../docs/src/causes/", $code, ".md")).replace(
                        // In the book, mdBook replaces this line with the contents of the file, as this code
                        // does.
                        concat!("{{#include examples/", $code, ".txt}}\n"),
                        include_str!(concat!("../../../docs/src/causes/examples/", $code, ".txt")),
                    ),)+
                }
            }

            /// Returns the fixes, most promising first. There is at least one fix.
            pub(crate) fn fixes(self, at: &FixContext) -> Vec<Fix> {
                let fixes: fn(&FixContext) -> Fixes = match self { $(Self::$variant => $fixes,)+ };
                fixes(at).into()
            }
        }
    };
}

causes! {
    // The URL
    UrlInvalid "url.invalid" Usage "the URL cannot be used" => |_| url::form();
    UrlScheme "url.scheme" Usage "the URL scheme is not a Redis scheme" => |_| url::form();
    UrlEncoding "url.encoding" Usage
        "the user name or password contains a character that must be percent-encoded"
        => |_| url::encoding();
    UrlSuspect "url.suspect" Ok "the URL is probably not what you meant" => url::suspect_url;

    // The host name
    DnsNotFound "dns.not_found" Dns "the host name does not exist" => dns::not_found;
    DnsNoAddress "dns.no_address" Dns "the host name exists but has no address" => dns::no_address;
    DnsTimeout "dns.timeout" Dns "no name server replies" => dns::no_name_server;
    DnsServerFailure "dns.server_failure" Dns "the name server replies, but does not resolve the host name"
        => dns::server_failure;
    DnsSlow "dns.slow" Ok "the host name lookup is slow" => dns::slow;
    DnsSearch "dns.search" Ok "the resolver appended a search domain to the host name" => dns::completed;
    DnsPartial "dns.partial" Ok "some addresses of the host name do not work" => dns::partial;

    // The connection
    TcpTimeout "tcp.timeout" Tcp "connection attempts get no reply at all" => tcp::timeout;
    TcpRefused "tcp.refused" Tcp "the port is closed, or a firewall rejects the connection" => tcp::refused;
    TcpUnreachable "tcp.unreachable" Tcp "the address is unreachable" => tcp::unreachable;
    TcpProhibited "tcp.prohibited" Tcp "a firewall or a routing rule blocks the connection" => tcp::prohibited;
    TcpNoLocalPort "tcp.no_local_port" Tcp "this host has no free local port for the connection" => tcp::no_local_port;
    LocalOpenFiles "local.open_files" Tcp "this process cannot open any more files" => |_| advise(
        "open-files",
        "raise the limit on open files for the shell or service that runs this command (systemd: LimitNOFILE, \
         Docker: --ulimit nofile)",
    ).command("ulimit -n 1024")
        .and("leak", "check whether a process on this host keeps too many files open")
        .command("cat /proc/sys/fs/file-nr");
    AwsPartly "aws.partly" Ok "a network ACL lets only some of the replies through"
        => |_| advise(
            "network-acl",
            "in the network ACLs of both subnets (the instance's and the cache's), allow all local ports that this \
             instance uses for connections",
        );
    PathLoss "path.loss" Ok "packets are lost on the way" => tcp::loss;

    // TLS
    TlsRequired "tls.required" Tls "the server speaks TLS, but the URL is redis://" => tls::required;
    TlsNotOffered "tls.not_offered" Tls "the URL is rediss://, but the server does not speak TLS" => |at| advise(
        "tls",
        match at.reads_variables() {
            true => "set REDIS_TLS to false",
            false => "change rediss:// to redis:// in the URL",
        },
    ).try_command(at, at.ping_to(|target| target.tls = false))
        .and("tls", "or enable TLS on the server (encryption in transit)");
    TlsUntrusted "tls.untrusted" Tls "the certificate is not signed by a trusted CA" => tls::untrusted;
    TlsUnsupported "tls.unsupported" Tls
        "the server requires a TLS feature that this program does not support; other clients may support it"
        => tls::unsupported;
    TlsNameMismatch "tls.name_mismatch" Tls "the certificate is for a different host name" => tls::other_name;
    TlsExpired "tls.expired" Tls "the certificate has expired or is not valid yet" => tls::expired;
    TlsVersion "tls.version" Tls "this program and the server support no common TLS version or cipher suite" => tls::version;
    TlsClientCert "tls.client_cert" Tls "the server requires a client certificate that it trusts"
        => tls::client_certificate;
    TlsStalled "tls.stalled" Tls "the TLS handshake starts but never completes" => no_reply::stalled;
    TlsExpiresSoon "tls.expires_soon" Ok "the certificate expires soon" => |_| {
        advise("certificate", "renew the server's certificate")
    };

    // The login
    AuthRequired "auth.required" Auth "a password is required, but none was given" => login::required;
    AuthFailed "auth.failed" Auth "the user name or password is wrong" => login::failed;
    AuthNotConfigured "auth.not_configured" Auth "a password was given, but no password is set on the server"
        => login::not_configured;
    AuthNoPermission "auth.no_permission" Auth "the user is not allowed to run a required command"
        => login::no_permission;
    AuthPlaintext "auth.plaintext" Ok "the password is sent over the network unencrypted" => |at| {
        let text = if at.seen.shows_tls() {
            "use rediss:// in the URL: the server speaks TLS"
        } else if at.is_aws() {
            "enable encryption in transit for the cache, then use rediss:// in the URL"
        } else if at.is_managed() {
            "use rediss:// in the URL, with the TLS port of the provider"
        } else {
            "enable TLS on the server (tls-port, tls-cert-file, tls-key-file), then use rediss:// in the URLs of \
             all clients"
        };
        advise("tls", text)
    };

    // The protocol
    ProtoNotRedis "proto.not_redis" Server "the server is not a Redis server" => no_reply::not_redis;
    ProtoClosed "proto.closed" Server "the server accepts the connection, then closes it without a complete reply"
        => no_reply::closed;

    ProtoUnexpected "proto.unexpected" Server "the server sends replies that belong to other requests" => |_| {
        advise("proxy", "if there is a proxy in front of Redis, connect to Redis directly, and compare the results")
            .and("proxy", "check the proxy: on each connection, it must return the replies in the order of the requests. \
                          If it shares connections to Redis between clients, it must not share those that use MULTI \
                          or SUBSCRIBE")
    };

    // A proxy in front of Redis
    ProxyNoBackend "proxy.no_backend" Server "a proxy answers, but cannot use the Redis server behind it"
        => no_reply::no_backend;
    ProxyHeader "proxy.header" Server "a PROXY protocol header breaks the connection" => |at| {
        if at.seen.experiments.expects_proxy_header {
            advise("proxy-header", "connect through the load balancer that sends the header, or connect to a port \
                                    that does not expect the header")
                .and("proxy-header", "or turn the PROXY protocol off on this port (HAProxy: remove accept-proxy; \
                                      nginx: remove proxy_protocol from listen)")
        } else {
            advise("proxy-header", "turn the PROXY protocol off in the proxy in front of Redis (HAProxy: remove \
                                    send-proxy; nginx: set proxy_protocol off)")
        }
    };
    ProxyLimited "proxy.limited" Ok "simple commands work, but some other commands do not" => |at| {
        let transactions_work = at.seen.write_test.as_ref().is_some_and(WriteTest::has_passed);
        advise("client", if transactions_work {
            "avoid the commands that the server does not support, or connect to Redis directly"
        } else {
            "avoid transactions (MULTI), databases other than 0 (SELECT) and INFO, or connect to Redis directly"
        })
    };

    // The path
    PathIdle "path.idle" Tcp "a working connection is dropped while it is idle" => idle::dropped;
    PathMtu "path.mtu" Tcp "small packets get through, but large ones are lost on the way" => tcp::mtu;

    // The server
    ServerSilent "server.silent" Server "the server accepts the connection but never replies" => no_reply::silent;
    ServerRefused "server.refused" Server "the server refuses the request, and its reply contains the reason" => refusal::refused;
    ServerMaxClients "server.max_clients" Server "Redis has reached maxclients and rejects new connections"
        => refusal::max_clients;
    ServerNearMaxClients "server.near_max_clients" Ok "Redis has almost reached maxclients" => refusal::near_max_clients;
    ServerProtectedMode "server.protected_mode" Server "Redis is in protected mode and accepts only local clients"
        => refusal::protected_mode;
    ServerLoading "server.loading" Server "Redis is still loading its data set" => server_state::loading;
    ServerBusy "server.busy" Server "a long-running script blocks Redis for all other clients" => server_state::busy;
    ServerOutOfMemory "server.out_of_memory" Server "Redis is out of memory and refuses writes" => server_state::out_of_memory;
    ServerMisconf "server.misconf" Server "Redis refuses writes because it cannot save its data to disk"
        => server_state::misconf;
    ServerNoReplicas "server.no_replicas" Server "Redis refuses writes because too few replicas are in sync" => server_state::no_replicas;
    ServerEviction "server.eviction" Ok "maxmemory is almost reached, or Redis may evict keys before they expire"
        => server_state::eviction;
    ServerOld "server.old" Ok "the server is older than Redis 6, or does not support HELLO" => server_state::old;
    ServerTimeout "server.timeout" Ok "the server closes idle connections" => idle::limited;

    // The role
    RoleReplica "role.replica" Server "the server is a read-only replica" => role::replica;
    RoleMasterDown "role.master_down" Server "the server is a replica that is not connected to its primary" => role::master_down;
    RoleSentinel "role.sentinel" Server "the server is a Sentinel, which stores no data" => role::sentinel;
    ClusterMode "cluster.mode" Server "the server is a cluster node; clients must use the cluster protocol" => role::cluster_mode;
    ClusterDown "cluster.down" Server "the cluster is down" => role::cluster_down;
    ClusterPartial "cluster.partial" Ok "some slots of the cluster have no node" => role::cluster_partial;
    ClusterUnreachableNodes "cluster.unreachable_nodes" Server
        "the cluster announces node addresses that cannot be reached from here" => role::unreachable_nodes;
    DbIndex "db.index" Server "the server has no database with the number in the URL" => role::db_index;

    // The latency
    LatencyHigh "latency.high" Ok "round trips are slow" => latency::slow;
    LatencyJitter "latency.jitter" Ok "round trip times vary widely" => latency::uneven;
}
