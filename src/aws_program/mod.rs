//! Collects documents with the user's own program `aws`, in several rounds. The commands in each round depend
//! on the results of the earlier rounds.

mod child;
pub(crate) mod observed;

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::aws::{
    self, AwsAnswer, AwsError, Documents, EndpointName, ErrorKind, Facts, Form, Id, Origin, Outcome, Ran,
};
use crate::deadline::Deadline;
use crate::sanitize;
use child::{End, Finished};

/// How many commands run at the same time. Each needs about 70 MB of memory.
const AT_ONCE: usize = 3;

/// A function that shows the user what is running.
type Show<'a> = &'a (dyn Fn(&str) + Sync);

/// Asks AWS about the connection, and evaluates the documents. This changes nothing.
pub(crate) async fn ask(facts: Facts, deadline: Deadline, show: Show<'_>) -> AwsAnswer {
    let mut gathering = Gathering {
        facts,
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
    facts: Facts,
    documents: Documents,
    commands: Vec<Ran>,
    problems: BTreeSet<String>,
    deadline: Deadline,
    show: Show<'a>,
    /// Whether further commands would fail for the same reason.
    is_useless: bool,
}

/// The operations, each with the member of its output that contains the list. It is needed for commands that
/// return no document.
const MEMBERS: [(&str, &str); 15] = [
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
    ("describe-replication-groups", "ReplicationGroups"),
    ("describe-cache-clusters", "CacheClusters"),
    ("describe-cache-subnet-groups", "CacheSubnetGroups"),
    ("describe-serverless-caches", "ServerlessCaches"),
    ("describe-user-groups", "UserGroups"),
    ("describe-users", "Users"),
];

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Returns the command `aws ec2 OPERATION --filters Name=…,Values=…`.
fn filtered(operation: &str, filter: &str, values: &BTreeSet<Id>) -> Option<Vec<String>> {
    let values: Vec<_> = values.iter().map(Id::as_str).collect();
    let list = values.join(",");
    (!values.is_empty()).then(|| words(&format!("ec2 {operation} --filters Name={filter},Values={list}")))
}

impl Gathering<'_> {
    async fn run(&mut self) {
        let mut first = vec![words("sts get-caller-identity")];
        first.extend(self.interfaces());
        first.extend(self.cache());
        self.round(first).await;
        let members = self.members();
        self.round(members).await;
        let mut places: Vec<_> = self.subnet_groups();
        places.extend(self.networks());
        self.round(places).await;
        // The subnet groups may have shown in which VPC the cache is.
        let mut rules = self.networks();
        rules.extend(self.rules());
        self.round(rules).await;
        let details = self.details();
        self.round(details).await;
    }

    /// Runs those of the commands that have not been run yet.
    async fn round(&mut self, commands: Vec<Vec<String>>) {
        let is_new = |words: &Vec<String>| {
            let line = child::line(words);
            !self.commands.iter().any(|ran| ran.line == line)
        };
        let commands: Vec<_> = commands.into_iter().filter(is_new).collect();
        if self.is_useless {
            return;
        }
        let (region, deadline, show) = (self.facts.region.clone(), self.deadline, self.show);
        let runs = futures_util::stream::iter(commands).map(|words| {
            let region = region.clone();
            async move {
                if deadline.is_over() {
                    return (words, None);
                }
                show(&child::line(&words));
                let finished = child::run(&words, region.as_ref(), deadline).await;
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
                .insert("not all questions were asked within --aws-timeout".to_owned());
            return;
        };
        let problem = self.read(words, &line, &finished);
        self.commands.push(Ran {
            line,
            status: finished.status,
            milliseconds: finished.milliseconds,
            problem,
        });
    }

    /// Adds the document, or returns the reason why there is none.
    fn read(&mut self, words: &[String], line: &str, finished: &Finished) -> Option<String> {
        match &finished.end {
            End::ByItself => {}
            End::Deadline => return self.problem("aws did not end within --aws-timeout", false),
            End::TooLong => return self.problem("aws printed more than 4 MB", false),
            End::Refused => return self.problem("the command may change something", false),
            End::NotStarted(why) => {
                let why = format!("{why}: --aws-commands prints a script for AWS CloudShell instead");
                return self.problem(&why, true);
            }
        }
        let answer = finished.answer.trim();
        if finished.status == Some(0) {
            if answer.is_empty() {
                self.add_empty(words);
                return None;
            }
            return match serde_json::from_str::<Value>(answer) {
                Ok(document) if document.is_object() => {
                    self.documents.add(&document, line);
                    None
                }
                _ => self.problem("aws printed something other than a JSON object", false),
            };
        }
        let error = finished.errors.lines().find_map(AwsError::parse);
        if let Some(error) = error {
            let kind = error.kind;
            let permission = error.permission();
            let code = error.code.clone();
            self.documents.errors.push(error);
            return match kind {
                ErrorKind::NotAuthorized => {
                    self.problem(&format!("the permission {permission} is missing"), false)
                }
                ErrorKind::Credentials => self.problem(
                    &format!("AWS rejects the credentials ({code}): they are expired or wrong"),
                    true,
                ),
                ErrorKind::NotFound => {
                    self.add_empty(words);
                    None
                }
                ErrorKind::Other => self.problem(&format!("AWS answers {code}"), false),
            };
        }
        self.local_problem(&finished.errors)
    }

    /// Returns the problem behind an error that does not come from AWS.
    fn local_problem(&mut self, errors: &str) -> Option<String> {
        const NO_CREDENTIALS: [&str; 5] = [
            "Unable to locate credentials",
            "NoCredentials",
            "Partial credentials",
            "config profile",
            "EOF when reading a line",
        ];
        const EXPIRED: [&str; 4] = [
            "Token has expired",
            "token has expired",
            "ExpiredToken",
            "SSO session",
        ];
        const UNREACHABLE: [&str; 4] = [
            "Could not connect",
            "Connect timeout",
            "Read timeout",
            "Connection was closed",
        ];
        let has = |texts: &[&str]| texts.iter().any(|text| errors.contains(text));
        let script = "--aws-commands prints a script for AWS CloudShell instead";
        if has(&EXPIRED) {
            self.problem(&format!("the AWS credentials are expired; {script}"), true)
        } else if has(&NO_CREDENTIALS) {
            self.problem(
                &format!("the program aws finds no usable credentials; {script}"),
                true,
            )
        } else if has(&UNREACHABLE) {
            let text =
                format!("this subnet cannot reach the AWS API (no NAT gateway, no VPC endpoint); {script}");
            self.problem(&text, false)
        } else if errors.contains("usage:") || errors.contains("Unknown options") {
            self.problem("this version of aws does not know the command", false)
        } else {
            let last = errors
                .lines()
                .map(str::trim)
                .rfind(|line| !line.is_empty())
                .unwrap_or("no message");
            let last = sanitize::excerpt(last.as_bytes(), 200);
            self.problem(&format!("aws failed: {last}"), false)
        }
    }

    fn problem(&mut self, text: &str, is_useless: bool) -> Option<String> {
        self.is_useless |= is_useless;
        self.problems.insert(text.to_owned());
        Some(text.to_owned())
    }

    fn add_empty(&mut self, words: &[String]) {
        let member = MEMBERS
            .iter()
            .find(|(operation, _)| words.get(1).is_some_and(|word| word == operation));
        if let Some((_, member)) = member {
            self.documents.add(&json!({*member: []}), "");
        }
    }

    /// Returns one command for the interfaces of both ends.
    fn interfaces(&self) -> Option<Vec<String>> {
        let address = self.facts.address?;
        let mut values = vec![address.to_string()];
        let own = self
            .facts
            .source
            .as_ref()
            .and_then(|source| source.addresses.clone())
            .unwrap_or_default();
        let others = own
            .into_iter()
            .chain(self.facts.from)
            .filter(|other| other.is_ipv4() == address.is_ipv4());
        values.extend(others.map(|other| other.to_string()));
        values.dedup();
        let filter = if address.is_ipv4() {
            "addresses.private-ip-address"
        } else {
            "ipv6-addresses.ipv6-address"
        };
        let list = values.join(",");
        Some(words(&format!(
            "ec2 describe-network-interfaces --page-size 500 --filters Name={filter},Values={list}"
        )))
    }

    fn endpoint(&self) -> Option<EndpointName> {
        self.facts.endpoint.as_deref().and_then(EndpointName::parse)
    }

    fn cache(&self) -> Vec<Vec<String>> {
        let Some(endpoint) = self.endpoint() else {
            return Vec::new();
        };
        let command = match endpoint.form {
            Form::Nodes => "describe-replication-groups --replication-group-id",
            Form::Serverless | Form::PublicServerless => "describe-serverless-caches --serverless-cache-name",
        };
        endpoint
            .names
            .iter()
            .map(|name| words(&format!("elasticache {command} {name}")))
            .collect()
    }

    /// Returns the commands about the members of replication groups, because the security groups belong to
    /// the members.
    fn members(&self) -> Vec<Vec<String>> {
        let Some(endpoint) = self.endpoint().filter(|endpoint| endpoint.form == Form::Nodes) else {
            return Vec::new();
        };
        let members = self.documents.cache_members();
        let names = if members.is_empty() {
            endpoint.names
        } else {
            members
        };
        let command = "elasticache describe-cache-clusters --show-cache-node-info --cache-cluster-id";
        names
            .iter()
            .take(2)
            .map(|name| words(&format!("{command} {name}")))
            .collect()
    }

    fn subnet_groups(&self) -> Vec<Vec<String>> {
        let command = "elasticache describe-cache-subnet-groups --cache-subnet-group-name";
        self.documents
            .cache_subnet_group_names()
            .into_iter()
            .map(|name| {
                let mut command = words(command);
                command.push(name);
                command
            })
            .collect()
    }

    /// Returns the commands for all subnets and route tables of both VPCs. All tables are needed, because the
    /// main table does not contain its subnets.
    fn networks(&self) -> Vec<Vec<String>> {
        let assessment = aws::judge(&self.facts, &self.documents);
        let vpcs = [assessment.source.vpc, assessment.destination.vpc];
        vpcs.into_iter()
            .flatten()
            .flat_map(|vpc| {
                let vpc = BTreeSet::from([vpc]);
                [
                    filtered("describe-subnets", "vpc-id", &vpc),
                    filtered("describe-route-tables", "vpc-id", &vpc),
                ]
            })
            .flatten()
            .collect()
    }

    fn rules(&mut self) -> Vec<Vec<String>> {
        let assessment = aws::judge(&self.facts, &self.documents);
        let (near, far) = (assessment.source, assessment.destination);
        let groups: BTreeSet<Id> = [near.groups, far.groups]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let subnets: BTreeSet<Id> = [near.subnet, far.subnet].into_iter().flatten().collect();
        self.facts.asked_groups = Some(groups.iter().cloned().collect());
        let mut commands: Vec<_> = [
            filtered("describe-security-groups", "group-id", &groups),
            filtered("describe-network-acls", "association.subnet-id", &subnets),
        ]
        .into_iter()
        .flatten()
        .collect();
        if near.vpc != far.vpc || near.vpc.is_none() {
            commands.push(words("ec2 describe-vpc-peering-connections"));
            commands.push(words("ec2 describe-transit-gateway-vpc-attachments"));
        }
        commands
    }

    /// Returns the commands for objects that only some networks have.
    fn details(&self) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        if self.documents.groups.is_none() {
            let groups = self.facts.asked_groups.iter().flatten().cloned().collect();
            commands.extend(filtered("describe-security-group-rules", "group-id", &groups));
        }
        for list in self.documents.referenced_prefix_lists() {
            commands.push(words(&format!(
                "ec2 get-managed-prefix-list-entries --prefix-list-id {list}"
            )));
        }
        if self.documents.has_transit_gateways() {
            commands.push(words("ec2 describe-transit-gateways"));
        }
        for group in self.documents.user_group_names() {
            commands.push(words(&format!(
                "elasticache describe-user-groups --user-group-id {group}"
            )));
            commands.push(words("elasticache describe-users"));
        }
        commands
    }

    fn finish(self) -> AwsAnswer {
        let assessment = aws::judge(&self.facts, &self.documents);
        // If a permission is missing but not needed for the verdict, this is not a problem.
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
        }
    }
}
