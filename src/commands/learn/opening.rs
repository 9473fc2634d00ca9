//! Which Redis the lessons run on, and where progress is kept.

use ring::rand::{SecureRandom, SystemRandom};

use crate::cli::RedisArgs;
use crate::commands::chosen::{self, Choice};
use crate::exit::Exit;
use crate::target::Trust;

/// A Redis, and what keeps it there.
pub(super) struct Opening {
    pub(super) choice: Choice,
    pub(super) trust: Trust,
}

impl Opening {
    /// The Redis that was named, or the practice one.
    pub(super) fn new(args: &RedisArgs) -> anyhow::Result<Result<Self, Exit>> {
        Ok(chosen::or_exit(args.url.as_deref())?.map(|choice| Self {
            choice,
            trust: chosen::trust(&args.trust),
        }))
    }

    /// Lets go of it.
    pub(super) fn close(self) {
        self.choice.close();
    }
}

/// A few letters that nobody else has.
pub(super) fn random_letters() -> String {
    let mut bytes = [0; 3];
    // Without random bytes the name is taken, and the next one is tried.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
