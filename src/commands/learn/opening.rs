//! Which Redis the lessons run on, and where progress is kept.

use std::path::PathBuf;

use ring::rand::{SecureRandom, SystemRandom};

use crate::cli::RedisArgs;
use crate::exit::Exit;
use crate::secret::Secret;
use crate::target::{Target, Trust};
use crate::ui;

/// A Redis, and what keeps it there.
pub(super) struct Opening {
    pub(super) target: Target,
    pub(super) trust: Trust,
}

impl Opening {
    /// The Redis that was named, or the practice one.
    pub(super) fn new(args: &RedisArgs) -> anyhow::Result<Result<Self, Exit>> {
        let Some(url) = &args.url else {
            // Never somebody's Redis that merely happens to listen where one usually does.
            anyhow::bail!("no REDIS_URL is set, and the practice Redis is not built in yet");
        };
        let mut target = match Target::parse(url) {
            Ok(target) => target,
            Err(fault) => {
                ui::learn::note(&format!("sessiontut: {fault}"));
                return Ok(Err(Exit::Usage));
            }
        };
        if target.password.is_none() {
            target.password = std::env::var("REDISCLI_AUTH").ok().map(Secret::new);
        }
        let trust = args.trust.clone();
        let trust = Trust {
            ca: trust.ca,
            cert: trust.cert,
            key: trust.key,
            tls_name: trust.tls_name,
        };
        Ok(Ok(Self { target, trust }))
    }

    /// Lets go of it.
    pub(super) fn close(self) {}
}

/// Where this user's state is kept; none where there is no home.
pub(super) fn state_folder() -> Option<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = named("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("sessiontut"))
}

/// A few letters that nobody else has.
pub(super) fn random_letters() -> String {
    let mut bytes = [0; 3];
    // Without random bytes the name is taken, and the next one is tried.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
