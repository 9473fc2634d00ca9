//! Selects the Redis server for a command: the server in the URL, or the built-in practice Redis.

use std::sync::Arc;

use super::Error;
use crate::cli::TrustArgs;
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::practice::PracticeRedis;
use crate::redis_url::{Target, Trust};
use crate::secret::Secret;
use crate::ui;

/// The Redis server that a command uses.
pub(super) struct Choice {
    pub(super) target: Target,
    practice: Option<Arc<PracticeRedis>>,
}

/// Returns the server in the URL or, without a URL, the practice Redis. If the URL has no password, the one in
/// `REDISCLI_AUTH` is used.
pub(super) fn choose(url: Option<&str>) -> Result<Choice, Error> {
    let Some(url) = url else {
        // Never use a Redis server only because it happens to listen on the usual port.
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
        let practice = PracticeRedis::default();
        let target = practice
            .attach(Deadline::after(DEFAULT_TIMEOUT))
            .map_err(anyhow::Error::from)?;
        ui::note("REDIS_URL is not set: using the built-in practice Redis");
        let notices = practice.notices();
        notices.iter().for_each(|notice| ui::note(&notice.to_string()));
        Ok(Self {
            target,
            practice: Some(Arc::new(practice)),
        })
    }

    /// Returns the target for a new connection. The target of the practice Redis may have changed, because the
    /// process that ran it may have ended.
    ///
    /// This may block for a few seconds.
    pub(super) fn target_now(&self) -> Target {
        let attach = |practice: &Arc<PracticeRedis>| practice.attach(Deadline::after(DEFAULT_TIMEOUT));
        // If attaching fails, connecting to the old target shows the reason.
        let attached = self.practice.as_ref().map(attach);
        attached
            .and_then(Result::ok)
            .unwrap_or_else(|| self.target.clone())
    }

    /// Stops the practice Redis if this process runs it, and prints a message if its data could not be saved.
    pub(super) fn close(&self) {
        if let Some(Err(error)) = self.practice.as_ref().map(|practice| practice.close()) {
            ui::note(&format!("the practice Redis could not save its data: {error}"));
        }
    }
}

/// Returns the TLS options.
pub(super) fn trust(args: &TrustArgs) -> Trust {
    Trust {
        ca: args.ca.clone(),
        cert: args.cert.clone(),
        key: args.key.clone(),
        tls_name: args.tls_name.clone(),
        ..Trust::default()
    }
}
