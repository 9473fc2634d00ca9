//! A visitor's action, with the app's responses and the Redis commands that the app sent meanwhile.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use url::Url;

use super::page::Page;
use super::proxy::Proxy;
use super::redis_command::{Delayed, Effect, Key, SeenCommand};
use crate::sanitize;

/// The maximum number of commands in a report about one exchange.
const MOST_LINES: usize = 16;

/// One request and its response.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) method: String,
    pub(crate) url: Url,
    /// The response, or the reason for a missing response.
    pub(crate) answer: Result<Page, String>,
    pub(crate) took: Duration,
}

/// One action of a visitor, such as a login. Contains all requests, including redirects, and the Redis
/// commands that the app sent.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) hops: Vec<Hop>,
    pub(crate) commands: Vec<SeenCommand>,
    /// The position in the proxy's record at the start of the first request.
    pub(crate) mark: usize,
}

impl Exchange {
    /// Runs `visit`, and records its requests and the Redis commands that the app sends meanwhile.
    pub(crate) async fn record(proxy: Option<&Proxy>, visit: impl AsyncFnOnce(&mut Vec<Hop>)) -> Self {
        let mark = proxy.map_or(0, Proxy::mark);
        let mut hops = Vec::new();
        if let Some(proxy) = proxy {
            proxy.request_begins();
        }
        visit(&mut hops).await;
        let commands = proxy.map_or_else(Vec::new, |proxy| {
            proxy.request_ends();
            proxy.since(mark)
        });
        Self { hops, commands, mark }
    }

    /// Returns the last page after all redirects, or `None` if the last request got no response.
    pub(crate) fn page(&self) -> Option<&Page> {
        self.hops.last()?.answer.as_ref().ok()
    }

    /// If the last response is a server error, such as 503, returns that response. If the last response is
    /// missing, returns the reason. In both cases, the app has not shown whether the user is logged in.
    /// Otherwise, returns `None`.
    pub(crate) fn error(&self) -> Option<String> {
        match &self.hops.last()?.answer {
            Ok(page) if page.status < 500 => None,
            Ok(page) => Some(page.shown()),
            Err(why) => Some(why.clone()),
        }
    }

    /// Returns the first response, before any redirect, or `None` if the first request got no response.
    pub(crate) fn first_page(&self) -> Option<&Page> {
        self.hops.first()?.answer.as_ref().ok()
    }

    /// Returns the response to the first POST request, before any redirect. Without a POST request, returns
    /// the last response. Returns `None` if that request got no response.
    pub(crate) fn answer_to_form(&self) -> Option<&Page> {
        let sent = self.hops.iter().find(|hop| hop.method == "POST");
        sent.or(self.hops.last())?.answer.as_ref().ok()
    }

    /// Whether the app responded to the form without an error status.
    pub(crate) fn is_accepted(&self) -> bool {
        self.answer_to_form().is_some_and(|page| page.status < 400)
    }

    pub(crate) fn longest(&self) -> Duration {
        self.hops.iter().map(|hop| hop.took).max().unwrap_or_default()
    }

    /// Returns the commands that read or write data.
    pub(crate) fn data_commands(&self) -> impl Iterator<Item = &SeenCommand> {
        self.commands.iter().filter(|command| command.uses_data())
    }

    /// Counts the commands that read or write data or execute a transaction. The proxy can cut the connection
    /// after each of these commands.
    pub(crate) fn cuts(&self) -> usize {
        self.commands
            .iter()
            .filter(|command| command.has_effect())
            .count()
    }

    /// Returns the keys of the commands that read or write data, in the order of their first use.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut known = HashSet::new();
        let keys = self.data_commands().flat_map(|command| &command.keys);
        keys.filter(|key| known.insert(*key)).cloned().collect()
    }

    /// Returns how often the app waited for Redis. Commands that set up a connection do not count.
    pub(crate) fn round_trips(&self) -> usize {
        let trips = self
            .commands
            .iter()
            .filter(|command| command.effect != Effect::Connection);
        trips
            .map(|command| (command.connection, command.round_trip))
            .collect::<HashSet<_>>()
            .len()
    }

    /// Returns one line per request, with the response in shortened form.
    pub(crate) fn http_lines(&self) -> Vec<String> {
        let lines = self.hops.iter().map(|hop| {
            let path = &hop.url[url::Position::BeforePath..];
            let answer = match &hop.answer {
                Ok(page) => {
                    let location = page.headers_named("location").next();
                    let location = location.map(|to| format!(" Location: {to}")).unwrap_or_default();
                    let cookies: String = page
                        .headers_named("set-cookie")
                        .map(|cookie| format!(" Set-Cookie: {cookie}"))
                        .collect();
                    let text = page.shown();
                    let text = if location.is_empty() {
                        text
                    } else {
                        page.status.to_string()
                    };
                    format!("{text}{location}{cookies}")
                }
                Err(why) => why.clone(),
            };
            sanitize::line(&format!("{} {path} → {answer}", hop.method)).into_owned()
        });
        lines.collect()
    }

    /// Returns one line per Redis command, in the order in which the commands reached Redis. Each line contains
    /// the shortened reply and the time since the first command. Omits commands that set up a connection.
    pub(crate) fn redis_lines(&self) -> Vec<String> {
        let is_shown = |command: &&SeenCommand| command.effect != Effect::Connection;
        let reached_redis = |command: &SeenCommand| match command.delayed {
            Some((Delayed::Command, until)) => until,
            _ => command.at,
        };
        let mut shown: Vec<&SeenCommand> = self.commands.iter().filter(is_shown).collect();
        let Some(first) = shown.iter().map(|command| command.at).min() else {
            return Vec::new();
        };
        shown.sort_by_key(|command| reached_redis(command));
        let lines = shown.iter().take(MOST_LINES).map(|command| {
            let after = |instant: Instant| {
                let span = instant.saturating_duration_since(first);
                format!("{:.1} ms", span.as_secs_f64() * 1000.0)
            };
            let delay = match command.delayed {
                Some((Delayed::Command, _)) => {
                    format!(" (`check` delayed the command from {})", after(command.at))
                }
                Some((Delayed::Reply, until)) => {
                    format!(" (`check` delayed the reply until {})", after(until))
                }
                None => String::new(),
            };
            format!("{} {}{delay}", after(reached_redis(command)), command.shown())
        });
        let more = shown.len().saturating_sub(MOST_LINES);
        let more = (more > 0).then(|| format!("… and {more} more"));
        lines.chain(more).collect()
    }
}
