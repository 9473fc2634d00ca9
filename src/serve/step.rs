//! The four steps of the tutorial's app: one running server shows one of them.

use std::fmt;

/// How far the app has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The user name in a signed cookie; no Redis.
    Cookie = 1,
    /// Visits counted in a hash at the user's key.
    Visits = 2,
    /// The same, and the hash expires.
    Ttl = 3,
    /// A random token in the cookie, the session behind it in Redis.
    Store = 4,
}

impl Step {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Cookie, Self::Visits, Self::Ttl, Self::Store];

    /// The step with this number.
    #[must_use]
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }

    /// 1 to 4.
    #[must_use]
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// What the step is called.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cookie => "a cookie session",
            Self::Visits => "visits in Redis",
            Self::Ttl => "a time to live",
            Self::Store => "a session store",
        }
    }

    /// What it shows, in a sentence.
    #[must_use]
    pub(crate) fn promise(self) -> &'static str {
        match self {
            Self::Cookie => "The browser keeps the user name in a signed cookie, and Redis has no part in it",
            Self::Visits => "The cookie still holds the name; Redis counts the visits in a hash, for ever",
            Self::Ttl => "The same hash, and every visit gives it a few more seconds to live",
            Self::Store => {
                "The cookie holds a random token and nothing else; the session lives in Redis, and dies there"
            }
        }
    }

    /// Whether the cookie is the signed user name; else it is a token.
    #[must_use]
    pub(crate) fn signs_the_name(self) -> bool {
        self != Self::Store
    }

    /// Whether anything of this step is in Redis.
    #[must_use]
    pub(crate) fn needs_redis(self) -> bool {
        self != Self::Cookie
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "step {}: {}", self.number(), self.name())
    }
}
