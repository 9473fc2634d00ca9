//! Interprets the result of a finished `aws` command: a document, or the reason for a missing document.

use serde_json::Value;

use super::child::{End, Finished};
use crate::aws::{AwsError, ErrorKind};
use crate::sanitize;

#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Document(Value),
    /// The object that the command asks about does not exist.
    Empty,
    /// AWS or the program `aws` reported an error.
    Problem {
        error: Option<AwsError>,
        /// One sentence for the user.
        text: String,
        /// Whether all further commands will fail for the same reason.
        is_useless: bool,
    },
}

const OTHER_WAY: &str = "`ping --aws-commands` prints a script that you can run in AWS CloudShell instead";

/// Parts of the messages about missing credentials, from botocore and `aws` versions 1 and 2.
const NO_CREDENTIALS: [&str; 8] = [
    "Enter MFA code",
    "Unable to locate credentials",
    "NoCredentials",
    "Partial credentials",
    "config profile",
    "EOF when reading a line",
    "Error when retrieving credentials",
    "assumed role requires MFA",
];
const EXPIRED: [&str; 5] = [
    "oken has expired",
    "ExpiredToken",
    "SSO session",
    "session has expired",
    "refresh failed",
];
const UNREACHABLE: [&str; 6] = [
    "Could not connect",
    "onnect timeout",
    "ead timeout",
    "Connection was closed",
    "Failed to connect to proxy",
    "SSL validation failed",
];
/// Parts of the error messages of older `aws` versions about an unknown command or option.
const TOO_OLD: [&str; 4] = [
    "usage:",
    "Unknown options",
    "Invalid choice",
    "Found invalid choice",
];

pub(super) fn read(finished: &Finished) -> Answer {
    match &finished.end {
        End::ByItself => {}
        End::Deadline => return problem("aws did not end within --aws-timeout"),
        End::TooLong => return problem("aws printed more than 4 MB"),
        End::Refused => return problem("the command could change something"),
        End::NotStarted(why) => return useless(format!("{why}: {OTHER_WAY}")),
    }
    let answer = finished.answer.trim();
    if finished.status == Some(0) {
        if answer.is_empty() {
            return Answer::Empty;
        }
        return match serde_json::from_str::<Value>(answer) {
            Ok(document) if document.is_object() => Answer::Document(document),
            _ => problem("aws printed something other than a JSON object"),
        };
    }
    match finished.errors.lines().find_map(AwsError::parse) {
        Some(error) => of_aws(error),
        None => of_program(&finished.errors),
    }
}

/// Interprets an error from AWS.
fn of_aws(error: AwsError) -> Answer {
    let code = &error.code;
    let (text, is_useless) = match error.kind {
        ErrorKind::NotFound => return Answer::Empty,
        ErrorKind::NotAuthorized => (format!("the permission {} is missing", error.permission()), false),
        ErrorKind::Credentials => (
            format!("AWS rejects the credentials ({code}), because they are expired or wrong; {OTHER_WAY}"),
            true,
        ),
        ErrorKind::TooManyRequests => (
            format!("AWS limits the rate of requests ({code}): run the command again in a minute"),
            false,
        ),
        ErrorKind::Change | ErrorKind::Other => (
            format!("AWS answers {code} to {}", sanitize::line(&error.operation)),
            false,
        ),
    };
    Answer::Problem {
        error: Some(error),
        text,
        is_useless,
    }
}

/// Interprets an error from the program `aws` itself.
fn of_program(errors: &str) -> Answer {
    let has = |texts: &[&str]| texts.iter().any(|text| errors.contains(text));
    if has(&EXPIRED) {
        useless(format!("the AWS credentials are expired; {OTHER_WAY}"))
    } else if has(&NO_CREDENTIALS) {
        useless(format!(
            "the program aws finds no usable credentials; {OTHER_WAY}"
        ))
    } else if errors.contains("You must specify a region") {
        useless("no AWS region is set: set AWS_DEFAULT_REGION to the region of the cache".into())
    } else if has(&UNREACHABLE) {
        problem(format!(
            "this subnet cannot reach the AWS API, because it has neither a NAT gateway nor a VPC endpoint for the \
             API; {OTHER_WAY}"
        ))
    } else if has(&TOO_OLD) {
        problem("this version of aws does not support a command or an option: install a newer one")
    } else {
        let last = errors.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = sanitize::excerpt(last.unwrap_or("it printed no message").as_bytes(), 200);
        problem(format!("aws failed: {last}"))
    }
}

fn problem(text: impl Into<String>) -> Answer {
    Answer::Problem {
        error: None,
        text: text.into(),
        is_useless: false,
    }
}

fn useless(text: String) -> Answer {
    Answer::Problem {
        error: None,
        text,
        is_useless: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(errors: &str) -> Answer {
        read(&Finished {
            status: Some(254),
            answer: String::new(),
            errors: errors.to_owned(),
            milliseconds: 1,
            end: End::ByItself,
        })
    }

    fn kind(answer: &Answer) -> &'static str {
        match answer {
            Answer::Document(_) => "document",
            Answer::Empty => "empty",
            Answer::Problem { text, is_useless, .. } => match (text.contains("--aws-commands"), is_useless) {
                (true, true) => "other way, at once",
                (true, false) => "other way",
                (false, _) => "the rest is asked",
            },
        }
    }

    #[test]
    fn each_class_of_error_is_recognised_in_the_styles_of_both_versions() {
        for (message, expected) in [
            (
                "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
                "other way, at once",
            ),
            (
                "aws: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials. You can configure credentials by running \"aws login\".",
                "other way, at once",
            ),
            ("The config profile (x) could not be found", "other way, at once"),
            (
                "Error when retrieving credentials from custom-process: no such file",
                "other way, at once",
            ),
            (
                "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired",
                "other way, at once",
            ),
            (
                "aws: [ERROR]: An error occurred (RequestExpired) when calling the DescribeSubnets operation: Request has expired.\n\nAdditional error details:\nType: Sender",
                "other way, at once",
            ),
            (
                "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.",
                "other way, at once",
            ),
            (
                "An error occurred (AuthFailure) when calling the DescribeSubnets operation: AWS was not able to validate the provided access credentials",
                "other way, at once",
            ),
            (
                "Error loading SSO Token: Token for x does not exist",
                "the rest is asked",
            ),
            (
                "The SSO session associated with this profile has expired or is otherwise invalid.",
                "other way, at once",
            ),
            ("Token has expired and refresh failed", "other way, at once"),
            (
                "Enter MFA code for arn:aws:iam::123456789012:mfa/x: \nEOF when reading a line",
                "other way, at once",
            ),
            (
                "Could not connect to the endpoint URL: \"https://ec2.eu-central-1.amazonaws.com/\"",
                "other way",
            ),
            (
                "aws: [ERROR]: Connect timeout on endpoint URL: \"https://ec2.eu-central-1.amazonaws.com/\"",
                "other way",
            ),
            (
                "Read timeout on endpoint URL: \"https://ec2.eu-central-1.amazonaws.com/\"",
                "other way",
            ),
            (
                "An error occurred (UnauthorizedOperation) when calling the DescribeSubnets operation: You are not authorized",
                "the rest is asked",
            ),
            (
                "aws: [ERROR]: An error occurred (AccessDenied) when calling the DescribeCacheClusters operation: no",
                "the rest is asked",
            ),
            (
                "An error occurred (AccessDeniedException) when calling the DescribeServerlessCaches operation: no",
                "the rest is asked",
            ),
            (
                "An error occurred (RequestLimitExceeded) when calling the DescribeSubnets operation (reached max retries: 0): Request limit exceeded.",
                "the rest is asked",
            ),
            (
                "An error occurred (ReplicationGroupNotFoundFault) when calling the DescribeReplicationGroups operation: no",
                "empty",
            ),
            (
                "An error occurred (CacheClusterNotFound) when calling the DescribeCacheClusters operation: no",
                "empty",
            ),
            (
                "An error occurred (InvalidVpcID.NotFound) when calling the DescribeSubnets operation: no",
                "empty",
            ),
            (
                "An error occurred (OptInRequired) when calling the DescribeSubnets operation: You are not subscribed to this service.",
                "empty",
            ),
            (
                "usage: aws [options] <command> <subcommand>\naws: error: argument operation: Invalid choice, valid choices are:",
                "the rest is asked",
            ),
            (
                "aws: [ERROR]: An error occurred (ParamValidation): Unknown options: --include-managed-resources",
                "the rest is asked",
            ),
            (
                "Traceback (most recent call last):\nModuleNotFoundError: No module named 'awscli'",
                "the rest is asked",
            ),
            ("", "the rest is asked"),
        ] {
            assert_eq!(kind(&failed(message)), expected, "{message}");
        }
    }

    #[test]
    fn an_answer_is_one_object_or_nothing() {
        let succeeded = |answer: &str| {
            read(&Finished {
                status: Some(0),
                answer: answer.to_owned(),
                errors: String::new(),
                milliseconds: 1,
                end: End::ByItself,
            })
        };
        assert_eq!(kind(&succeeded("{\"Subnets\": []}\n")), "document");
        assert_eq!(kind(&succeeded("\n")), "empty");
        for garbage in ["garbage", "[1]", "{\"Subnets\": [", "{} {}"] {
            assert_eq!(kind(&succeeded(garbage)), "the rest is asked", "{garbage}");
        }
    }
}
