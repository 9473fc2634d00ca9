//! The AWS options of `sessiontut ping`. Runs the program `aws` or reads saved documents, and adds the result
//! to the diagnosis.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::PingArgs;
use crate::aws::{self, AwsAnswer, AwsError, Documents, Facts, Origin, Outcome};
use crate::aws_program::{self, observed};
use crate::commands::values::timeout;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::exit::Exit;
use crate::ping::modes::Diagnosis;
use crate::ping::observation::Observations;
use crate::ping::report::json;
use crate::ping::verdict::aws as proof;
use crate::redis_url::Target;
use crate::ui;

/// The options of `ping` that concern AWS.
#[derive(Debug, Args)]
#[command(next_help_heading = "AWS")]
pub struct AwsArgs {
    /// Use the AWS CLI (`aws`) to find the AWS rule or route that blocks the connection (changes nothing in AWS)
    #[arg(long, conflicts_with_all = ["watch", "aws_documents", "aws_commands"])]
    pub aws: bool,
    /// Time limit for all queries of --aws together, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", allow_negative_numbers = true, value_parser = timeout)]
    pub aws_timeout: Duration,
    /// Print a script for AWS CloudShell that makes the same queries as --aws
    #[arg(long, conflicts_with = "aws_documents")]
    pub aws_commands: bool,
    /// Find the rule or route in the output of the script from --aws-commands (`-`: standard input), or in a
    /// directory of saved AWS replies
    #[arg(long, value_name = "FILE|DIR|-", conflicts_with = "watch")]
    pub aws_documents: Option<PathBuf>,
    /// Print the IAM policy that --aws needs
    #[arg(long)]
    pub aws_policy: bool,
}

/// The maximum total size of the saved AWS documents, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn print_policy() -> Exit {
    ui::ping::json(&aws::policy());
    Exit::Ok
}

pub(super) fn read(path: &Path) -> Result<Documents, Error> {
    let failed = |error: io::Error| Error::usage(format!("cannot read {}: {error}", path.display()));
    let mut documents = Documents::default();
    let mut left = MOST_BYTES;
    for file in files(path).map_err(failed)? {
        let mut bytes = Vec::new();
        let read = if file == Path::new("-") {
            io::stdin().take(left + 1).read_to_end(&mut bytes)
        } else {
            fs::File::open(&file).and_then(|file| file.take(left + 1).read_to_end(&mut bytes))
        };
        read.map_err(failed)?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            let megabytes = MOST_BYTES / 1024 / 1024;
            Error::usage(format!("{} contains more than {megabytes} MB", path.display()))
        })?;
        documents.add_text(&String::from_utf8_lossy(&bytes));
    }
    Ok(documents)
}

/// Returns the files in the directory `path`. If `path` is a file or `-`, returns only `path`.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path == Path::new("-") || !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if entry.is_file() {
            files.push(entry);
        }
    }
    files.sort();
    Ok(files)
}

/// Diagnoses the connection in `facts` from AWS documents, without connecting.
pub(super) fn judge_alone(args: &PingArgs, documents: &Documents, facts: &Facts, deadline: Deadline) -> Exit {
    let answer = of_documents(documents, facts);
    let verdict = proof::of_documents(&answer);
    if args.json {
        ui::ping::json(&json::render_documents(&answer, &verdict, deadline.elapsed()));
    } else {
        ui::ping::aws_verdict(&answer, &verdict);
    }
    match answer.assessment.outcome {
        Outcome::Allowed => Exit::Ok,
        Outcome::Denied | Outcome::Partly => verdict.exit(),
        Outcome::Unknown => Exit::No,
    }
}

fn of_documents(documents: &Documents, facts: &Facts) -> AwsAnswer {
    let damaged = documents.damaged;
    let problems = (damaged > 0)
        .then(|| format!("{damaged} of the saved AWS replies could not be read: perhaps they were cut off"));
    let explanations = documents.errors.iter().filter_map(AwsError::explanation);
    let explanations = explanations.map(str::to_owned);
    AwsAnswer {
        assessment: aws::judge(facts, documents),
        commands: Vec::new(),
        from: Origin::Documents,
        missing_permissions: documents.missing_permissions().into_iter().collect(),
        problems: problems.into_iter().chain(explanations).collect(),
        raw: Vec::new(),
    }
}

/// Returns what the AWS replies show about the attempted connection, or `None` if there are no replies to
/// evaluate.
pub(super) async fn answer(
    args: &PingArgs,
    documents: Option<&Documents>,
    target: &Target,
    diagnosis: &Diagnosis,
) -> Option<AwsAnswer> {
    let seen = &diagnosis.observations;
    if documents.is_none() && !args.aws.aws {
        return None;
    }
    let question = proof::question(target, &diagnosis.verdict)?;
    let facts = observed::facts(target, seen).await;
    if let Some(documents) = documents {
        let facts = observed::completed(facts, documents.facts.as_ref());
        return Some(of_documents(documents, &facts));
    }
    // If the connection works, only the network ACLs of the instance's subnet matter. Without the instance
    // metadata, this subnet is unknown.
    if diagnosis.verdict.finding.is_none() && facts.source.is_none() {
        if !args.quiet {
            ui::note(
                "AWS was not queried, because the instance metadata service does not answer: perhaps this host is \
                 not an EC2 instance",
            );
        }
        return None;
    }
    let deadline = Deadline::after(args.aws.aws_timeout);
    let show = |line: &str| {
        if !args.quiet {
            ui::note(&format!("running: {line}"));
        }
    };
    Some(aws_program::ask(facts, question, deadline, &show).await)
}

/// Prints what the AWS documents show about a working connection.
pub(super) fn tell(answer: &AwsAnswer) {
    answer.problems.iter().for_each(|problem| ui::note(problem));
    let needs = match answer.assessment.outcome {
        Outcome::Unknown => answer.needs_remark(),
        _ => String::new(),
    };
    ui::note(&format!("AWS: {}{needs}", answer.assessment.summary()));
}

/// Adds the replies of the program `aws` to a report, so that other people can evaluate the replies. Removes
/// account numbers from the report.
pub(super) fn add_documents(report: &mut Value, answer: &AwsAnswer) {
    if answer.from == Origin::Cli {
        report["aws"]["documents"] = answer.raw.clone().into();
        *report = aws::masked(report);
    }
}

/// Prints the script for AWS CloudShell.
pub(super) async fn print_script(target: &Target, seen: &Observations) -> Result<Exit, Error> {
    let facts = observed::facts(target, seen).await;
    let script = aws::script(&facts)
        .ok_or_else(|| Error::usage("--aws-commands needs a URL with a host that has an address"))?;
    ui::script(&script);
    Ok(Exit::Ok)
}
