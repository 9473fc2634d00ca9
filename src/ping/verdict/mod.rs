//! The judge: a pure function from observations to one cause, with its evidence, its fixes and the warnings.

mod auth;
mod dns;
mod foreign;
mod ping;
mod role;
mod tcp;
mod tls;
mod warnings;
mod words;

#[cfg(test)]
mod tests;

use super::causes::{Cause, Fix, FixContext};
use super::observation::Observations;
use crate::exit::Exit;
use crate::redis_url::{Target, UrlError, UrlErrorKind};
use crate::sanitize;

pub(crate) use warnings::{is_uneven, median};
pub(in crate::ping) use words::{packets, seconds};

/// What a climb comes to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is wrong; none where Redis answers.
    pub finding: Option<Finding>,
    /// "It works, but".
    pub warnings: Vec<Warning>,
}

/// One cause, and how it is known.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// Whether the evidence admits another.
    pub certainty: Certainty,
    /// What is wrong, in one sentence.
    pub summary: String,
    /// What was observed, one fact a line.
    pub evidence: Vec<String>,
    /// What to do, most promising first.
    pub fixes: Vec<Fix>,
}

/// How sure a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Nothing else explains what was seen.
    Proved,
    /// The best explanation of what was seen.
    Likely,
}

/// Something to know about a connection that works.
#[derive(Clone, Debug)]
pub struct Warning {
    /// Which.
    pub cause: Cause,
    /// What was seen, in one sentence.
    pub summary: String,
    /// What to do.
    pub fixes: Vec<Fix>,
}

impl Verdict {
    /// The exit status of a `ping` with this verdict.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.finding
            .as_ref()
            .map_or(Exit::Ok, |finding| finding.cause.exit())
    }
}

/// Names the one cause of what was seen, or none, and the warnings.
#[must_use]
pub fn judge(target: &Target, seen: &Observations) -> Verdict {
    let context = FixContext::of(target, seen);
    let blame = dns::judge(target, seen)
        .or_else(|| tcp::judge(target, seen))
        .or_else(|| tls::judge(target, seen))
        .or_else(|| ping::judge(target, seen))
        .or_else(|| role::judge(seen))
        .or_else(|| ping::unheard(seen));
    let finding = blame.map(|blame| blame.into_finding(target, &context));
    Verdict {
        finding,
        warnings: warnings::all(target, seen, &context),
    }
}

/// The verdict on a cluster that could not be joined, although the node that was named answers.
#[must_use]
pub fn judge_cluster(target: &Target, seen: &Observations, verdict: &Verdict, why: &str) -> Verdict {
    let cause = Cause::ClusterUnreachableNodes;
    let (known, warnings): (Vec<_>, Vec<_>) = verdict
        .warnings
        .iter()
        .cloned()
        .partition(|warning| warning.cause == cause);
    let mut evidence = vec![format!("{target} itself answers")];
    evidence.extend(known.into_iter().map(|warning| warning.summary));
    evidence.push(format!("joining the cluster failed: {}", sanitize::line(why)));
    let finding = Finding {
        cause,
        certainty: Certainty::Likely,
        summary: "the cluster that this node belongs to could not be joined".into(),
        evidence,
        fixes: cause.fixes(&FixContext::of(target, seen)),
    };
    Verdict {
        finding: Some(finding),
        warnings,
    }
}

/// The verdict on a URL that cannot be used.
#[must_use]
pub fn judge_url(fault: &UrlError) -> Verdict {
    let cause = match fault.kind {
        UrlErrorKind::Invalid => Cause::UrlInvalid,
        UrlErrorKind::Scheme => Cause::UrlScheme,
        UrlErrorKind::Encoding => Cause::UrlEncoding,
    };
    let context = FixContext {
        suggestion: fault.suggestion.clone(),
        ..FixContext::default()
    };
    let finding = Finding {
        cause,
        certainty: Certainty::Proved,
        summary: fault.message.clone(),
        evidence: vec!["no packet was sent: the URL itself cannot be used".into()],
        fixes: cause.fixes(&context),
    };
    Verdict {
        finding: Some(finding),
        warnings: Vec::new(),
    }
}

/// A cause and its evidence, before the fixes are added.
struct Blame {
    cause: Cause,
    certainty: Certainty,
    summary: String,
    evidence: Vec<String>,
}

impl Blame {
    fn proved(cause: Cause, summary: impl Into<String>) -> Self {
        Self {
            cause,
            certainty: Certainty::Proved,
            summary: summary.into(),
            evidence: Vec::new(),
        }
    }

    fn likely(cause: Cause, summary: impl Into<String>) -> Self {
        Self {
            certainty: Certainty::Likely,
            ..Self::proved(cause, summary)
        }
    }

    fn because(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }

    fn because_all(mut self, facts: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(facts);
        self
    }

    fn into_finding(self, target: &Target, context: &FixContext) -> Finding {
        let mut evidence = self.evidence;
        evidence.extend(warnings::hints(target, self.cause));
        let fixes = self.cause.fixes(context);
        Finding {
            cause: self.cause,
            certainty: self.certainty,
            summary: self.summary,
            evidence,
            fixes,
        }
    }
}
