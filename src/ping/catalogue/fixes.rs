//! What to do about each cause: the one place where advice stands.

use super::{Code, Fix};
use crate::endpoint;
use crate::ping::observation::{By, DialResult, NameAnswer, Observations};
use crate::ping::place::{Listener, Nearness, Place};
use crate::target::{Address, Target};

/// What advice depends on.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Host of the target.
    pub host: String,
    /// Port of the target.
    pub port: u16,
    /// Whether the URL asks for TLS.
    pub tls: bool,
    /// The URL that was probably meant, its password masked.
    pub meant: Option<String>,
    /// Where we stand.
    pub place: Place,
    /// The region that the name or the instance tells.
    pub region: Option<String>,
    /// The primary that a Sentinel knows.
    pub primary: Option<String>,
    /// Whether what was sent on an open connection was never acknowledged.
    pub loses_packets: bool,
    /// The name that the host's name is a dangling alias of.
    pub alias: Option<String>,
    /// Whether the name has addresses, all of the family that -4 or -6 excludes.
    pub has_other_family: bool,
    /// Whether this host itself said no.
    pub is_own_word: bool,
    /// The path, where the target is a unix socket.
    pub socket: Option<String>,
}

impl Circumstances {
    /// Gathers them from the target and what was seen.
    #[must_use]
    pub fn of(target: &Target, seen: &Observations) -> Self {
        let place = seen.place.clone().unwrap_or_default();
        let named = target
            .host()
            .and_then(endpoint::read)
            .and_then(|hint| hint.region);
        let is_own_word = seen.refused_sends > 0
            || seen
                .dials
                .iter()
                .any(|dial| matches!(dial.result, DialResult::Prohibited(By::ThisHost(_))));
        let socket = match &target.address {
            Address::Unix(path) => Some(path.display().to_string()),
            Address::Tcp { .. } => None,
        };
        let flow = seen.flow.or(seen.tls.as_ref().and_then(|tls| tls.flow));
        let lookup = seen.dns.as_ref();
        let alias = lookup.and_then(|lookup| {
            lookup.servers.iter().find_map(|server| match &server.answer {
                NameAnswer::DanglingAlias(end) => Some(end.clone()),
                _ => None,
            })
        });
        Self {
            alias,
            has_other_family: seen.dials.is_empty()
                && lookup.is_some_and(|found| !found.addresses.is_empty()),
            loses_packets: flow.is_some_and(|flow| flow.unacknowledged > 0),
            host: target.host().unwrap_or_default().to_owned(),
            port: target.port().unwrap_or_default(),
            tls: target.tls,
            meant: None,
            region: place
                .instance
                .as_ref()
                .map(|instance| instance.region.clone())
                .or(named),
            place,
            primary: seen.server.sentinel_primary.clone(),
            is_own_word,
            socket,
        }
    }

    /// `HOST:PORT` with its scheme.
    fn url(&self, scheme: &str) -> String {
        if self.host.contains(':') {
            format!("{scheme}://[{}]:{}/0", self.host, self.port)
        } else {
            format!("{scheme}://{}:{}/0", self.host, self.port)
        }
    }

    fn is_slip_of_a_port(&self) -> bool {
        // Digits swapped or next to each other on the keyboard, and Memcached's port.
        matches!(
            self.port,
            6378 | 6739 | 6397 | 6381 | 6389 | 6369 | 3679 | 7369 | 637 | 11211
        )
    }
}

/// What to do, most promising first.
#[must_use]
pub fn fixes(code: Code, at: &Circumstances) -> Vec<Fix> {
    match code {
        Code::UrlInvalid | Code::UrlScheme | Code::UrlEncoding | Code::UrlSuspect => url(code, at),
        Code::DnsNotFound | Code::DnsNoAddress | Code::DnsTimeout | Code::DnsServerFailure => dns(code, at),
        Code::TcpTimeout => unanswered(at),
        Code::TcpRefused | Code::TcpUnreachable | Code::TcpProhibited => refused(code, at),
        Code::TlsRequired => vec![Fix::paste(
            "tls",
            "use TLS: the URL begins with rediss://",
            format!("sessiontut ping {}", at.url("rediss")),
        )],
        Code::TlsNotOffered => vec![Fix::paste(
            "tls",
            "leave TLS out: the URL begins with redis:// (or switch encryption in transit on)",
            format!("sessiontut ping {}", at.url("redis")),
        )],
        _ => simple(code, at),
    }
}

fn url(code: Code, at: &Circumstances) -> Vec<Fix> {
    let mut list = Vec::new();
    if code == Code::UrlEncoding {
        list.push(Fix::paste(
            "encode",
            "percent-encode the user name and the password (this reads it without showing it)",
            "python3 -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'",
        ));
    }
    if code == Code::UrlSuspect {
        list.push(Fix::say(
            "url",
            "a password stands behind a colon, as in redis://:PASSWORD@HOST:6379/0",
        ));
        list.push(Fix::say(
            "url",
            "give options to the client in its code, not behind the ? of the URL",
        ));
    }
    if let Some(meant) = &at.meant {
        list.push(Fix::paste(
            "url",
            "this was probably meant (*** stands for the password)",
            format!("export REDIS_URL='{meant}'"),
        ));
    } else if list.is_empty() {
        list.push(Fix::paste(
            "url",
            "set the URL",
            "export REDIS_URL='redis://HOST:6379/0'",
        ));
    }
    list
}

fn dns(code: Code, at: &Circumstances) -> Vec<Fix> {
    let spelling = Fix::say(
        "spelling",
        "copy the primary endpoint anew from the console: a letter too many is the usual reason",
    );
    let private = Fix::say(
        "private-zone",
        "names of a private zone are known inside their VPC only: ask from an instance in it",
    );
    let resolver = Fix::paste(
        "resolver",
        "look at the name servers of this host; in a VPC, enableDnsSupport must be on",
        "cat /etc/resolv.conf",
    );
    let query = Fix::paste("query", "ask by hand", format!("getent hosts {}", at.host));
    match code {
        Code::DnsTimeout => vec![
            resolver,
            Fix::say(
                "local-firewall",
                "port 53, UDP and TCP, must be allowed out to the name server",
            ),
        ],
        Code::DnsServerFailure => vec![resolver, query],
        Code::DnsNoAddress if at.has_other_family => vec![Fix::say(
            "family",
            "leave -4 or -6 out: the name has addresses of the other family alone",
        )],
        Code::DnsNotFound if at.alias.is_some() => {
            let end = at.alias.as_deref().unwrap_or_default();
            let renew =
                format!("let the alias point to a name that exists: {end} may be a cache that was deleted");
            vec![Fix::say("alias", renew), private, query]
        }
        Code::DnsNoAddress => vec![
            spelling,
            private,
            Fix::say(
                "rebind-protection",
                "many home routers hide names with private addresses (\"DNS rebind protection\"): ask another resolver",
            ),
            query,
        ],
        _ => vec![spelling, private, query],
    }
}

/// The order depends on where we stand.
fn unanswered(at: &Circumstances) -> Vec<Fix> {
    let local = Fix::paste(
        "local-firewall",
        "look for a rule of this host's own firewall that drops it",
        "sudo nft list ruleset",
    );
    if let Some(path) = &at.socket {
        return vec![Fix::paste(
            "accept-queue",
            "the server's accept queue is full (Recv-Q over Send-Q): it is stuck, or takes no more clients",
            format!("ss -lx src '{path}'"),
        )];
    }
    if at.place.nearness == Nearness::Loopback {
        let queue = Fix::paste(
            "accept-queue",
            "the server's accept queue may be full (Recv-Q at Send-Q): it is stuck, or takes no more clients",
            format!("ss -ltn 'sport = :{}'", at.port),
        );
        return match at.place.listener {
            Some(Listener::Nobody) => vec![local],
            Some(Listener::Waiting(0)) => vec![local, queue],
            _ => vec![queue, local],
        };
    }
    let mut list = Vec::new();
    if at.is_slip_of_a_port() {
        let url = Circumstances {
            port: 6379,
            ..at.clone()
        }
        .url(if at.tls { "rediss" } else { "redis" });
        list.push(Fix::paste(
            "port",
            format!("port {} looks like a slip: Redis listens on 6379", at.port),
            format!("sessiontut ping {url}"),
        ));
    }
    if at.place.nearness == Nearness::ForeignPrivate {
        list.push(Fix::say(
            "outside-vpc",
            "the address is private and no network of this host holds it: an ElastiCache is reachable from inside its \
             VPC only. Run this on an EC2 instance in that VPC (or through a VPN, a peering or a tunnel)",
        ));
    }
    list.push(security_group(at));
    list.push(Fix::say(
        "network-acl",
        format!(
            "the subnets' network ACLs must allow TCP {} in, and the ephemeral ports 1024-65535 back",
            at.port
        ),
    ));
    list.push(Fix::paste(
        "route",
        "see which way the packets take; peered VPCs need routes on both sides",
        format!("ip route get {}", at.host),
    ));
    list.push(local);
    list
}

fn security_group(at: &Circumstances) -> Fix {
    let port = at.port;
    let instance = at.place.instance.as_ref();
    let source = instance
        .and_then(|instance| instance.groups.first())
        .map_or("sg-OF-THIS-INSTANCE", String::as_str);
    let region = at
        .region
        .as_ref()
        .map_or_else(String::new, |region| format!(" --region {region}"));
    Fix::paste(
        "security-group",
        format!(
            "the security group of the cache must let this instance in: an inbound Custom TCP rule for port {port} \
             whose source is the instance's security group"
        ),
        format!(
            "aws ec2 authorize-security-group-ingress{region} --group-id sg-OF-THE-CACHE --protocol tcp --port {port} \
             --source-group {source}"
        ),
    )
}

fn refused(code: Code, at: &Circumstances) -> Vec<Fix> {
    if let Some(path) = &at.socket {
        let look = Fix::paste(
            "socket",
            "look at the socket and its permissions",
            format!("ls -l '{path}'"),
        );
        let start = Fix::say(
            "start",
            "start the server, and let its `unixsocket` name this path",
        );
        return if code == Code::TcpProhibited {
            vec![look]
        } else {
            vec![look, start]
        };
    }
    match code {
        Code::TcpRefused => {
            let mut list = vec![Fix::paste(
                "port",
                format!("check the port: nothing listens on {} (Redis: 6379)", at.port),
                "ss -ltn",
            )];
            list.push(Fix::paste(
                "start",
                "start Redis, if it should run there",
                "redis-server --port 6379",
            ));
            if at.place.in_container && at.place.nearness == Nearness::Loopback {
                list.insert(
                    0,
                    Fix::say(
                        "container",
                        "in a container, localhost is the container itself: name the host",
                    ),
                );
            }
            list.push(Fix::say(
                "bind",
                "a Redis bound to 127.0.0.1 refuses others: see `bind` in its configuration",
            ));
            list
        }
        Code::TcpUnreachable => vec![
            Fix::paste(
                "route",
                "see which way the packets take",
                format!("ip route get {}", at.host),
            ),
            Fix::say(
                "address",
                "the address may belong to a host that is gone, or to a network without a route here",
            ),
        ],
        _ if at.is_own_word => vec![
            Fix::paste(
                "local-firewall",
                "look for the rule of this host that forbids it",
                "sudo nft list ruleset",
            ),
            Fix::paste(
                "route",
                "look for a prohibiting route",
                format!("ip route get {}", at.host),
            ),
        ],
        _ => vec![
            Fix::say(
                "firewall",
                "ask whoever runs the firewall that answered to allow this connection",
            ),
            Fix::paste(
                "local-firewall",
                "it may also be this host's own",
                "sudo nft list ruleset",
            ),
        ],
    }
}

/// Causes whose advice does not depend on where we stand.
fn simple(code: Code, at: &Circumstances) -> Vec<Fix> {
    let say = |kind, text: &str| vec![Fix::say(kind, text)];
    let paste = |kind, text: &str, command: &str| vec![Fix::paste(kind, text, command)];
    match code {
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
                "sudo ip link set eth0 mtu 1200",
            ),
            Fix::say(
                "mtu",
                "let ICMP \"fragmentation needed\" (3/4) pass the firewalls",
            ),
            Fix::say("proxy", "a proxy in between may have no backend"),
        ],
        Code::TlsExpiresSoon => say("certificate", "renew the server's certificate"),
        Code::AuthRequired => vec![
            Fix::paste(
                "password",
                "put the password where no one sees it in `ps`",
                "read -rs REDISCLI_AUTH; export REDISCLI_AUTH",
            ),
            Fix::say("password", "or into the URL: redis://:PASSWORD@HOST:6379/0"),
        ],
        Code::AuthFailed => vec![
            Fix::say("password", "check the password, and percent-encode it in the URL"),
            Fix::say(
                "user",
                "check the user name (ElastiCache: the user must be in the cache's user group, and on)",
            ),
        ],
        Code::AuthNotConfigured => say(
            "password",
            "take the password out of the URL, or set one on the server",
        ),
        Code::AuthNoPermission => paste(
            "acl",
            "let the user run the tutorial's commands on its keys",
            "ACL SETUSER NAME ~sessiontut:* +@connection +@hash +@keyspace +@transaction",
        ),
        Code::AuthPlaintext => say("tls", "switch encryption in transit on, and use rediss://"),
        Code::ProtoNotRedis => say("port", "check host and port: another service listens there"),
        Code::ProtoClosed => vec![
            Fix::say(
                "proxy",
                "a proxy or load balancer in between may have no healthy backend",
            ),
            Fix::say(
                "server",
                "look into the server's log: it may turn this client away",
            ),
        ],
        Code::ServerSilent if at.loses_packets => vec![
            Fix::say(
                "firewall",
                "a firewall, a NAT or an asymmetric route lets the handshake pass and drops what follows: look at what \
                 lies between",
            ),
            Fix::paste(
                "route",
                "see which way the packets take",
                format!("ip route get {}", at.host),
            ),
        ],
        Code::ServerSilent => vec![
            Fix::say(
                "server",
                "the process is stopped or stuck: look at it on its host, and restart it",
            ),
            Fix::say("proxy", "a proxy or load balancer in between may have no backend"),
        ],
        Code::ServerMaxClients => vec![
            Fix::say(
                "pool",
                "let the applications share a pool of connections, and close idle ones (`timeout`)",
            ),
            Fix::paste(
                "maxclients",
                "raise the limit",
                "redis-cli CONFIG SET maxclients 10000",
            ),
        ],
        Code::ServerProtectedMode => vec![
            Fix::say(
                "password",
                "set a password (requirepass, or an ACL user), which ends protected mode",
            ),
            Fix::say("bind", "and bind the server to the address that the clients use"),
        ],
        Code::ServerLoading => paste("wait", "wait until it is done", "sessiontut ping --wait 120"),
        Code::ServerBusy => paste(
            "script",
            "end the script (it fails once the script has written)",
            "redis-cli SCRIPT KILL",
        ),
        Code::ServerOutOfMemory => vec![
            Fix::say("memory", "take a larger node, or raise maxmemory"),
            Fix::say("ttl", "give every key a TTL, and choose a volatile-* policy"),
        ],
        Code::ServerMisconf => paste(
            "disk",
            "look why the last save failed: disk full, folder gone?",
            "redis-cli INFO persistence",
        ),
        Code::ServerNoReplicas => say(
            "replicas",
            "bring the replicas back, or lower min-replicas-to-write",
        ),
        Code::ServerEviction => say(
            "eviction",
            "for sessions take noeviction or volatile-ttl, and watch the memory",
        ),
        Code::RoleReplica => say("endpoint", "write to the primary: use the primary endpoint"),
        Code::RoleMasterDown => say(
            "failover",
            "bring the primary back, or let a failover promote a replica",
        ),
        Code::RoleSentinel => match &at.primary {
            Some(primary) => vec![Fix::paste(
                "endpoint",
                "connect to the primary that it watches",
                format!("sessiontut ping redis://{primary}/0"),
            )],
            None => say("endpoint", "connect to the primary that it watches"),
        },
        Code::ClusterMode => say(
            "client",
            "use your client's cluster class (redis-py: RedisCluster)",
        ),
        Code::ClusterDown => paste(
            "cluster",
            "see which slots nobody serves",
            "redis-cli --cluster check HOST:PORT",
        ),
        Code::ClusterUnreachableNodes => say(
            "announce",
            "let the nodes announce addresses that clients can reach (cluster-announce-ip), or connect from inside",
        ),
        Code::DbIndex => say(
            "db",
            "use database 0: clusters have no other, and other servers have 16 as a rule",
        ),
        Code::DnsPartial => say(
            "address",
            "take the dead address out of the name's records, or bring its host back",
        ),
        Code::LatencyHigh => say(
            "region",
            "run the application in the cache's region, best in its availability zone",
        ),
        Code::LatencyJitter => paste(
            "latency",
            "see what is slow on the server",
            "redis-cli SLOWLOG GET 10",
        ),
        _ => Vec::new(),
    }
}
