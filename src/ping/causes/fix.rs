//! The fixes for a cause, the facts that they depend on, and the commands that they contain.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ping::observation::{
    Dial, DialResult, Endpoint, ErrorSource, Handshake, IdleTest, Lookup, NameAnswer, NamedPrimary,
    Observations, SentinelAnswer, ServerInfo, WiderOffer,
};
use crate::ping::permissions::Missing;
use crate::ping::this_host::{LocalListener, ThisHost};
use crate::ping::verdict::is_iam_token;
use crate::ping::verdict::{SlowPart, is_from_here, listener_of_the_connection};
use crate::redis_url::hosting::{Hosting, Reach};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, UrlWarning};
use crate::sanitize;

/// An action that may solve the problem.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// The kind of fix, such as `security-group`. Scripts rely on it.
    pub kind: &'static str,
    /// What to do, in one sentence.
    pub text: String,
    /// A command that can be pasted unchanged into a POSIX shell.
    pub command: Option<String>,
}

/// A non-empty list of fixes, the most promising first.
pub(super) struct Fixes(Vec<Fix>);

/// Reads a password into the environment without showing it. `read -s` works only in some shells.
pub(super) const READ_PASSWORD: &str =
    "printf 'Password: '; stty -echo; IFS= read -r REDISCLI_AUTH; stty echo; export REDISCLI_AUTH";

/// Starts a list of fixes.
pub(super) fn advise(kind: &'static str, text: impl Into<String>) -> Fixes {
    Fixes(Vec::new()).and(kind, text)
}

/// Makes this host send and request smaller packets, only on the route to the server. Reducing the MTU of the whole
/// interface would affect all connections, and an MTU under 1280 disables IPv6.
pub(super) fn mtu(at: &FixContext) -> Fixes {
    let size = at.packet_size.unwrap_or(USUALLY_SMALL_ENOUGH);
    let text = match at.packet_size {
        Some(_) => format!("use packets of at most {size} bytes on the route to the server"),
        None => format!("large packets may be lost on the way: try packets of at most {size} bytes"),
    };
    let to = at.numeric_host();
    advise("mtu", text).command(format!(
        "sudo ip route replace {to} $({} | grep -oE '(via|dev) [^ ]+') mtu {size}",
        at.route()
    ))
}

/// The smallest MTU of a link with IPv6 (RFC 8200, 5): few tunnels have less.
const USUALLY_SMALL_ENOUGH: u16 = 1280;

impl Fixes {
    /// Adds a fix.
    pub(super) fn and(mut self, kind: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let command = None;
        self.0.push(Fix { kind, text, command });
        self
    }

    /// Adds a command to the last fix.
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.command = Some(command.into());
        }
        self
    }

    /// Adds a redis-cli command to the last fix, unless this server refused the command.
    pub(super) fn redis_cli(self, at: &FixContext, arguments: &str) -> Self {
        let name = |command: &str| command.split(' ').next().map(str::to_owned);
        let is_refused = at
            .server
            .refused
            .iter()
            .any(|command| name(command) == name(arguments));
        if is_refused {
            self
        } else {
            self.command(at.redis_cli(arguments))
        }
    }

    /// Appends another list, if there is one.
    pub(super) fn and_all(mut self, others: impl Into<Option<Self>>) -> Self {
        self.0
            .extend(others.into().into_iter().flat_map(|others| others.0));
        self
    }

    /// Puts `first` before these fixes, if there is one.
    pub(super) fn after(self, first: Option<Self>) -> Self {
        match first {
            Some(first) => first.and_all(self),
            None => self,
        }
    }
}

impl From<Fixes> for Vec<Fix> {
    fn from(fixes: Fixes) -> Self {
        fixes.0
    }
}

/// The characters that are escaped in the path of a URL.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// The facts that the fixes depend on.
#[derive(Clone, Debug, Default)]
pub struct FixContext {
    /// Host in the URL.
    pub host: String,
    /// Port in the URL.
    pub port: u16,
    /// Whether the URL is `rediss://`.
    pub tls: bool,
    /// The URL that the user probably meant, with the password masked.
    pub suggestion: Option<String>,
    /// What to do about a URL that cannot be used, if it is not clear what was meant.
    pub advice: Option<&'static str>,
    /// The network of this host.
    pub this_host: ThisHost,
    /// Who runs the server, if the host name shows it.
    pub(crate) hosting: Option<&'static Hosting>,
    /// Whether the host name or the EC2 metadata of this host shows that the server runs on AWS. Only then may a fix
    /// mention AWS.
    pub(crate) is_aws: bool,
    /// The AWS region, from the host name or the EC2 instance.
    pub region: Option<String>,
    /// The listener that accepted the connection, if it is on this host.
    pub(crate) listener: Option<LocalListener>,
    /// The lookup of the host name.
    pub(crate) lookup: Lookup,
    /// Whether the port with TLS of the provider accepts connections; `None` if it was not tried.
    pub(crate) other_port: Option<(u16, bool)>,
    /// The primary that the Sentinel watches, and the attempts to connect to it.
    pub(crate) primary: Option<(NamedPrimary, Vec<Dial>)>,
    /// The names that the Sentinels know, if the one in the URL is unknown to them.
    pub(crate) known_primaries: Vec<String>,
    /// Whether bytes sent on the connection were never acknowledged.
    pub loses_packets: bool,
    /// The largest packet that gets through, in bytes, if larger ones are lost.
    pub packet_size: Option<u16>,
    /// Whether the port answers only after a PROXY protocol header.
    pub expects_proxy_header: bool,
    /// Whether the connection ends at SELECT, also on a second connection.
    pub ends_at_select: bool,
    /// Whether a second connection got the replies that the first one did not.
    pub second_connection_works: bool,
    /// The TLS handshake.
    pub handshake: Option<Handshake>,
    /// What the server chooses if it is offered more than this program supports.
    pub wider_offer: Option<WiderOffer>,
    /// How far the server's clock is ahead of this host's, in seconds.
    pub server_clock_ahead: Option<i64>,
    /// The trials of idle connections.
    pub idle: Option<IdleTest>,
    /// Whether the server itself closes idle connections.
    pub has_idle_limit: bool,
    /// Whether the password was sent over a network unencrypted.
    pub has_sent_password: bool,
    /// The nonexistent name that the host's CNAME points to.
    pub alias: Option<String>,
    /// Whether the host has addresses, but `-4` or `-6` excludes all of them.
    pub has_excluded_addresses: bool,
    /// Whether this host itself blocked the connection.
    pub is_blocked_here: bool,
    /// Whether no host on this network replied to ARP or NDP requests for the address.
    pub(crate) has_no_neighbour: bool,
    /// The path of the unix socket in the URL.
    pub socket: Option<String>,
    /// The first address that was dialled, for commands that do not resolve host names.
    pub address: Option<IpAddr>,
    /// The ACL user that is used to log in.
    pub user: Option<String>,
    /// Whether the password is an IAM token.
    pub(crate) has_iam_token: bool,
    /// If the password ends in a blank: the variable that contains it, or none for the URL, and whether it is a newline.
    pub(crate) blank: Option<(Option<&'static str>, bool)>,
    /// Whether a password is used. The password itself must not appear in any command.
    pub has_password: bool,
    /// Database number in the URL.
    pub db: u64,
    /// Whether the URL has a user but no password.
    pub has_user_only: bool,
    /// Whether the URL has query parameters.
    pub has_query: bool,
    /// The user in the URL, with or without a password.
    pub named_user: Option<String>,
    /// What the server reports about itself.
    pub server: ServerInfo,
    /// What makes round trips slow.
    pub(crate) slow_part: SlowPart,
    /// The connection attempts to the nodes that a cluster announces.
    pub announced: Vec<Dial>,
    /// The permissions that the user lacks.
    pub(crate) missing: Missing,
    /// The error reply that shows the cause.
    pub reply: Option<String>,
}

impl FixContext {
    /// Collects the facts from the URL and the observations.
    #[must_use]
    pub fn of(target: &Target, seen: &Observations) -> Self {
        let target = seen.target(target);
        let this_host = seen.this_host.clone().unwrap_or_default();
        let instance = this_host.instance.as_ref();
        let other_name = seen.dns.as_ref().and_then(|lookup| {
            let completed = lookup.completed.as_ref().map(|completed| &completed.name);
            completed.or(lookup.alias.as_ref())
        });
        let hosting = other_name
            .and_then(|name| Hosting::of(name))
            .or_else(|| target.host().and_then(Hosting::of));
        let endpoint = target.host().and_then(provider::endpoint_hint);
        let blocked_dial = |result: &DialResult| match result {
            DialResult::Prohibited(ErrorSource::ThisHost(_)) => true,
            DialResult::Prohibited(ErrorSource::Icmp(icmp)) => is_from_here(*icmp, seen),
            _ => false,
        };
        let lookup = seen.dns.as_ref();
        let packets = seen
            .packets
            .or(seen.tls.handshake.as_ref().and_then(|tls| tls.packets));
        Self {
            host: target.host().unwrap_or_default().to_owned(),
            port: target.port().unwrap_or_default(),
            tls: target.tls,
            suggestion: None,
            is_aws: match hosting {
                Some(hosting) if hosting.is_aws => true,
                // A server of another provider does not run on AWS, even if this host does.
                Some(hosting) if hosting.reach != Reach::Containers => false,
                _ => instance.is_some(),
            },
            hosting,
            advice: None,
            region: instance
                .map(|instance| instance.region.clone())
                .or(endpoint.and_then(|endpoint| endpoint.region)),
            listener: listener_of_the_connection(seen).cloned(),
            lookup: lookup.cloned().unwrap_or_default(),
            other_port: seen.tcp.other_port.as_ref().and_then(|dial| match &dial.to {
                Endpoint::Ip(address) => Some((address.port(), dial.is_connected())),
                Endpoint::Named(_) => None,
            }),
            primary: seen
                .server
                .sentinel_primary
                .clone()
                .map(|primary| (primary, seen.server.sentinel_primary_dials.clone())),
            known_primaries: match seen.followed.as_ref().map(|followed| &followed.answer) {
                Some(SentinelAnswer::UnknownName(known)) => known.clone(),
                _ => Vec::new(),
            },
            loses_packets: packets.is_some_and(|packets| packets.unacknowledged > 0),
            packet_size: seen.experiments.packet_sizes.map(|sizes| sizes.passed),
            expects_proxy_header: seen.experiments.expects_proxy_header,
            ends_at_select: seen.unanswered() == Some("SELECT") && !seen.second_connection_works(),
            second_connection_works: seen.fails_only_on_first_connection(),
            handshake: seen.tls.handshake.clone(),
            wider_offer: seen.tls.wider_offer.clone(),
            server_clock_ahead: seen.tls.server_clock_ahead,
            idle: seen.idle.clone(),
            has_idle_limit: seen.server.idle_limit().is_some_and(|limit| !limit.is_zero()),
            has_sent_password: !target.tls && target.password.is_some() && !seen.tcp.leads_to_this_host(),
            alias: lookup.and_then(|lookup| {
                lookup.servers.iter().find_map(|server| match &server.answer {
                    NameAnswer::DanglingAlias(end) => Some(end.clone()),
                    _ => None,
                })
            }),
            has_excluded_addresses: seen.tcp.dials.is_empty()
                && lookup.is_none_or(|lookup| !lookup.addresses.is_empty()),
            is_blocked_here: seen.tcp.blocked_retransmissions > 0
                || seen.tcp.dials.iter().any(|dial| blocked_dial(&dial.result)),
            has_no_neighbour: seen
                .tcp
                .dials
                .iter()
                .any(|dial| dial.result == DialResult::NoNeighbour),
            socket: match &target.address {
                Address::Unix(path) => Some(sanitize::line(&path.display().to_string()).into_owned()),
                Address::Tcp { .. } => None,
            },
            address: seen.tcp.dials.iter().find_map(|dial| match &dial.to {
                Endpoint::Ip(address) => Some(address.ip()),
                Endpoint::Named(_) => None,
            }),
            user: target.user.clone().filter(|_| target.password.is_some()),
            has_iam_token: target
                .password
                .as_ref()
                .is_some_and(|password| is_iam_token(password.reveal())),
            blank: target
                .password
                .as_ref()
                .and_then(|password| password.reveal().chars().last())
                .filter(|last| last.is_whitespace())
                .map(|last| (target.password_variable, last == '\n')),
            has_password: target.password.is_some(),
            db: target.db,
            has_user_only: target.warnings.contains(&UrlWarning::UserWithoutPassword),
            has_query: target
                .warnings
                .iter()
                .any(|warning| matches!(warning, UrlWarning::IgnoredOptions(_))),
            named_user: target.user.clone(),
            server: seen.server.clone(),
            slow_part: SlowPart::of(seen),
            announced: seen.server.announced.clone(),
            missing: Missing::of(seen),
            reply: None,
            this_host,
        }
    }

    /// Adds the error reply that shows the cause.
    #[must_use]
    pub fn with_reply(mut self, reply: Option<String>) -> Self {
        if self.missing == Missing::default()
            && let Some(reply) = &reply
        {
            self.missing = Missing::of_reply(reply);
        }
        self.reply = reply;
        self
    }

    /// Whether a provider runs the server. Then the host is not accessible.
    pub(super) fn is_managed(&self) -> bool {
        self.hosting
            .is_some_and(|hosting| hosting.reach != Reach::Containers)
    }

    /// Whether the error reply contains a text, in lower case.
    pub(super) fn reply_contains(&self, text: &str) -> bool {
        self.reply
            .as_ref()
            .is_some_and(|reply| reply.to_lowercase().contains(text))
    }

    /// A redis-cli command for an administrator, who logs in as another user.
    pub(super) fn admin_cli(&self, arguments: &str) -> String {
        format!("redis-cli{} {arguments}", self.address_options())
    }

    /// Returns a `sessiontut ping` command for this server with the given options, scheme and port. If a password is
    /// needed, the command prompts for it without showing it.
    pub(super) fn ping(&self, options: &str, scheme: &str, port: u16) -> String {
        let read_password = if self.has_password {
            format!("{READ_PASSWORD}; ")
        } else {
            String::new()
        };
        if let Some(path) = &self.socket {
            return format!(
                "{read_password}sessiontut ping {options}{}",
                self.socket_url(path)
            );
        }
        let user = self.user_in_url();
        let (host, db) = (bracketed(&self.host), self.db);
        let url = shell_quoted(&format!("{scheme}://{user}{host}:{port}/{db}"));
        format!("{read_password}sessiontut ping {options}{url}")
    }

    /// Returns the text, followed by the note if the server runs on AWS.
    pub(super) fn with_aws_note(&self, text: &str, note: &str) -> String {
        let note = if self.is_aws { note } else { "" };
        format!("{text}{note}")
    }

    /// The same with the URL's scheme and port.
    pub(super) fn ping_here(&self, options: &str) -> String {
        self.ping(options, self.scheme(), self.port)
    }

    fn socket_url(&self, path: &str) -> String {
        let user = self.user_in_url();
        let path = utf8_percent_encode(path, IN_A_PATH);
        let db = if self.db == 0 {
            String::new()
        } else {
            format!("?db={}", self.db)
        };
        shell_quoted(&format!("unix://{user}{path}{db}"))
    }

    /// An example of the URL with other login data, for a text.
    pub(super) fn url_with_login(&self, login: &str) -> String {
        match &self.socket {
            Some(path) => format!("unix://{login}@{path}"),
            None => format!("{}://{login}@{}/{}", self.scheme(), self.host_and_port(), self.db),
        }
    }

    fn user_in_url(&self) -> String {
        self.user.as_ref().map_or_else(String::new, |user| {
            format!("{}@", utf8_percent_encode(user, NON_ALPHANUMERIC))
        })
    }

    /// What forwards the connection from this host to a server elsewhere.
    pub(crate) fn forwarder(&self) -> Option<&'static str> {
        self.listener.as_ref().and_then(LocalListener::forwarder)
    }

    /// The scheme of the URL.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls { "rediss" } else { "redis" }
    }

    /// Returns a redis-cli command for this server. If a password is needed, redis-cli prompts for it.
    pub(super) fn redis_cli(&self, arguments: &str) -> String {
        format!(
            "redis-cli{}{} {arguments}",
            self.address_options(),
            self.login_options()
        )
    }

    /// Returns the redis-cli options that select the server; empty if the host is unknown.
    pub(super) fn address_options(&self) -> String {
        match &self.socket {
            Some(path) => format!(" -s {}", shell_quoted(path)),
            None if self.host.is_empty() => String::new(),
            None => {
                let tls = if self.tls { " --tls" } else { "" };
                format!(" -h {} -p {}{tls}", shell_quoted(&self.host), self.port)
            }
        }
    }

    /// Returns the redis-cli options that log in.
    pub(super) fn login_options(&self) -> String {
        let user = self
            .user
            .as_ref()
            .map_or_else(String::new, |user| format!(" --user {}", shell_quoted(user)));
        if self.has_password {
            format!("{user} --askpass")
        } else {
            String::new()
        }
    }

    /// `HOST:PORT`, quoted for a shell.
    pub(super) fn host_and_port(&self) -> String {
        shell_quoted(&format!("{}:{}", bracketed(&self.host), self.port))
    }

    /// The server's address, for programs that do not resolve names; the host name if no address is known.
    pub(super) fn numeric_host(&self) -> String {
        let address = self.address.map(|address| address.to_string());
        address.unwrap_or_else(|| {
            // A program would take such a name for an option.
            let host = if self.host.starts_with('-') {
                "HOST"
            } else {
                &self.host
            };
            shell_quoted(host)
        })
    }

    /// Returns a command that shows the route to the server.
    pub(super) fn route(&self) -> String {
        format!("ip route get {}", self.numeric_host())
    }

    /// Whether the port looks like a mistyped 6379 or 6380, or is Memcached's port.
    pub(super) fn is_port_typo(&self) -> bool {
        // Google Memorystore uses 6378 for TLS (https://cloud.google.com/memorystore/docs/redis/in-transit-encryption).
        let is_memorystore = self.tls && self.port == 6378;
        !is_memorystore
            && matches!(
                self.port,
                6378 | 6739 | 6397 | 6381 | 6389 | 6369 | 3679 | 7369 | 637 | 11211
            )
    }
}

/// Returns the host as it is written in a URL, with an IPv6 address in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Quotes one word for a POSIX shell. All text from outside passes through here before it becomes part of a command: from
/// the URL, DNS, the server, a Sentinel, or the instance metadata.
pub(super) fn shell_quoted(word: &str) -> String {
    let word = sanitize::line(word);
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_bare) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::ping::causes::Cause;
    use crate::ping::instance::Instance;
    use crate::ping::observation::HostsEntry;
    use crate::ping::this_host::Nearness;

    /// Each would create the file `executed` if a shell executed a part of it.
    const HOSTILE: [&str; 9] = [
        "a; : > executed",
        "a\n: > executed\n",
        "$(: > executed)",
        "`: > executed`",
        "'; : > executed; '",
        "\"; : > executed; \"",
        "-a && : > executed",
        "\\'; : > executed #",
        "a' \"$(: > executed)\" '",
    ];

    /// What a server, a resolver, a Sentinel, a URL or the instance metadata may contain, with the text everywhere.
    fn contexts(text: &str) -> [FixContext; 4] {
        let word = || text.to_owned();
        let fields = || {
            let names = [
                "master_host",
                "master_port",
                "role",
                "maxmemory_policy",
                "redis_version",
                "bind",
                "timeout",
            ];
            names.map(|name| (name.to_owned(), word())).into()
        };
        let primary = || NamedPrimary {
            name: word(),
            host: word(),
            port: 6379,
        };
        let connected = Dial {
            to: Endpoint::Named(word()),
            result: DialResult::Connected,
            took: std::time::Duration::ZERO,
        };
        let remote = FixContext {
            host: word(),
            port: 6379,
            suggestion: Some(word()),
            region: Some(word()),
            primary: Some((primary(), vec![connected])),
            known_primaries: vec![word()],
            alias: Some(word()),
            user: Some(word()),
            named_user: Some(word()),
            reply: Some(word()),
            has_password: true,
            server: ServerInfo {
                fields: fields(),
                cluster: fields(),
                settings: fields(),
                sentinel_primary: Some(primary()),
                ..ServerInfo::default()
            },
            lookup: Lookup {
                alias: Some(word()),
                hosts_file: Some(HostsEntry {
                    line: 2,
                    address: IpAddr::from([10, 0, 3, 17]),
                    is_shared: false,
                }),
                ..Lookup::default()
            },
            ..FixContext::default()
        };
        let at_aws = FixContext {
            is_aws: true,
            address: Some(IpAddr::from([10, 0, 3, 17])),
            this_host: ThisHost {
                nearness: Nearness::ForeignPrivate,
                instance: Some(Instance {
                    region: word(),
                    groups: vec![word()],
                    ..Instance::default()
                }),
                ..ThisHost::default()
            },
            ..remote.clone()
        };
        let socket = FixContext {
            socket: Some(format!("/run/{text}")),
            host: String::new(),
            ..remote.clone()
        };
        let here = FixContext {
            this_host: ThisHost {
                nearness: Nearness::Loopback,
                ..ThisHost::default()
            },
            ..remote.clone()
        };
        [remote, at_aws, socket, here]
    }

    fn run(shell: &mut Command) -> bool {
        let quiet = shell
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().unwrap().success()
    }

    #[test]
    fn no_command_executes_text_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        for text in HOSTILE {
            for (number, context) in contexts(text).iter().enumerate() {
                let fixes = Cause::ALL.iter().flat_map(|cause| cause.fixes(context));
                let commands: Vec<_> = fixes.filter_map(|fix| fix.command).collect();
                assert!(commands.iter().all(|command| !command.contains('\n')), "{text:?}");
                let script = commands.join("\n");
                assert!(
                    run(Command::new("sh").args(["-n", "-c", &script])),
                    "{text:?} {number}\n{script}"
                );
                // No program is found, so that nothing but the shell itself runs.
                run(Command::new("/bin/sh")
                    .args(["-c", &script])
                    .env("PATH", "/nonexistent")
                    .current_dir(folder.path()));
                let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
                assert_eq!(leftovers, 0, "{text:?} {number}\n{script}");
            }
        }
    }
}
