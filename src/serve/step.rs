//! The four steps of the tutorial's app. A running server shows one of them.

use std::fmt;

/// A step of the tutorial's app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AppStep {
    /// The user name in a signed cookie; no Redis.
    Cookie = 1,
    /// Visits counted in a hash at the user's key.
    Visits = 2,
    /// Like [`Self::Visits`], but the hash expires.
    Ttl = 3,
    /// A random token in the cookie; the session is in Redis.
    Store = 4,
}

impl AppStep {
    /// All steps, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Cookie, Self::Visits, Self::Ttl, Self::Store];

    /// Returns the step with this number.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }

    /// Returns the number of the step, 1 to 4.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name of the step.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cookie => "signed cookie",
            Self::Visits => "visits in Redis",
            Self::Ttl => "visits with a TTL",
            Self::Store => "session store",
        }
    }

    /// Returns a sentence that describes the step, without its full stop.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::Cookie => "The cookie contains the signed user name; Redis is not used",
            Self::Visits => {
                "The cookie contains the signed user name; visits are counted in a Redis hash without a TTL"
            }
            Self::Ttl => {
                "The cookie contains the signed user name; the Redis hash has a TTL, which every visit resets"
            }
            Self::Store => {
                "The cookie contains only a random token; the session is stored in Redis, where it expires"
            }
        }
    }

    /// Whether the cookie contains the signed user name rather than a token.
    pub(crate) fn signs_the_name(self) -> bool {
        self != Self::Store
    }

    /// What a signed cookie of this step is for, so that it is not valid for another step.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Cookie => "step 1",
            Self::Visits => "step 2",
            Self::Ttl => "step 3",
            Self::Store => "step 4",
        }
    }

    /// Whether this step uses Redis.
    pub(crate) fn needs_redis(self) -> bool {
        self != Self::Cookie
    }
}

impl fmt::Display for AppStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "step {}: {}", self.number(), self.name())
    }
}
