//! Which Redis a command talks to: the one that was named, or the built-in practice Redis.

use crate::cli::TrustArgs;
use crate::deadline::Deadline;
use crate::secret::Secret;
use crate::target::{Origin, Target, Trust, UrlFault};

/// A Redis, and what keeps it there while the command runs.
pub(super) struct Choice {
    pub(super) target: Target,
}

/// The Redis of the URL, with the password of `REDISCLI_AUTH` where it has none; without a URL the practice Redis.
pub(super) fn choose(url: Option<&str>, _deadline: Deadline) -> Result<Choice, UrlFault> {
    let password = std::env::var("REDISCLI_AUTH")
        .ok()
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    match url {
        Some(url) => Ok(Choice {
            target: Target::parse(url)?.with_password(password),
        }),
        None => {
            let mut target = Target::parse("redis://127.0.0.1:6379")?;
            target.origin = Origin::Practice;
            Ok(Choice { target })
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
