//! From observations to one cause, with evidence and fixes: a pure function.

use super::catalogue::{Cause, Fix, Warning};
use crate::exit::Exit;

/// How sure a verdict is of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The observations leave no other cause.
    Proved,
    /// The observations fit it best.
    Likely,
}

/// What a climb came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What keeps Redis from answering; `None` where it answers.
    pub cause: Option<Cause>,
    /// How sure that is; `None` where it answers.
    pub certainty: Option<Certainty>,
    /// One sentence.
    pub summary: String,
    /// What was observed, one fact a line.
    pub evidence: Vec<String>,
    /// What to do, the likeliest first.
    pub fixes: Vec<Fix>,
    /// What to know although it works.
    pub warnings: Vec<Notice>,
}

/// A warning in a verdict.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Which.
    pub warning: Warning,
    /// One sentence.
    pub summary: String,
    /// What to do about it.
    pub fixes: Vec<Fix>,
}

impl Verdict {
    /// Whether Redis answers.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.cause.is_none()
    }

    /// The exit status that says the same.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.cause.map_or(Exit::Ok, Cause::exit)
    }
}

/// Names the one cause, or none.
#[must_use]
pub fn judge(_seen: &super::Observations) -> Verdict {
    Verdict {
        cause: None,
        certainty: None,
        summary: "it answers".into(),
        evidence: Vec::new(),
        fixes: Vec::new(),
        warnings: Vec::new(),
    }
}
