//! The ways in which a check can disturb the app's commands: delay them, leave them unanswered, or cut the
//! connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Proxy, Shared, State};
use crate::check::redis_command::{Delayed, Effect, SeenCommand};

/// How the proxy treats commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Forward,
    /// Accepts commands, but neither forwards them nor replies.
    Silent,
    Down,
}

/// The point at which the proxy delays a request until the request is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    /// Delays the commands of this round trip, counted from 0, and all later commands of the connection. Only
    /// round trips with data commands count.
    Before(usize),
    /// Delays the replies of this round trip, counted in the same way, and all later replies of the connection.
    Replies(usize),
}

/// A request that the proxy delays, or will delay once the request arrives.
#[derive(Debug)]
pub(super) struct Hold {
    point: HoldPoint,
    /// The round trips with data commands since this delay was requested, as pairs of connection number and
    /// round-trip number.
    round_trips: Vec<(u64, u64)>,
    /// The connection of the delayed request, or `None` before the request arrives.
    connection: Option<u64>,
    reached: Arc<Notify>,
}

impl Proxy {
    /// Delays the next request at this point until the request is released.
    pub(crate) fn hold(&self, point: HoldPoint) {
        self.shared.state().hold = Some(Hold {
            point,
            round_trips: Vec::new(),
            connection: None,
            reached: Arc::default(),
        });
    }

    /// Waits until a request has reached its [`HoldPoint`].
    pub(crate) async fn held(&self) {
        let reached = self
            .shared
            .state()
            .hold
            .as_ref()
            .map(|hold| Arc::clone(&hold.reached));
        if let Some(reached) = reached {
            reached.notified().await;
        }
    }

    /// Whether commands since `mark` wait behind the delayed request on the same connection.
    pub(crate) fn others_wait_behind_the_hold(&self, mark: usize) -> bool {
        let state = self.shared.state();
        let held = state.hold.as_ref().and_then(|hold| hold.connection);
        let Some(connection) = held else { return false };
        let on_it = state.log[mark..]
            .iter()
            .filter(|command| command.connection == connection);
        on_it.filter(|command| command.reply.is_none()).count() > 0
    }

    /// Releases the delayed request. Records the end of the delay for all commands or replies that waited.
    pub(crate) fn release(&self) {
        self.shared.state().release();
        self.shared.notify();
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Cuts the app's connection after the next `commands` commands that read or write data or execute a
    /// transaction. Their replies may be lost.
    pub(crate) fn cut_after(&self, commands: usize) {
        self.shared.state().cut_after = Some(commands);
    }

    /// Cancels [`Self::cut_after`]. Returns whether a connection was cut.
    pub(crate) fn was_cut(&self) -> bool {
        self.shared.state().cut_after.take().is_none()
    }

    /// Whether the proxy sends commands to Redis.
    pub(crate) fn is_forwarding(&self) -> bool {
        self.shared.state().mode == Mode::Forward
    }

    /// Stops replying to commands.
    pub(crate) fn be_silent(&self) {
        self.shared.state().mode = Mode::Silent;
    }

    /// Closes all connections, and rejects new ones.
    pub(crate) fn go_down(&self) {
        let mut state = self.shared.state();
        state.mode = Mode::Down;
        state.cut_all();
    }

    /// Starts replying again, as after a restart of Redis. Closes connections with unanswered commands.
    pub(crate) fn come_back(&self) {
        let mut state = self.shared.state();
        state.mode = Mode::Forward;
        for connection in state
            .connections
            .values()
            .filter(|connection| connection.pending > 0)
        {
            connection.cut.notify_one();
        }
        drop(state);
        self.shared.notify();
    }
}

impl Shared {
    /// Waits as long as the proxy delays this command or its reply.
    pub(super) async fn wait_while_held(&self, index: usize, what: Delayed) {
        self.wait_for(|state| (!state.holds(index, what)).then_some(()))
            .await;
    }
}

impl State {
    /// Counts the command for [`Proxy::cut_after`]. Returns whether to cut the connection now.
    pub(super) fn cuts_after(&mut self, index: usize) -> bool {
        let command = &self.log[index];
        if !command.has_effect() || self.is_idle(command) {
            return false;
        }
        match &mut self.cut_after {
            Some(1) => {
                self.cut_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn holds(&mut self, index: usize, what: Delayed) -> bool {
        if self.hold.is_none() {
            return false;
        }
        let is_of_request = self.is_of_request(index);
        let command = &self.log[index];
        let Some(hold) = &mut self.hold else { return false };
        let number = match (hold.point, what) {
            (HoldPoint::Before(number), Delayed::Command) | (HoldPoint::Replies(number), Delayed::Reply) => {
                number
            }
            _ => return false,
        };
        if hold.connection.is_none() && is_of_request && hold.number_of(command) == number {
            hold.connection = Some(command.connection);
            hold.reached.notify_one();
        }
        hold.connection == Some(command.connection)
    }

    /// Whether the command reads or writes data for a request, or precedes such commands in the same round
    /// trip, as MULTI does.
    fn is_of_request(&self, index: usize) -> bool {
        let command = &self.log[index];
        let is_data = |command: &SeenCommand| command.uses_data() && !self.is_idle(command);
        let trip = |command: &SeenCommand| (command.connection, command.round_trip);
        let mut later = self.log[index..].iter();
        match command.effect {
            Effect::Transaction => later.any(|later| trip(later) == trip(command) && is_data(later)),
            _ => is_data(command),
        }
    }

    fn release(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        let Some(connection) = hold.connection else { return };
        let what = match hold.point {
            HoldPoint::Before(_) => Delayed::Command,
            HoldPoint::Replies(_) => Delayed::Reply,
        };
        let now = Instant::now();
        let pending = self
            .connections
            .get(&connection)
            .map_or(0, |handle| handle.pending);
        let unanswered = self
            .log
            .iter_mut()
            .rev()
            .filter(|command| command.connection == connection)
            .take(pending);
        // A command without a reply waits to be sent. Other unanswered commands have a reply that waits.
        for command in unanswered.filter(|command| command.reply.is_some() == (what == Delayed::Reply)) {
            command.delayed = Some((what, now));
        }
    }
}

impl Hold {
    /// Returns the index of the command's round trip in `round_trips`. Adds the round trip if it is new.
    fn number_of(&mut self, command: &SeenCommand) -> usize {
        let round_trip = (command.connection, command.round_trip);
        match self.round_trips.iter().position(|known| *known == round_trip) {
            Some(number) => number,
            None => {
                self.round_trips.push(round_trip);
                self.round_trips.len() - 1
            }
        }
    }
}
