//! The record of the app's commands. Commands that the app sends by itself, not for a request, are left out.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Proxy, State};
use crate::check::redis_command::{Effect, Key, SeenCommand};

/// If a command arrives later than this after the last response, the app sent it by itself, not for a
/// request.
const ATTRIBUTED_WITHIN: Duration = Duration::from_millis(300);

impl Proxy {
    /// Returns the current end of the record, to pass to [`Self::since`].
    pub(crate) fn mark(&self) -> usize {
        self.shared.state().log.len()
    }

    /// Returns the commands since the mark, without those that the app sends by itself.
    pub(crate) fn since(&self, mark: usize) -> Vec<SeenCommand> {
        let state = self.shared.state();
        let commands = state.log[mark..].iter();
        // MULTI and EXEC are treated like the commands between them.
        let idle: HashSet<(u64, u64)> = commands
            .clone()
            .filter(|command| state.is_idle(command))
            .map(|command| (command.connection, command.round_trip))
            .collect();
        commands
            .filter(|command| match command.effect {
                Effect::Transaction => !idle.contains(&(command.connection, command.round_trip)),
                _ => !state.is_idle(command),
            })
            .cloned()
            .collect()
    }

    /// The number of connections that the app has opened.
    pub(crate) fn connections_opened(&self) -> u64 {
        self.shared.state().opened
    }

    /// Why the proxy could not connect to Redis for the app, or `None` if it could.
    pub(crate) fn unreachable(&self) -> Option<String> {
        self.shared.state().unreachable.clone()
    }

    /// Records that a visitor's request begins.
    pub(crate) fn request_begins(&self) {
        self.shared.state().in_flight += 1;
    }

    /// Records that a visitor's request has been answered.
    pub(crate) fn request_ends(&self) {
        let mut state = self.shared.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answered = Instant::now();
    }
}

impl State {
    /// Whether the app sends this command by itself, not for a request.
    pub(super) fn is_idle(&self, command: &SeenCommand) -> bool {
        command.uses_data() && self.idle.contains(&signature(command))
    }

    /// Records a command, and returns its index.
    pub(super) fn record(&mut self, command: SeenCommand) -> usize {
        if self.in_flight == 0 && self.answered.elapsed() > ATTRIBUTED_WITHIN {
            self.idle.insert(signature(&command));
        }
        self.log.push(command);
        self.log.len() - 1
    }
}

fn signature(command: &SeenCommand) -> (String, Option<Key>) {
    (command.name(), command.keys.first().cloned())
}
