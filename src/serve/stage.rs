//! Defines the four stages of the tutorial's app. A running server serves one of them.

use std::fmt;

/// A stage of the tutorial's app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AppStage {
    /// The cookie contains the signed user name. Redis is not used.
    Cookie = 1,
    /// Visits are counted in a hash whose key contains the user name.
    Visits = 2,
    /// Like [`Self::Visits`], but the hash expires.
    Ttl = 3,
    /// The cookie contains a random token, and the session is in Redis.
    Store = 4,
}

impl AppStage {
    pub(crate) const ALL: [Self; 4] = [Self::Cookie, Self::Visits, Self::Ttl, Self::Store];

    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.number() == number)
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cookie => "signed cookie",
            Self::Visits => "visits in Redis",
            Self::Ttl => "visits with a TTL",
            Self::Store => "session store",
        }
    }

    /// Returns a sentence that describes the stage, without its full stop.
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

    /// Returns the purpose of a signed cookie of this stage. The signature covers the purpose, so that a
    /// cookie of one stage is not valid for another.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Cookie => "stage 1",
            Self::Visits => "stage 2",
            Self::Ttl => "stage 3",
            Self::Store => "stage 4",
        }
    }

    pub(crate) fn needs_redis(self) -> bool {
        self != Self::Cookie
    }
}

impl fmt::Display for AppStage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "stage {}: {}", self.number(), self.name())
    }
}
