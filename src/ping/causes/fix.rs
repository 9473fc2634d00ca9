//! Builds lists of fixes.

use super::fix_context::FixContext;

/// An action that may solve a problem with the connection to Redis.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// The kind of fix, such as `security-group`. Scripts rely on the names of the kinds.
    pub kind: &'static str,
    /// What the user should do, in one or more sentences. The last sentence has no full stop.
    pub text: String,
    /// A POSIX shell command that users can paste into a terminal unchanged.
    pub command: Option<String>,
    /// A command that undoes the fix, or a description of how to undo it. Set only for fixes that `--aws` or
    /// `--aws-documents` found.
    pub undo: Option<String>,
}

impl Fix {
    /// Creates a fix without a command.
    pub(crate) fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            command: None,
            undo: None,
        }
    }
}

/// A list of at least one fix, most promising first.
pub(super) struct Fixes(Vec<Fix>);

/// Starts a list with one fix.
pub(super) fn advise(kind: &'static str, text: impl Into<String>) -> Fixes {
    Fixes(Vec::new()).and(kind, text)
}

impl Fixes {
    pub(super) fn and(mut self, kind: &'static str, text: impl Into<String>) -> Self {
        self.0.push(Fix::new(kind, text));
        self
    }

    /// Adds a command to the last fix.
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.command = Some(command.into());
        }
        self
    }

    /// Adds a command to the last fix. The command tries a different URL or password. The fix then tells the
    /// user to change the application's settings if the command succeeds.
    pub(super) fn try_command(mut self, at: &FixContext, command: impl Into<String>) -> Self {
        if let Some(last) = self.0.last_mut() {
            let advice = format!(
                ". Test this with the following command. If it succeeds, make the same change in the application's {}",
                at.setting()
            );
            last.text.push_str(&advice);
        }
        self.command(command)
    }

    /// Adds a redis-cli command to the last fix, unless the server refused the same command during the
    /// checks.
    pub(super) fn redis_cli(self, at: &FixContext, arguments: &str) -> Self {
        let name = |command: &str| command.split(' ').next().map(str::to_owned);
        let mut refused = at.seen.server.refused.iter();
        if refused.any(|command| name(command) == name(arguments)) {
            return self;
        }
        self.command(at.redis_cli(arguments))
    }

    /// Appends `others`, if there are any.
    pub(super) fn and_all(mut self, others: impl Into<Option<Self>>) -> Self {
        let others = others.into().into_iter();
        self.0.extend(others.flat_map(|others| others.0));
        self
    }

    /// Inserts `first` before these fixes. Does nothing if `first` is `None`.
    pub(super) fn after(self, first: Option<Self>) -> Self {
        match first {
            Some(first) => first.and_all(self),
            None => self,
        }
    }
}

impl From<Fixes> for Vec<Fix> {
    fn from(fixes: Fixes) -> Self {
        fixes.0
    }
}
