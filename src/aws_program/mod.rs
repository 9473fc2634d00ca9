//! Runs the user's own program `aws` to collect documents. The commands run in several rounds, because later
//! commands depend on the results of earlier ones.

mod answer;
mod child;
pub(crate) mod observed;
mod rounds;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::aws::{self, AwsAnswer, Documents, Facts, Origin, Outcome, Ran};
use crate::deadline::Deadline;
use crate::ping::verdict::aws::Question;
use crate::sanitize;
use answer::Answer;
use child::Finished;
use rounds::MANAGED;

/// The maximum number of `aws` commands that run at the same time, because each needs about 70 MB of memory.
const AT_ONCE: usize = 3;

/// Shows the user which command is running.
type Show<'a> = &'a (dyn Fn(&str) + Sync);

/// Queries AWS about the connection, and evaluates the documents that AWS returns. Changes nothing on AWS.
pub(crate) async fn ask(facts: Facts, question: Question, deadline: Deadline, show: Show<'_>) -> AwsAnswer {
    ask_program(OsStr::new("aws"), facts, question, deadline, show).await
}

async fn ask_program(
    program: &OsStr,
    facts: Facts,
    question: Question,
    deadline: Deadline,
    show: Show<'_>,
) -> AwsAnswer {
    let mut gathering = Gathering {
        program,
        facts,
        question,
        raw: Vec::new(),
        documents: Documents::default(),
        commands: Vec::new(),
        problems: BTreeSet::new(),
        deadline,
        show,
        is_useless: false,
    };
    gathering.run().await;
    gathering.finish()
}

struct Gathering<'a> {
    program: &'a OsStr,
    facts: Facts,
    question: Question,
    /// The commands with their documents or errors, for `ping --report`.
    raw: Vec<Value>,
    documents: Documents,
    commands: Vec<Ran>,
    problems: BTreeSet<String>,
    deadline: Deadline,
    show: Show<'a>,
    /// Whether all further commands will fail for the same reason.
    is_useless: bool,
}

/// The operations, each with the JSON member that contains its results. If a command finds no object, an
/// empty list is stored in this member.
const MEMBERS: [(&str, &str); 16] = [
    ("describe-network-interfaces", "NetworkInterfaces"),
    ("describe-security-groups", "SecurityGroups"),
    ("describe-security-group-rules", "SecurityGroupRules"),
    ("describe-network-acls", "NetworkAcls"),
    ("describe-subnets", "Subnets"),
    ("describe-route-tables", "RouteTables"),
    ("describe-vpc-peering-connections", "VpcPeeringConnections"),
    (
        "describe-transit-gateway-vpc-attachments",
        "TransitGatewayVpcAttachments",
    ),
    ("describe-transit-gateways", "TransitGateways"),
    (
        "describe-transit-gateway-attachments",
        "TransitGatewayAttachments",
    ),
    ("describe-replication-groups", "ReplicationGroups"),
    ("describe-cache-clusters", "CacheClusters"),
    ("describe-cache-subnet-groups", "CacheSubnetGroups"),
    ("describe-serverless-caches", "ServerlessCaches"),
    ("describe-user-groups", "UserGroups"),
    ("describe-users", "Users"),
];

impl Gathering<'_> {
    /// Runs the commands that did not run in an earlier round.
    async fn round(&mut self, commands: Vec<Vec<String>>) {
        let mut known: BTreeSet<String> = self.commands.iter().map(|ran| ran.line.clone()).collect();
        let is_new = |words: &Vec<String>| known.insert(child::line(words));
        let commands: Vec<_> = commands.into_iter().filter(is_new).collect();
        if self.is_useless {
            return;
        }
        let (region, deadline, show, program) =
            (self.facts.region.clone(), self.deadline, self.show, self.program);
        let runs = futures_util::stream::iter(commands).map(|words| {
            let region = region.clone();
            async move {
                if deadline.is_over() {
                    return (words, None);
                }
                show(&child::line(&words));
                let finished = child::run(program, &words, region.as_ref(), deadline).await;
                (words, Some(finished))
            }
        });
        let finished: Vec<_> = runs.buffered(AT_ONCE).collect().await;
        for (words, finished) in finished {
            self.record(&words, finished);
        }
    }

    fn record(&mut self, words: &[String], finished: Option<Finished>) {
        let line = child::line(words);
        let Some(finished) = finished else {
            self.problems
                .insert("`ping` could not send all queries to AWS within --aws-timeout".to_owned());
            return;
        };
        let problem = match answer::read(&finished) {
            Answer::Document(document) => {
                self.documents.add(&document, &line);
                self.raw.push(json!({"command": line, "document": document}));
                None
            }
            Answer::Empty => {
                self.add_empty(words);
                None
            }
            Answer::Problem {
                error,
                text,
                is_useless,
            } => {
                self.is_useless |= is_useless;
                let excerpt = sanitize::excerpt(finished.errors.trim().as_bytes(), 500);
                self.raw.push(json!({"command": line, "error": excerpt}));
                self.documents.errors.extend(error);
                // Older versions of `aws` do not support this option, so its failure is not a problem.
                if !words.iter().any(|word| word == MANAGED) {
                    self.problems.insert(text.clone());
                }
                Some(text)
            }
        };
        self.commands.push(Ran {
            line,
            status: finished.status,
            milliseconds: finished.milliseconds,
            problem,
        });
    }

    fn add_empty(&mut self, words: &[String]) {
        let member = MEMBERS
            .iter()
            .find(|(operation, _)| words.get(1).is_some_and(|word| word == operation));
        if let Some((_, member)) = member {
            self.documents.add(&json!({*member: []}), "");
        }
    }

    fn finish(self) -> AwsAnswer {
        let assessment = aws::judge(&self.facts, &self.documents);
        // If the outcome is known, the missing permission does not matter.
        let is_decided = assessment.outcome != Outcome::Unknown;
        let problems = self
            .problems
            .into_iter()
            .filter(|problem| !is_decided || !problem.starts_with("the permission "));
        AwsAnswer {
            assessment,
            commands: self.commands,
            from: Origin::Cli,
            missing_permissions: self.documents.missing_permissions().into_iter().collect(),
            problems: problems.collect(),
            raw: std::iter::once(json!({"document": self.facts.document()}))
                .chain(self.raw)
                .collect(),
        }
    }
}
