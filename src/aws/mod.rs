//! Finds the rule, route or peering connection that blocks a connection on AWS.
//!
//! This folder does no input or output. [`Documents`] come from the program `aws` or from pasted text, and
//! [`Facts`] come from this host. Each check has an outcome and, if it denies the connection, a fix. If the
//! documents do not contain enough information, the outcome is unknown.

mod assessment;
mod cache;
mod check;
mod command;
mod documents;
mod error_text;
mod facts;
mod fix;
mod id;
mod masked;
mod network;
mod network_acl;
mod objects;
mod path;
mod permission;
mod place;
mod read;
mod report;
mod route;
mod scan;
mod script;
mod security_group;
mod transit_gateway;
mod truth;
mod verdict;

#[cfg(test)]
mod tests;

pub(crate) use assessment::Assessment;
pub(crate) use cache::{EndpointName, Form, region_of};
pub(crate) use check::{Certainty, Check, Code, Outcome};
pub(crate) use documents::Documents;
pub(crate) use error_text::{AwsError, Kind as ErrorKind};
pub(crate) use facts::{Facts, Source};
pub(crate) use fix::AwsFix;
pub(crate) use id::{Account, Id, Name, Region};
pub(crate) use masked::masked;
pub(crate) use permission::policy;
pub(crate) use report::{AwsAnswer, Origin, Ran};
pub(crate) use script::{address_filter, script};
pub(crate) use verdict::judge;
