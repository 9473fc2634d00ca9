//! Which Redis the lessons run on, and where progress is kept.

use ring::rand::{SecureRandom, SystemRandom};

use crate::cli::RedisArgs;
use crate::commands::chosen::{self, Choice};
use crate::commands::session::endpoint;
use crate::exit::Exit;
use crate::learn::course::Guest;
use crate::redis_url::{Origin, Trust};
use crate::session::jar::Jar;
use crate::state;

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

    /// Whether the learner is to be told, before the first write, that this Redis holds other people's keys, too.
    pub(super) fn guest(&self) -> Guest {
        let target = &self.choice.target;
        let is_known = || jar().is_some_and(|jar| jar.cookie(&endpoint(target)).is_known);
        if target.origin == Origin::Practice || is_known() {
            Guest::Known
        } else {
            Guest::ToAsk
        }
    }

    /// Remembers that they know.
    pub(super) fn remember(&self) {
        if let Some(mut jar) = jar() {
            let endpoint = endpoint(&self.choice.target);
            let cookie = jar.cookie(&endpoint).known();
            // They are asked again next time, that is all.
            let _ = jar.keep(&endpoint, cookie);
        }
    }

    /// Lets go of it.
    pub(super) fn close(self) {
        self.choice.close();
    }
}

/// What this user is known by, where there is a place to keep it.
fn jar() -> Option<Jar> {
    Some(Jar::open(&state::open_folder().ok()?))
}

/// A few letters that nobody else has.
pub(super) fn random_letters() -> String {
    let mut bytes = [0; 3];
    // Without random bytes the name is taken, and the next one is tried.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
