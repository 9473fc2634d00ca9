//! The rungs of a report, each with its status; derived from what was seen, for both renderers.

use std::time::Duration;

use crate::ping::Rung;
use crate::ping::observation::{DialResult, Observations, TlsResult};
use crate::ping::response::Response;
use crate::ping::verdict::{Verdict, packets};
use crate::redis_url::{Address, Target};

/// One rung of the report.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub rung: Rung,
    /// How it went.
    pub status: Status,
    /// How long it took; none where it was skipped.
    pub took: Option<Duration>,
    /// What it came to, in words.
    pub detail: String,
}

/// How a rung went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As hoped.
    Ok,
    /// It works, but.
    Warn,
    /// The cause lies here.
    Fail,
    /// Not needed, or not reached.
    Skipped,
}

impl Status {
    /// The word in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// All rungs, with the failing one and those with warnings marked.
#[must_use]
pub fn steps(target: &Target, seen: &Observations, verdict: &Verdict) -> Vec<Step> {
    let mut steps: Vec<Step> = Rung::ALL
        .iter()
        .map(|rung| observed(*rung, target, seen))
        .collect();
    for warning in &verdict.warnings {
        let rung = rung_of(warning.cause.code());
        if let Some(step) = steps
            .iter_mut()
            .find(|step| step.rung == rung && step.status == Status::Ok)
        {
            step.status = Status::Warn;
        }
    }
    if let Some(finding) = &verdict.finding {
        // What failed is the last rung that was tried, unless an earlier one has failed by itself.
        if !steps.iter().any(|step| step.status == Status::Fail) {
            let last = steps.iter_mut().rev().find(|step| step.took.is_some());
            if let Some(step) = last {
                step.status = Status::Fail;
                step.detail = finding.summary.clone();
            }
        }
    }
    steps
}

fn rung_of(code: &str) -> Rung {
    match code.split('.').next().unwrap_or_default() {
        "url" => Rung::Url,
        "dns" => Rung::Dns,
        "tcp" => Rung::Tcp,
        "tls" => Rung::Tls,
        "auth" => Rung::Auth,
        "latency" => Rung::Ping,
        _ => Rung::Role,
    }
}

/// One rung as it was seen, without the verdict's view of it.
#[must_use]
pub fn observed(rung: Rung, target: &Target, seen: &Observations) -> Step {
    let (status, took, detail) = match rung {
        Rung::Url => (Status::Ok, Some(Duration::ZERO), target.to_string()),
        Rung::Dns => dns(target, seen),
        Rung::Tcp => tcp(seen),
        Rung::Tls => tls(target, seen),
        Rung::Auth => auth(target, seen),
        Rung::Ping => ping(seen),
        Rung::Role => role(seen),
    };
    Step {
        rung,
        status,
        took,
        detail,
    }
}

/// What the URL's name suggests, as a rung that may be doubted.
#[must_use]
pub fn hint(words: &str) -> Step {
    Step {
        rung: Rung::Url,
        status: Status::Warn,
        took: None,
        detail: words.to_owned(),
    }
}

type Seen = (Status, Option<Duration>, String);

fn skipped(why: &str) -> Seen {
    (Status::Skipped, None, why.to_owned())
}

fn dns(target: &Target, seen: &Observations) -> Seen {
    let Some(lookup) = &seen.dns else {
        return skipped(match target.address {
            Address::Unix(_) => "a unix socket has no name",
            Address::Tcp { .. } => "the host is an address",
        });
    };
    if lookup.addresses.is_empty() {
        return (Status::Fail, Some(lookup.took), "no address".into());
    }
    let list: Vec<_> = lookup.addresses.iter().map(ToString::to_string).collect();
    (Status::Ok, Some(lookup.took), list.join(", "))
}

fn tcp(seen: &Observations) -> Seen {
    if seen.dials.is_empty() {
        return skipped("not reached");
    }
    match seen
        .dials
        .iter()
        .find(|dial| dial.result == DialResult::Connected)
    {
        Some(dial) => (
            Status::Ok,
            Some(seen.tcp_took),
            format!("connected to {}", dial.to),
        ),
        None => {
            // The evidence says more of each.
            let list = seen
                .dials
                .iter()
                .map(|dial| format!("{} {}", dial.to, dial.result.name()));
            (
                Status::Fail,
                Some(seen.tcp_took),
                list.collect::<Vec<_>>().join(", "),
            )
        }
    }
}

fn tls(target: &Target, seen: &Observations) -> Seen {
    if !target.tls {
        return skipped("the URL asks for none");
    }
    let Some(tls) = &seen.tls else {
        return if seen.experiment.is_some() {
            (
                Status::Fail,
                Some(Duration::ZERO),
                "the handshake was not answered in TLS".into(),
            )
        } else {
            skipped("not reached")
        };
    };
    if tls.result != TlsResult::Established {
        return (Status::Fail, Some(tls.took), "no session".into());
    }
    // rustls says TLSv1_3.
    let version = tls
        .version
        .as_deref()
        .unwrap_or_default()
        .replace("TLSv", "TLS ")
        .replace('_', ".");
    (
        Status::Ok,
        Some(tls.took),
        format!("{version}, certificate for {}", tls.expected_name),
    )
}

fn auth(target: &Target, seen: &Observations) -> Seen {
    match &seen.login {
        Some(heard) if heard.is_ok() => {
            let user = target.user.as_deref().unwrap_or("default");
            let words = format!("logged in as {}", crate::sanitize::line(user));
            (Status::Ok, Some(seen.login_took), words)
        }
        Some(_) => (Status::Fail, Some(seen.login_took), "not let in".into()),
        None if seen.ping.as_ref().is_some_and(asks_for_login) => (
            Status::Fail,
            Some(seen.ping_took),
            "a password is asked for".into(),
        ),
        None if target.password.is_none() => skipped("the URL has no password"),
        None => skipped("not reached"),
    }
}

fn ping(seen: &Observations) -> Seen {
    let ping_substitute = seen
        .ping_substitute
        .as_ref()
        .filter(|ping_substitute| ping_substitute.is_served());
    match (&seen.ping, ping_substitute) {
        (None, _) => skipped("not reached"),
        (Some(heard), _) if heard.is_pong() => (Status::Ok, Some(seen.ping_took), "PONG".into()),
        (Some(_), Some(ping_substitute)) => (
            Status::Ok,
            Some(seen.ping_took),
            format!("PING is refused, {} is answered", ping_substitute.name),
        ),
        // Asked for a password: that is the rung below.
        (Some(heard), None) if asks_for_login(heard) => skipped("not let in"),
        (Some(_), None) => (Status::Fail, Some(seen.ping_took), "no PONG".into()),
    }
}

fn asks_for_login(heard: &Response) -> bool {
    heard.error().is_some_and(|error| error.starts_with("NOAUTH"))
}

fn role(seen: &Observations) -> Seen {
    if seen.server.role.is_none() {
        return match seen.packets.filter(|_| !seen.round_trips.is_empty()) {
            Some(flow) => (
                Status::Warn,
                None,
                format!(
                    "no answer to ROLE and INFO, which is a large one; {}",
                    packets(flow)
                ),
            ),
            None => skipped("not reached"),
        };
    }
    let role = seen.server.role_name().unwrap_or_else(|| "role not told".into());
    (
        Status::Ok,
        Some(Duration::ZERO),
        crate::sanitize::line(&role).into_owned(),
    )
}
