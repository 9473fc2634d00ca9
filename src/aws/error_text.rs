//! Parses the error messages of `aws`, because many errors have the same exit status.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::permission;
use crate::sanitize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsError {
    /// The error code, such as `UnauthorizedOperation`.
    pub(crate) code: String,
    /// The operation, such as `DescribeNetworkAcls`.
    pub(crate) operation: String,
    pub(crate) kind: Kind,
}

/// The cause of an error that AWS returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The credentials lack an IAM permission.
    NotAuthorized,
    /// The credentials are expired or wrong.
    Credentials,
    /// The object does not exist, or the account has never used this service.
    NotFound,
    TooManyRequests,
    /// AWS rejected a change, such as a new security group rule.
    Change,
    Other,
}

impl AwsError {
    /// Finds the text `An error occurred (CODE) when calling the OPERATION operation` in a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        static FORM: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"\(([A-Za-z][A-Za-z0-9.]{0,79})\) when calling the ([A-Za-z]{1,80}) operation")
                .expect("the pattern is valid")
        });
        if !line.contains(" when calling the ") {
            return None;
        }
        let found = FORM.captures(line)?;
        let (code, operation) = (found[1].to_owned(), found[2].to_owned());
        let kind = match code.as_str() {
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => Kind::NotAuthorized,
            "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "AuthFailure"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => Kind::Credentials,
            "OptInRequired" => Kind::NotFound,
            "RequestLimitExceeded" | "Throttling" | "ThrottlingException" => Kind::TooManyRequests,
            "RulesPerSecurityGroupLimitExceeded"
            | "NetworkAclEntryLimitExceeded"
            | "InvalidPermission.Duplicate"
            | "DryRunOperation" => Kind::Change,
            code if code.ends_with("NotFound") || code.contains("NotFoundFault") => Kind::NotFound,
            _ => Kind::Other,
        };
        Some(Self {
            code,
            operation,
            kind,
        })
    }

    /// Explains in one sentence why AWS rejected a change. Returns `None` for other errors.
    pub(crate) fn explanation(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "RulesPerSecurityGroupLimitExceeded" => {
                "RulesPerSecurityGroupLimitExceeded: the security group has reached its quota of rules (a prefix \
                 list counts as its maximum number of entries); remove rules, or raise the quota"
            }
            "NetworkAclEntryLimitExceeded" => {
                "NetworkAclEntryLimitExceeded: the network ACL has reached its quota of entries (by default, 20 in \
                 each direction); remove or combine entries"
            }
            "InvalidPermission.Duplicate" => {
                "InvalidPermission.Duplicate: the security group already contains this rule, so this rule is not the problem"
            }
            "DryRunOperation" => {
                "DryRunOperation: you may run the command; without --dry-run, it makes the change"
            }
            _ => return None,
        })
    }

    /// Returns the IAM action of the operation, such as `ec2:DescribeNetworkAcls`. For an unknown operation,
    /// assumes an action of `ec2`.
    pub(crate) fn permission(&self) -> String {
        let operation = self.operation.as_str();
        let known = permission::ALL
            .iter()
            .find(|permission| permission.split_once(':').is_some_and(|(_, of)| of == operation));
        match (known, operation) {
            (Some(permission), _) => (*permission).to_owned(),
            (None, "GetCallerIdentity") => "sts:GetCallerIdentity".to_owned(),
            (None, other) => format!("ec2:{}", sanitize::line(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_is_read_from_the_operation_in_both_styles() {
        for (line, permission) in [
            (
                "An error occurred (UnauthorizedOperation) when calling the DescribeNetworkAcls operation: You are not …",
                "ec2:DescribeNetworkAcls",
            ),
            (
                "aws: [ERROR]: An error occurred (AccessDenied) when calling the DescribeCacheClusters operation: …",
                "elasticache:DescribeCacheClusters",
            ),
        ] {
            let error = AwsError::parse(line).unwrap();
            assert_eq!(
                (error.kind, error.permission().as_str()),
                (Kind::NotAuthorized, permission)
            );
        }
        assert_eq!(AwsError::parse("usage: aws [options] <command>"), None);
    }
}
