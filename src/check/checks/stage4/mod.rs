//! Stage 4: a session store.

pub(super) mod logout;
pub(super) mod outage;
pub(super) mod race;
pub(super) mod store;
pub(super) mod token;
