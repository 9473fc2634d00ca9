//! Selects the `aws` commands of each round.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Gathering, Question};
use crate::aws::{self, EndpointName, ErrorKind, Form, Id};

const INTERFACES: &str = "ec2 describe-network-interfaces --page-size 500";
/// The option that makes `aws` list interfaces that are hidden by default. Older versions of `aws` do not
/// support this option.
pub(super) const MANAGED: &str = "--include-managed-resources";

impl Gathering<'_> {
    pub(super) async fn run(&mut self) {
        let mut first = vec![words("sts get-caller-identity")];
        if self.question == Question::Path {
            first.extend(self.interfaces());
        }
        first.extend(self.cache());
        self.round(first).await;
        let mut members = self.members();
        if self.question == Question::Path {
            members.extend(self.other_interfaces());
        }
        self.round(members).await;
        if self.question == Question::Path {
            let mut places: Vec<_> = self.subnet_groups();
            places.extend(self.networks());
            self.round(places).await;
            // The subnet groups may have revealed the cache's VPC, so query the subnets and route tables of
            // this VPC as well.
            let mut rules = self.networks();
            rules.extend(self.rules());
            self.round(rules).await;
        }
        let details = self.details();
        self.round(details).await;
        let searches = self.gateway_routes();
        self.round(searches).await;
    }

    /// Returns one command for the network interfaces of both ends, or `None` if the remote address is
    /// unknown.
    fn interfaces(&self) -> Option<Vec<String>> {
        let address = self.facts.address?;
        let mut values = vec![address];
        let own = self
            .facts
            .source
            .as_ref()
            .and_then(|source| source.addresses.clone());
        values.extend(own.into_iter().flatten().chain(self.facts.from));
        values.retain(|other| other.is_ipv4() == address.is_ipv4());
        values.dedup();
        let list: Vec<_> = values.iter().map(ToString::to_string).collect();
        let filter = aws::address_filter(&[address]);
        Some(words(&format!(
            "{INTERFACES} --filters Name={filter},Values={}",
            list.join(",")
        )))
    }

    /// Returns commands for a broader search if no interface with the remote address was found. Some accounts
    /// hide the interfaces of services, and some AWS mocks cannot filter by IPv6 address.
    fn other_interfaces(&self) -> Vec<Vec<String>> {
        let Some(address) = self.facts.address else {
            return Vec::new();
        };
        let source = self.facts.source.as_ref();
        match self.documents.has_interface_with(address) {
            Some(true) => Vec::new(),
            Some(false) => {
                let filter = aws::address_filter(&[address]);
                vec![words(&format!(
                    "{INTERFACES} {MANAGED} --filters Name={filter},Values={address}"
                ))]
            }
            None if address.is_ipv6() && !self.is_refused("DescribeNetworkInterfaces") => {
                let vpc = source.and_then(|source| source.vpc.as_ref());
                vpc.map(|vpc| words(&format!("{INTERFACES} --filters Name=vpc-id,Values={vpc}")))
                    .into_iter()
                    .collect()
            }
            None => Vec::new(),
        }
    }

    fn is_refused(&self, operation: &str) -> bool {
        let mut errors = self.documents.errors.iter();
        errors.any(|error| error.kind == ErrorKind::NotAuthorized && error.operation == operation)
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

    /// Returns the commands about the members of replication groups, because only the members have security
    /// groups.
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

    /// Returns the commands for all subnets and route tables of both VPCs, because a search by subnet would
    /// not find the main route table.
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

    /// Returns the commands for objects that only some networks use, such as prefix lists.
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
            commands.push(words(
                "ec2 describe-transit-gateway-attachments --filters Name=resource-type,Values=vpc",
            ));
        }
        let logins = match self.question {
            Question::Cache => self.documents.user_group_names(),
            Question::Path => BTreeSet::new(),
        };
        for group in logins {
            commands.push(words(&format!(
                "elasticache describe-user-groups --user-group-id {group}"
            )));
            commands.push(words("elasticache describe-users"));
        }
        commands
    }

    /// Returns the commands that look up both ends in the route tables of transit gateways.
    fn gateway_routes(&self) -> Vec<Vec<String>> {
        let assessment = aws::judge(&self.facts, &self.documents);
        let ends = [assessment.source.address, assessment.destination.address];
        let searches = self
            .documents
            .transit_route_tables()
            .into_iter()
            .flat_map(|table| {
                ends.into_iter().flatten().map(move |address| {
                let range = IpNet::from(address);
                words(&format!(
                    "ec2 search-transit-gateway-routes --transit-gateway-route-table-id {table} --filters \
                     Name=route-search.longest-prefix-match,Values={range}"
                ))
            })
            });
        searches.collect()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn filtered(operation: &str, filter: &str, values: &BTreeSet<Id>) -> Option<Vec<String>> {
    let values: Vec<_> = values.iter().map(Id::as_str).collect();
    let list = values.join(",");
    (!values.is_empty()).then(|| words(&format!("ec2 {operation} --filters Name={filter},Values={list}")))
}
