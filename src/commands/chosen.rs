//! Which Redis a command talks to: the one that was named, or the built-in practice Redis.

use std::time::Duration;

use super::Error;
use crate::cli::TrustArgs;
use crate::deadline::Deadline;
use crate::practice::{self, Attached};
use crate::redis_url::{Target, Trust};
use crate::secret::Secret;
use crate::ui;

/// A Redis, and what keeps it there while the command runs.
pub(super) struct Choice {
    pub(super) target: Target,
    practice: Option<Attached>,
}

/// How long the practice Redis of another process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The Redis of the URL, with the password of `REDISCLI_AUTH` if the URL has none; without a URL, the practice Redis.
pub(super) fn choose(url: Option<&str>) -> Result<Choice, Error> {
    let Some(url) = url else {
        // Never a Redis that merely happens to listen on the usual port.
        return Choice::practice();
    };
    let password = std::env::var("REDISCLI_AUTH")
        .ok()
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    Ok(Choice {
        target: Target::parse(url)?.with_password(password),
        practice: None,
    })
}

impl Choice {
    fn practice() -> Result<Self, Error> {
        let attached = practice::attach(Deadline::after(PATIENCE)).map_err(anyhow::Error::from)?;
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
