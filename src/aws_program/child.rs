//! Runs one `aws` command. The command can only read, has no terminal, does not receive the Redis password,
//! and is stopped at the deadline.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::aws::Region;
use crate::deadline::Deadline;
use crate::os;

/// The maximum number of bytes that are read from the document that `aws` prints.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;
/// The maximum number of bytes that are read from the error messages of `aws`.
const LONGEST_ERROR: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: Option<i32>,
    pub(super) answer: String,
    pub(super) errors: String,
    pub(super) milliseconds: u64,
    pub(super) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    ByItself,
    Deadline,
    TooLong,
    /// The command was not started, because it might change something.
    Refused,
    NotStarted(String),
}

/// Whether the command only reads. Other commands are never run.
pub(super) fn only_reads(words: &[String]) -> bool {
    let [service, operation, ..] = words else {
        return false;
    };
    ["ec2", "elasticache", "sts"].contains(&service.as_str())
        && ["describe-", "get-", "search-"]
            .iter()
            .any(|verb| operation.starts_with(verb))
        && !words.iter().any(|word| word == "--dry-run")
}

/// Returns the command line for display.
pub(super) fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| shell_words::quote(word));
    format!("aws {}", quoted.collect::<Vec<_>>().join(" "))
}

/// Runs `aws` with these arguments. Stops the program at the deadline.
pub(super) async fn run(
    program: &OsStr,
    words: &[String],
    region: Option<&Region>,
    deadline: Deadline,
) -> Finished {
    let began = Instant::now();
    let of = |end, status, answer: Vec<u8>, errors: Vec<u8>| Finished {
        status,
        answer: String::from_utf8_lossy(&answer).into_owned(),
        errors: String::from_utf8_lossy(&errors).into_owned(),
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        end,
    };
    if !only_reads(words) {
        return of(End::Refused, None, Vec::new(), Vec::new());
    }
    let mut group = match start(program, words, region) {
        Ok(child) => Group(child),
        Err(error) => return of(End::NotStarted(reason(&error)), None, Vec::new(), Vec::new()),
    };
    let (answer, errors) = (group.0.stdout.take(), group.0.stderr.take());
    let work = async {
        let (answer, errors) = tokio::join!(read(answer, LONGEST_ANSWER), read(errors, LONGEST_ERROR));
        let is_whole = answer.len() as u64 <= LONGEST_ANSWER;
        let status = if is_whole {
            group.0.wait().await.ok().and_then(|status| status.code())
        } else {
            None
        };
        (answer, errors, status, is_whole)
    };
    match deadline.bound(work).await {
        Ok((answer, errors, status, true)) => of(End::ByItself, status, answer, errors),
        Ok((_, errors, ..)) => of(End::TooLong, None, Vec::new(), errors),
        Err(_) => of(End::Deadline, None, Vec::new(), Vec::new()),
    }
}

fn start(program: &OsStr, words: &[String], region: Option<&Region>) -> io::Result<Child> {
    let mut command = std::process::Command::new(program);
    command.args(words).args(["--output", "json"]);
    if let Some(region) = region {
        command.args(["--region", region.as_str()]);
    }
    command
        .args(["--cli-connect-timeout", "3", "--cli-read-timeout", "8"])
        .env("AWS_PAGER", "")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_CLI_AUTO_PROMPT", "off")
        .env("AWS_CLI_ERROR_FORMAT", "legacy")
        .env_remove("REDIS_URL")
        .env_remove("REDISCLI_AUTH")
        .env_remove("REDIS_PASSWORD")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    os::run_in_own_session(&mut command);
    Command::from(command).kill_on_drop(true).spawn()
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the program aws is not installed here".to_owned(),
        _ => format!("the program aws cannot be started: {error}"),
    }
}

/// Reads up to `limit + 1` bytes, so that the caller notices output that is too long.
async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // After an error, the bytes that arrived before it are still useful.
        let _ = from.take(limit + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// A child process. Dropping this value kills the whole process group.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self
            .0
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?))
        {
            // An error means that the process group has already ended.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_read_are_run() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for line in [
            "ec2 describe-subnets",
            "sts get-caller-identity",
            "ec2 search-transit-gateway-routes --filters x",
        ] {
            assert!(only_reads(&words(line)), "{line}");
        }
        for line in [
            "ec2 authorize-security-group-ingress",
            "ec2 delete-route",
            "iam get-user",
            "ec2",
            "s3 describe-x",
            "ec2 describe-subnets --dry-run",
        ] {
            assert!(!only_reads(&words(line)), "{line}");
        }
    }
}
