//! What to do about what the server says, or does not say.

use super::url::route;
use super::{Cause, Fix, FixContext};
use crate::ping::causes::context::quoted;
use crate::sanitize;

pub(super) fn fixes(cause: Cause, at: &FixContext) -> Vec<Fix> {
    let say = |kind, text: &str| vec![Fix::say(kind, text)];
    let paste = |kind, text: &str, command: String| vec![Fix::paste(kind, text, command)];
    match cause {
        Cause::AuthRequired => vec![
            Fix::paste(
                "password",
                "put the password where no one sees it in `ps`",
                "read -rs REDISCLI_AUTH; export REDISCLI_AUTH",
            ),
            Fix::say("password", "or into the URL: redis://:PASSWORD@HOST:6379/0"),
        ],
        Cause::AuthFailed => vec![
            Fix::say("password", "check the password, and percent-encode it in the URL"),
            Fix::say(
                "user",
                "check the user name (ElastiCache: the user must be in the cache's user group, and on)",
            ),
        ],
        Cause::AuthNotConfigured => say(
            "password",
            "take the password out of the URL, or set one on the server",
        ),
        Cause::AuthNoPermission => paste(
            "acl",
            "let an administrator allow the user the tutorial's commands on its keys (ElastiCache: in the user's access \
             string)",
            format!(
                "redis-cli{} ACL SETUSER {} '~sessiontut:*' +@connection +@hash +@keyspace +@transaction",
                at.where_to(),
                quoted(&sanitize::line(at.user.as_deref().unwrap_or("default")))
            ),
        ),
        Cause::AuthPlaintext => say("tls", "switch encryption in transit on, and use rediss://"),
        Cause::ProtoNotRedis => say("port", "check host and port: another service listens there"),
        Cause::ProtoClosed => vec![
            Fix::say(
                "proxy",
                "a proxy or load balancer in between may have no healthy backend",
            ),
            Fix::say(
                "server",
                "look into the server's log: it may turn this client away",
            ),
            Fix::say(
                "maxclients",
                "a Redis that speaks TLS and has no place left (maxclients) closes without a word",
            ),
        ],
        Cause::ServerSilent if at.loses_packets => vec![
            Fix::say(
                "firewall",
                "a firewall, a NAT or an asymmetric route lets the handshake pass and drops what follows: look at what \
                 lies between",
            ),
            route("see which way the packets take", at),
        ],
        Cause::ServerSilent => vec![
            Fix::say(
                "server",
                "the process is stopped or stuck: look at it on its host, and restart it",
            ),
            Fix::say("proxy", "a proxy or load balancer in between may have no backend"),
        ],
        Cause::ServerMaxClients => vec![
            Fix::say(
                "pool",
                "let the applications share a pool of connections, and close idle ones (`timeout`)",
            ),
            Fix::paste(
                "maxclients",
                "raise the limit",
                at.redis_cli("CONFIG SET maxclients 10000"),
            ),
        ],
        Cause::ServerProtectedMode => vec![
            Fix::say(
                "password",
                "set a password (requirepass, or an ACL user), which ends protected mode",
            ),
            Fix::say("bind", "and bind the server to the address that the clients use"),
        ],
        Cause::ServerLoading => paste(
            "wait",
            "wait until it is done",
            at.ping(at.scheme(), at.port)
                .replace("sessiontut ping", "sessiontut ping --wait 120"),
        ),
        Cause::ServerBusy => paste(
            "script",
            "end the script (it fails once the script has written)",
            at.redis_cli("SCRIPT KILL"),
        ),
        Cause::ServerOutOfMemory => vec![
            Fix::say("memory", "take a larger node, or raise maxmemory"),
            Fix::say("ttl", "give every key a TTL, and choose a volatile-* policy"),
        ],
        Cause::ServerMisconf => paste(
            "disk",
            "look why the last save failed: disk full, folder gone?",
            at.redis_cli("INFO persistence"),
        ),
        Cause::ServerNoReplicas => say(
            "replicas",
            "bring the replicas back, or lower min-replicas-to-write",
        ),
        Cause::ServerEviction => say(
            "eviction",
            "for sessions take noeviction or volatile-ttl, and watch the memory",
        ),
        Cause::RoleReplica => say("endpoint", "write to the primary: use the primary endpoint"),
        Cause::RoleMasterDown => say(
            "failover",
            "bring the primary back, or let a failover promote a replica",
        ),
        Cause::RoleSentinel => match &at.primary {
            Some(primary) => vec![Fix::paste(
                "endpoint",
                "connect to the primary that it watches",
                format!("sessiontut ping {}://{primary}/0", at.scheme()),
            )],
            None => say("endpoint", "connect to the primary that it watches"),
        },
        Cause::ClusterMode => say(
            "client",
            "use your client's cluster class (redis-py: RedisCluster)",
        ),
        Cause::ClusterDown => paste(
            "cluster",
            "see which slots nobody serves",
            format!("redis-cli --cluster check {}{}", at.place(), at.login()),
        ),
        Cause::ClusterUnreachableNodes => say(
            "announce",
            "let the nodes announce addresses that clients can reach (cluster-announce-ip), or connect from inside",
        ),
        Cause::DbIndex => say(
            "db",
            "use database 0: clusters have no other, and other servers have 16 as a rule",
        ),
        Cause::DnsPartial => say(
            "address",
            "take the dead address out of the name's records, or bring its host back",
        ),
        Cause::LatencyHigh => say(
            "region",
            "run the application in the cache's region, best in its availability zone",
        ),
        Cause::LatencyJitter => paste(
            "latency",
            "see what is slow on the server",
            at.redis_cli("SLOWLOG GET 10"),
        ),
        _ => Vec::new(),
    }
}
