//! Defines the verdict, its finding and its warnings.

use rustls::AlertDescription;

use crate::exit::Exit;
use crate::ping::causes::{Cause, Fix, FixContext, hosts_file_fixes, other_server_fixes};
use crate::ping::observation::PacketSizes;
use crate::sanitize;

/// Joins names for a sentence, such as `HSET, HGETALL or EXEC`.
pub(crate) fn either<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// The result of a run: the cause of a failure, if there is one, and warnings.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong, or `None` if Redis works.
    pub finding: Option<Finding>,
    /// Problems that do not prevent the use of Redis. A verdict can have both a cause and warnings.
    pub warnings: Vec<Warning>,
}

/// One cause, its evidence and its fixes.
#[derive(Clone, Debug)]
pub struct Finding {
    pub cause: Cause,
    /// How certain the cause is.
    pub certainty: Certainty,
    /// What is wrong, in one sentence.
    pub summary: String,
    /// Observed facts, one per line.
    pub evidence: Vec<String>,
    /// What the user can do, most promising fix first.
    pub fixes: Vec<Fix>,
    /// The error reply that shows the cause, if there is one.
    pub reply: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// No other cause explains the observations.
    Proved,
    /// This cause is the best explanation of the observations.
    Likely,
}

/// A problem that does not prevent the use of Redis.
#[derive(Clone, Debug)]
pub struct Warning {
    /// The warning in the table of causes, with its code and meaning.
    pub cause: Cause,
    /// What was observed, in one sentence.
    pub summary: String,
    /// What the user can do, most promising fix first.
    pub fixes: Vec<Fix>,
}

impl From<Finding> for Warning {
    fn from(finding: Finding) -> Self {
        Self {
            cause: finding.cause,
            summary: finding.summary,
            fixes: finding.fixes,
        }
    }
}

impl Verdict {
    /// Returns the exit status of `ping` for this verdict.
    pub fn exit(&self) -> Exit {
        self.finding
            .as_ref()
            .map_or(Exit::Ok, |finding| finding.cause.exit())
    }
}

/// Methods that build a finding. The fixes are added last, because they depend on all observations.
impl Finding {
    fn new(cause: Cause, certainty: Certainty) -> Self {
        Self {
            cause,
            certainty,
            summary: cause.meaning().to_owned(),
            evidence: Vec::new(),
            fixes: Vec::new(),
            reply: None,
        }
    }

    pub(super) fn proved(cause: Cause) -> Self {
        Self::new(cause, Certainty::Proved)
    }

    pub(super) fn likely(cause: Cause) -> Self {
        Self::new(cause, Certainty::Likely)
    }

    pub(super) fn proved_if(is_proved: bool, cause: Cause) -> Self {
        match is_proved {
            true => Self::proved(cause),
            false => Self::likely(cause),
        }
    }

    /// Replaces the default summary, which is the meaning of the cause.
    pub(super) fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Adds the error reply that shows the cause to the evidence, and stores it, because the fixes depend on
    /// it.
    pub(super) fn replied(mut self, command: &str, reply: &str) -> Self {
        self.reply = Some(reply.to_owned());
        self.fact(replied(command, reply))
    }

    pub(super) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }

    /// Adds the fixes, which depend on all observations.
    pub(super) fn fixed(self, at: &FixContext) -> Self {
        let fixes = self.cause.fixes(&at.with_reply(self.reply.as_deref()));
        Self {
            fixes: hosts_file_fixes(self.cause, at, other_server_fixes(at, fixes)),
            ..self
        }
    }

    pub(super) fn facts(mut self, facts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.evidence.extend(facts.into_iter().map(Into::into));
        self
    }
}

pub(super) fn replied(command: &str, reply: &str) -> String {
    format!("reply to {command}: {}", sanitize::excerpt(reply.as_bytes(), 160))
}

pub(super) fn packet_sizes(sizes: PacketSizes) -> String {
    format!(
        "on other connections, packets of up to {} bytes got through, but packets of {} bytes did not",
        sizes.passed, sizes.lost
    )
}

/// The cause and the summary of a warning.
pub(super) type Found = (Cause, String);

/// Returns the name of an alert as in RFC 8446, 6.
pub(super) fn alert_name(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        // rustls spells these names differently.
        Alert::UnknownCA => "unknown_ca".into(),
        Alert::UnrecognisedName => "unrecognized_name".into(),
        Alert::UnknownPSKIdentity => "unknown_psk_identity".into(),
        Alert::Unknown(number) => format!("number {number}"),
        alert => {
            let mut name = String::new();
            for letter in format!("{alert:?}").chars() {
                if letter.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            name
        }
    }
}
