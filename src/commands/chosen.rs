//! Which Redis a command talks to: the one that was named, or the built-in practice Redis.

use std::time::Duration;

use crate::cli::TrustArgs;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping;
use crate::practice::{self, Attached};
use crate::redis_url::{Target, Trust, UrlError};
use crate::secret::Secret;
use crate::ui;

/// A Redis, and what keeps it there while the command runs.
pub(super) struct Choice {
    pub(super) target: Target,
    practice: Option<Attached>,
}

/// How long the practice Redis of another process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The Redis of the URL, with the password of `REDISCLI_AUTH` where it has none; without a URL the practice Redis.
pub(super) fn choose(url: Option<&str>) -> anyhow::Result<Result<Choice, UrlError>> {
    let password = std::env::var("REDISCLI_AUTH")
        .ok()
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    let Some(url) = url else {
        // Never somebody's Redis that merely happens to listen where one usually does.
        return Ok(Ok(Choice::practice()?));
    };
    Ok(Target::parse(url).map(|target| Choice {
        target: target.with_password(password),
        practice: None,
    }))
}

/// The same; where the URL cannot be used, says so in one line, and how to exit.
pub(super) fn or_exit(url: Option<&str>) -> anyhow::Result<Result<Choice, Exit>> {
    match choose(url)? {
        Ok(choice) => Ok(Ok(choice)),
        Err(fault) => {
            let verdict = ping::judge_url(&fault);
            let meant = fault
                .suggestion
                .map_or_else(String::new, |meant| format!("; probably suggestion: {meant}"));
            let code = verdict
                .finding
                .as_ref()
                .map_or("", |finding| finding.cause.code());
            ui::usage(&format!("{code}: {}{meant}", fault.message));
            Ok(Err(verdict.exit()))
        }
    }
}

impl Choice {
    fn practice() -> anyhow::Result<Self> {
        let attached = practice::attach(Deadline::after(PATIENCE))?;
        ui::practice::in_use(attached.notices());
        Ok(Self {
            target: attached.target(),
            practice: Some(attached),
        })
    }

    /// Where it is now: a practice Redis moves when the command that served it ends.
    pub(super) fn target_now(&self) -> Target {
        self.practice
            .as_ref()
            .map_or_else(|| self.target.clone(), Attached::target)
    }

    /// Lets go of it; says so where the practice Redis could not save its data.
    pub(super) fn close(self) {
        if let Some(Err(fault)) = self.practice.map(Attached::close) {
            ui::practice::not_saved(&fault);
        }
    }
}

/// The options that say whom to trust.
pub(super) fn trust(args: &TrustArgs) -> Trust {
    Trust {
        ca: args.ca.clone(),
        cert: args.cert.clone(),
        key: args.key.clone(),
        tls_name: args.tls_name.clone(),
    }
}
