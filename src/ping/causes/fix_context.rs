//! Collects the facts on which the choice of fixes depends.

use std::net::IpAddr;
use std::sync::LazyLock;

use super::commands::{self, shell_quoted};
use super::error_replies::ErrorReply;
use crate::ping::instance::Instance;
use crate::ping::observation::{Handshake, NameServer, Observations};
use crate::ping::permissions::Missing;
use crate::ping::response::Response;
use crate::ping::this_host::LocalListener;
use crate::redis_client::refusal::Refusal;
use crate::redis_url::hosting::{Hosting, Reach};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, Trust, host_and_port};

#[derive(Clone, Copy, Debug)]
pub(crate) struct FixContext<'a> {
    /// The target that was checked.
    pub(super) target: &'a Target,
    /// The target that the user gave. It may consist of Sentinels.
    pub(super) given: &'a Target,
    pub(super) seen: &'a Observations,
    /// The error reply that shows the cause, if there is one.
    pub(super) reply: Option<&'a str>,
}

/// A target without a host, and empty observations, for a context without any facts.
static UNKNOWN: LazyLock<(Target, Observations)> = LazyLock::new(|| {
    let address = Address::Tcp {
        host: String::new(),
        port: 0,
    };
    (Target::new(address), Observations::default())
});

impl FixContext<'static> {
    /// Returns a context without any facts.
    pub(crate) fn unknown() -> Self {
        Self::of(&UNKNOWN.0, &UNKNOWN.1)
    }
}

impl<'a> FixContext<'a> {
    pub(crate) fn of(target: &'a Target, seen: &'a Observations) -> Self {
        Self {
            target: seen.target(target),
            given: target,
            seen,
            reply: None,
        }
    }

    /// Returns this context with the error reply that shows the cause.
    pub(crate) fn with_reply(self, reply: Option<&'a str>) -> Self {
        Self { reply, ..self }
    }

    /// Returns the name of the setting that contains the URL, or the names of the settings that contain the
    /// parts of the URL.
    pub(super) fn setting(&self) -> &'a str {
        self.given.variables.as_deref().unwrap_or("REDIS_URL")
    }

    /// Whether `REDIS_HOST` and related variables were read instead of a URL.
    pub(super) fn reads_variables(&self) -> bool {
        self.given.variables.is_some()
    }

    /// Returns the target's host, or an empty string for a unix socket.
    pub(super) fn host(&self) -> &'a str {
        self.target.host().unwrap_or_default()
    }

    /// Returns the target's port, or 0 for a unix socket.
    pub(super) fn port(&self) -> u16 {
        self.target.port().unwrap_or_default()
    }

    /// Returns the path of the target's unix socket, quoted for a shell. Returns `None` for a TCP target.
    pub(super) fn socket(&self) -> Option<String> {
        match &self.target.address {
            Address::Unix(path) => Some(shell_quoted(&path.to_string_lossy())),
            Address::Tcp { .. } => None,
        }
    }

    /// Returns the server's IP address, for programs that cannot resolve names. If the address is unknown,
    /// returns the host name.
    pub(super) fn numeric_host(&self) -> String {
        match self.address() {
            Some(address) => address.to_string(),
            // A name that starts with `-` would be parsed as an option.
            None if self.host().starts_with('-') => "HOST".to_owned(),
            None => shell_quoted(self.host()),
        }
    }

    /// Returns the IP address of the first connection attempt, or `None` if there was no attempt to connect
    /// to an IP address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let mut dials = self.seen.tcp.dials.iter();
        dials.find_map(|dial| Some(dial.to.ip()?.ip()))
    }

    /// Returns a `sessiontut ping` command for the target, with `options`.
    pub(super) fn ping(&self, options: &str) -> String {
        self.ping_with(self.url(), options)
    }

    /// Whether the fault is at a Sentinel in the URL, because no Sentinel has reported the primary.
    pub(super) fn is_about_sentinel(&self) -> bool {
        self.seen.is_at_sentinel()
    }

    /// Returns the target for `sessiontut` commands. This is the Sentinel URL if no Sentinel has reported the
    /// primary, and the checked target otherwise.
    fn url(&self) -> &'a Target {
        match self.is_about_sentinel() {
            true => self.given,
            false => self.target,
        }
    }

    /// Like [`Self::ping`], but for `target`.
    pub(super) fn ping_with(&self, target: &Target, options: &str) -> String {
        commands::ping(target, self.trust(), options)
    }

    /// Like [`Self::ping`], but applies `change` to the target first. If the user gave a Sentinel URL, returns a
    /// Sentinel URL, unless the change is about the connection to the primary.
    pub(super) fn ping_to(&self, change: impl Fn(&mut Target)) -> String {
        let [mut given, mut target] = [self.given, self.url()].map(Clone::clone);
        change(&mut given);
        change(&mut target);
        let is_same_server = given.address == self.given.address && given.tls == self.given.tls;
        self.ping_with(if is_same_server { &given } else { &target }, "")
    }

    /// Like [`Self::ping`], but without the password.
    pub(super) fn ping_without_password(&self, options: &str) -> String {
        let mut target = self.url().clone();
        target.password = None;
        self.ping_with(&target, options)
    }

    /// Like [`Self::ping`], but without `--tls-name`, `--insecure` and `--insecure-auth`.
    pub(super) fn ping_without_tls_name(&self) -> String {
        let trust = Trust {
            tls_name: None,
            is_insecure: false,
            sends_password_insecurely: false,
            ..self.trust().clone()
        };
        commands::ping(self.url(), &trust, "")
    }

    /// Like [`Self::ping`], but for `host` and `port`.
    pub(super) fn ping_at(&self, host: &str, port: u16) -> String {
        self.ping_with(&self.target.of_primary(host, port), "")
    }

    /// Returns a redis-cli command with these arguments. The command prompts for a password if the target
    /// contains one.
    pub(super) fn redis_cli(&self, arguments: &str) -> String {
        commands::redis_cli(self.target, self.trust(), arguments)
    }

    /// Like [`Self::redis_cli`], but for the Sentinel in the URL that was asked.
    pub(super) fn sentinel_cli(&self, arguments: &str) -> Option<String> {
        let (followed, sentinels) = (self.seen.followed.as_ref()?, self.given.sentinels.as_ref()?);
        let is_asked = |(host, port): &(String, u16)| host_and_port(host, *port) == followed.sentinel;
        let index = sentinels.hosts.iter().position(is_asked)?;
        let target = self.given.of_sentinel(sentinels, index);
        Some(commands::redis_cli(&target, self.trust(), arguments))
    }

    /// Returns a command line that runs redis-cli `commands` as an administrator instead of the target's
    /// user.
    pub(super) fn admin_cli(&self, commands: &[String]) -> String {
        commands::admin_cli(self.target, self.trust(), commands)
    }

    /// Returns a command line with which an administrator sets ACL `rules` for an existing user.
    pub(super) fn change_user(&self, user: &str, rules: &str) -> String {
        commands::change_user(self.target, self.trust(), user, rules)
    }

    /// Returns the TLS options of this run.
    pub(super) fn trust(&self) -> &'a Trust {
        &self.seen.tls.trust
    }

    /// Returns a command that shows the route to the server.
    pub(super) fn route(&self) -> String {
        format!("ip route get {}", self.numeric_host())
    }

    /// Whether the error reply contains `text`, which must be in lower case. Ignores the case of the reply.
    pub(super) fn reply_contains(&self, text: &str) -> bool {
        self.reply
            .is_some_and(|reply| reply.to_lowercase().contains(text))
    }

    /// Returns the permissions that the user lacks.
    pub(super) fn missing(&self) -> Missing {
        let missing = Missing::of(self.seen);
        match self.reply {
            Some(reply) if missing == Missing::default() => Missing::of_reply(reply),
            _ => missing,
        }
    }

    /// Returns the provider or container network to which the host name belongs, if it is known. The CNAME,
    /// or the name with a search domain, takes precedence over the host name.
    pub(super) fn hosting(&self) -> Option<&'static Hosting> {
        let lookup = self.seen.dns.as_ref();
        let completed = lookup.and_then(|lookup| Some(&lookup.completed.as_ref()?.name));
        let other_name = completed.or_else(|| lookup?.alias.as_ref());
        other_name
            .and_then(|name| Hosting::of(name))
            .or_else(|| Hosting::of(self.host()))
    }

    /// Returns the provider that probably runs the server, judging by a private IP address and the TLS port.
    pub(super) fn possible_provider(&self) -> Option<&'static Hosting> {
        let hosting = Hosting::of_tls_port(self.host(), self.port());
        hosting.filter(|_| self.target.tls && self.instance().is_none())
    }

    /// Returns the provider that runs the server, or `None` if no provider is known. Customers of a provider
    /// have no access to the server's host.
    pub(super) fn provider(&self) -> Option<&'static Hosting> {
        self.hosting()
            .filter(|hosting| hosting.reach != Reach::Containers)
    }

    /// Whether a provider runs the server, according to the host name or an error reply.
    pub(super) fn is_managed(&self) -> bool {
        let (auth, ping) = (&self.seen.auth.response, &self.seen.ping.response);
        let replies = auth.iter().chain(ping).chain(&self.seen.requests.read);
        let is_of_provider = |error: String| {
            let refusal = Refusal::of(&error);
            ErrorReply::of(&error).is_none() && !matches!(refusal, Refusal::Command | Refusal::Other)
        };
        self.provider().is_some() || replies.filter_map(Response::error).any(is_of_provider)
    }

    /// Whether the server runs on AWS, according to the host name or this host's EC2 metadata. If not, fixes
    /// must not mention AWS.
    pub(super) fn is_aws(&self) -> bool {
        match self.provider() {
            // This host may be on AWS even if the server belongs to another provider.
            Some(provider) => provider.is_aws,
            None => self.instance().is_some(),
        }
    }

    /// Returns `text`, with `note` appended if the server runs on AWS.
    pub(super) fn with_aws_note(&self, text: &str, note: &str) -> String {
        format!("{text}{}", if self.is_aws() { note } else { "" })
    }

    /// Returns the `--region` option for `aws`, or an empty string. The region comes from this EC2 instance
    /// or from the host name.
    pub(super) fn region_option(&self) -> String {
        let named = || provider::endpoint_hint(self.host())?.region;
        let own = self.instance().map(|instance| instance.region.clone());
        let option = |region: String| format!(" --region {}", shell_quoted(&region));
        own.or_else(named).map(option).unwrap_or_default()
    }

    pub(super) fn instance(&self) -> Option<&'a Instance> {
        self.seen.this_host.instance.as_ref()
    }

    /// Returns the listening socket that accepted the connection, if the socket is known and on this host.
    pub(super) fn listener(&self) -> Option<&'a LocalListener> {
        self.seen.listener_of_the_connection()
    }

    pub(super) fn name_servers(&self) -> &'a [NameServer] {
        self.seen.dns.as_ref().map_or(&[], |lookup| &lookup.servers)
    }

    pub(super) fn handshake(&self) -> Option<&'a Handshake> {
        self.seen.tls.handshake.as_ref()
    }
}
