//! Which Redis a command talks to: the one that was named, or the built-in practice Redis.

use crate::cli::TrustArgs;
use crate::exit::Exit;
use crate::ping;
use crate::secret::Secret;
use crate::target::{Target, Trust, UrlFault};
use crate::ui;

/// A Redis, and what keeps it there while the command runs.
pub(super) struct Choice {
    pub(super) target: Target,
}

/// The Redis of the URL, with the password of `REDISCLI_AUTH` where it has none; without a URL the practice Redis.
pub(super) fn choose(url: Option<&str>) -> anyhow::Result<Result<Choice, UrlFault>> {
    let password = std::env::var("REDISCLI_AUTH")
        .ok()
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    let Some(url) = url else {
        // Never somebody's Redis that merely happens to listen where one usually does.
        anyhow::bail!("no REDIS_URL is set, and the practice Redis is not built in yet");
    };
    Ok(Target::parse(url).map(|target| Choice {
        target: target.with_password(password),
    }))
}

/// The same; where the URL cannot be used, says so in `ping`'s words, and how to exit.
pub(super) fn or_exit(url: Option<&str>) -> anyhow::Result<Result<Choice, Exit>> {
    match choose(url)? {
        Ok(choice) => Ok(Ok(choice)),
        Err(fault) => {
            let verdict = ping::judge_url(&fault);
            ui::ping::url_verdict(&verdict);
            Ok(Err(verdict.exit()))
        }
    }
}

impl Choice {
    /// Lets go of it.
    pub(super) fn close(self) {}
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
