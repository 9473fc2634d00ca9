//! Security groups. Their rules only allow packets, never deny them. Replies need no rule, because security
//! groups are stateful.
//!
//! Source: <https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html>

use std::net::IpAddr;

use ipnet::IpNet;

use super::check::{Check, Code};
use super::documents::{Documents, all, find, is_complete};
use super::facts::Facts;
use super::id::Id;
use super::objects::{GroupPair, Permission, SecurityGroupRule};
use super::permission;
use super::place::Place;
use super::truth::Truth;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    /// Returns the name of the direction in `aws` commands.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// Returns the word for a rule in this direction.
    pub(crate) fn adjective(self) -> &'static str {
        match self {
            Self::Ingress => "inbound",
            Self::Egress => "outbound",
        }
    }

    /// Returns the word before the other end of the connection.
    pub(crate) fn preposition(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

/// The source or destination in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Peer {
    Range(IpNet),
    Group { id: Option<Id>, is_active: Truth },
    PrefixList(Option<Id>),
    Unknown,
}

/// A rule. `aws` prints rules in two formats, which both become this type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    protocol: Option<String>,
    from: Option<i64>,
    to: Option<i64>,
    peers: Vec<Peer>,
}

/// The rules of one security group in one direction.
struct Rules {
    list: Option<Vec<Rule>>,
    /// Whether the rules come from `describe-security-group-rules`. If the output of this command contains no
    /// rules of a group, the group has no rules or is not visible.
    is_from_rules: bool,
}

/// The traffic that the security groups of one end must allow.
pub(crate) struct Traffic<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) facts: &'a Facts,
    pub(crate) direction: Direction,
    /// The end of the connection that the checked security groups belong to.
    pub(crate) own: &'a Place,
    pub(crate) peer: &'a Place,
    pub(crate) port: u16,
    /// Whether a rule can name a security group of the other end.
    pub(crate) references: Truth,
}

/// Whether one rule allows the traffic. `needs` is an IAM permission for a missing document. `near_miss` says
/// why a similar rule does not apply.
struct Answer {
    truth: Truth,
    needs: Option<&'static str>,
    near_miss: Option<String>,
}

impl Traffic<'_> {
    /// Checks whether any rule of any group allows the traffic.
    pub(crate) fn judge(&self) -> Check {
        let code = match self.direction {
            Direction::Ingress => Code::SgIngress,
            Direction::Egress => Code::SgEgress,
        };
        let Some(groups) = &self.own.groups else {
            let end = self.end();
            return Check::unknown(
                code,
                format!("the AWS replies do not show the security groups of {end}"),
            )
            .needs(&[permission::NETWORK_INTERFACES]);
        };
        let mut allowed = Truth::No;
        let mut needs = Vec::new();
        let mut near_misses = Vec::new();
        let mut is_from_rules = false;
        for group in groups {
            let rules = self.rules(group);
            is_from_rules |= rules.is_from_rules;
            let Some(list) = rules.list else {
                allowed = allowed.or(Truth::Unknown);
                needs.push(permission::SECURITY_GROUPS);
                continue;
            };
            for rule in &list {
                let answer = self.ask(group, rule);
                if answer.truth == Truth::Yes {
                    return Check::allowed(code, self.allows(group)).about(Some(group));
                }
                allowed = allowed.or(answer.truth);
                needs.extend(answer.needs);
                near_misses.extend(answer.near_miss);
            }
        }
        needs.sort_unstable();
        needs.dedup();
        let names = list_of(groups);
        let mut check = match allowed {
            Truth::Unknown => {
                let text = format!(
                    "the AWS replies do not show whether {names} allows {}",
                    self.what()
                );
                Check::unknown(code, text).needs(&needs)
            }
            _ => {
                let kind = self.direction.adjective();
                let text = format!("no {kind} rule of {names} allows {}", self.what());
                Check::denied(code, text).aws_code("ENI_SG_RULES_MISMATCH")
            }
        };
        check.object = Some(names);
        check.near_misses = near_misses;
        check.likely_if(is_from_rules || self.own.is_by_name)
    }

    fn end(&self) -> &'static str {
        match self.direction {
            Direction::Ingress => "the cache",
            Direction::Egress => "this instance",
        }
    }

    /// Describes the traffic, such as `TCP port 6379 to 10.0.0.5`.
    fn what(&self) -> String {
        let peer = match (&self.peer.groups, self.references, self.peer.address) {
            (Some(groups), Truth::Yes, _) if !groups.is_empty() => list_of(groups),
            (.., Some(address)) => address.to_string(),
            _ => "the other end".to_owned(),
        };
        format!("TCP port {} {} {peer}", self.port, self.direction.preposition())
    }

    fn allows(&self, group: &Id) -> String {
        format!("{group} allows {}", self.what())
    }

    fn rules(&self, group: &Id) -> Rules {
        let permissions = self
            .documents
            .group(group)
            .and_then(|group| match self.direction {
                Direction::Ingress => group.ingress.as_ref(),
                Direction::Egress => group.egress.as_ref(),
            });
        if let Some(permissions) = permissions {
            return Rules {
                list: Some(permissions.iter().map(of_permission).collect()),
                is_from_rules: false,
            };
        }
        let table = &self.documents.group_rules;
        let own: Vec<&SecurityGroupRule> = all(table)
            .filter(|rule| rule.group.as_ref() == Some(group))
            .collect();
        let was_asked = self
            .facts
            .asked_groups
            .as_ref()
            .is_some_and(|asked| asked.contains(group));
        let is_visible = !own.is_empty() || was_asked;
        let is_egress = self.direction == Direction::Egress;
        let rules = own
            .iter()
            .filter(|rule| rule.is_egress.is_none_or(|egress| egress == is_egress));
        let list = rules.map(|rule| of_rule(rule, is_egress)).collect();
        Rules {
            list: (is_visible && is_complete(table)).then_some(list),
            is_from_rules: true,
        }
    }

    fn ask(&self, group: &Id, rule: &Rule) -> Answer {
        let no = |near_miss| Answer {
            truth: Truth::No,
            needs: None,
            near_miss,
        };
        let ports = rule.covers(self.port);
        let mut peers = Truth::No;
        let mut needs = None;
        let mut refused = None;
        for peer in &rule.peers {
            let (truth, need, why_not) = self.matches(peer);
            peers = peers.or(truth);
            needs = needs.or(need);
            refused = refused.or(why_not);
        }
        let truth = ports.and(peers);
        match (ports, peers) {
            _ if truth != Truth::No => Answer {
                truth,
                needs: needs.filter(|_| truth == Truth::Unknown),
                near_miss: None,
            },
            (Truth::No, Truth::Yes) => no(Some(format!(
                "{group} has a rule for the right source or destination, but for {}",
                rule.ports()
            ))),
            (Truth::Yes, _) => {
                let why = refused.unwrap_or_else(|| "allows another source or destination".to_owned());
                no((!rule.peers.is_empty())
                    .then(|| format!("a rule of {group} for TCP port {} {why}", self.port)))
            }
            _ => no(None),
        }
    }

    /// Returns whether the source or destination in the rule includes the other end. If this is unknown, the
    /// second value is the missing IAM permission. The third value, if there is one, says why the rule does
    /// not apply. It has no meaning if the rule applies.
    fn matches(&self, peer: &Peer) -> (Truth, Option<&'static str>, Option<String>) {
        match peer {
            Peer::Range(range) => self.is_in(*range),
            Peer::Group { id, is_active } => self.is_in_group(id.as_ref(), *is_active),
            Peer::PrefixList(id) => match id.as_ref().and_then(|id| self.documents.prefix_list(id)) {
                Some(entries) => {
                    let contains = |address: IpAddr| entries.iter().any(|range| range.contains(&address));
                    (Truth::from(self.peer.address.map(contains)), None, None)
                }
                None => (
                    Truth::Unknown,
                    Some(permission::MANAGED_PREFIX_LIST_ENTRIES),
                    None,
                ),
            },
            Peer::Unknown => (Truth::Unknown, Some(permission::SECURITY_GROUPS), None),
        }
    }

    fn is_in(&self, range: IpNet) -> (Truth, Option<&'static str>, Option<String>) {
        let Some(address) = self.peer.address else {
            return (Truth::Unknown, Some(permission::NETWORK_INTERFACES), None);
        };
        let public = find(&self.documents.interfaces, |interface| {
            interface.id.is_some() && interface.id == self.peer.interface
        });
        let public = public.and_then(|interface| interface.association.as_ref()?.address);
        let why_not = if address.is_ipv4() != range.addr().is_ipv4() {
            format!("allows only {}", if address.is_ipv4() { "IPv6" } else { "IPv4" })
        } else if public.is_some_and(|public| range.contains(&public)) {
            format!("allows {range}, the public address, but inside a VPC packets have the private one")
        } else {
            format!("allows {range}, which does not contain {address}")
        };
        (Truth::from(range.contains(&address)), None, Some(why_not))
    }

    fn is_in_group(
        &self,
        id: Option<&Id>,
        is_active: Truth,
    ) -> (Truth, Option<&'static str>, Option<String>) {
        let (Some(id), Some(groups)) = (id, &self.peer.groups) else {
            return (
                self.references.and(Truth::Unknown),
                Some(permission::NETWORK_INTERFACES),
                None,
            );
        };
        if !groups.contains(id) {
            let why_not = format!("allows {id}, a group that the other end is not in");
            return (Truth::No, None, Some(why_not));
        }
        let why_not = format!("allows {id}, but references to groups do not count on this path");
        (
            self.references.and(is_active),
            Some(permission::VPC_PEERING_CONNECTIONS),
            Some(why_not),
        )
    }
}

impl Rule {
    /// Whether the rule applies to TCP and this port.
    fn covers(&self, port: u16) -> Truth {
        let Some(protocol) = self.protocol.as_deref() else {
            return Truth::Unknown;
        };
        match protocol.to_ascii_lowercase().as_str() {
            "-1" => Truth::Yes,
            "tcp" | "6" => match (self.from, self.to) {
                (Some(-1), _) => Truth::Yes,
                (Some(from), Some(to)) => Truth::from((from..=to).contains(&i64::from(port))),
                _ => Truth::Unknown,
            },
            _ => Truth::No,
        }
    }

    fn ports(&self) -> String {
        let protocol = match self.protocol.as_deref() {
            Some("6") | None => "tcp",
            Some("17") => "udp",
            Some(other) => other,
        };
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => format!("{protocol} {from}"),
            (Some(from), Some(to)) => format!("{protocol} {from}-{to}"),
            _ => protocol.to_owned(),
        }
    }
}

fn of_permission(permission: &Permission) -> Rule {
    fn peers<T>(list: Option<&Vec<T>>, read: impl Fn(&T) -> Peer) -> Vec<Peer> {
        // Some versions of `aws` omit a list, so the rule may have a peer that the document does not show.
        list.map_or_else(|| vec![Peer::Unknown], |list| list.iter().map(read).collect())
    }
    let range = |range: Option<IpNet>| range.map_or(Peer::Unknown, Peer::Range);
    let mut all = peers(permission.ranges.as_ref(), |item| range(item.range));
    all.extend(peers(permission.ipv6_ranges.as_ref(), |item| range(item.range)));
    all.extend(peers(permission.groups.as_ref(), of_pair));
    all.extend(peers(permission.prefix_lists.as_ref(), |item| {
        Peer::PrefixList(item.id.clone())
    }));
    Rule {
        protocol: permission.protocol.clone(),
        from: permission.from,
        to: permission.to,
        peers: all,
    }
}

fn of_pair(pair: &GroupPair) -> Peer {
    // Only references to groups in another VPC have a status.
    let is_active = pair
        .peering_status
        .as_ref()
        .is_none_or(|status| status.eq_ignore_ascii_case("active"));
    Peer::Group {
        id: pair.group.clone(),
        is_active: is_active.into(),
    }
}

fn of_rule(rule: &SecurityGroupRule, is_egress: bool) -> Rule {
    let peer = match (
        rule.range.or(rule.ipv6_range),
        &rule.prefix_list,
        &rule.referenced,
    ) {
        _ if rule.is_egress != Some(is_egress) => Peer::Unknown,
        (Some(range), ..) => Peer::Range(range),
        (_, Some(list), _) => Peer::PrefixList(Some(list.clone())),
        (.., Some(pair)) => of_pair(pair),
        _ => Peer::Unknown,
    };
    Rule {
        protocol: rule.protocol.clone(),
        from: rule.from,
        to: rule.to,
        peers: vec![peer],
    }
}

fn list_of(ids: &[Id]) -> String {
    let names: Vec<_> = ids.iter().map(Id::as_str).collect();
    if names.is_empty() {
        "no group".to_owned()
    } else {
        names.join(" and ")
    }
}

/// Returns the group of the cache that should get a new rule: a group with a rule for the port or, without
/// such a group, any group. Avoids the default group if possible.
pub(crate) fn best_of_cache<'a>(groups: &'a [Id], documents: &Documents, port: u16) -> Option<&'a Id> {
    let has_rule = |id: &&Id| {
        let permissions = documents.group(id).and_then(|group| group.ingress.as_ref());
        let mut rules = permissions.into_iter().flatten().map(of_permission);
        let mut others = all(&documents.group_rules)
            .filter(|rule| rule.group.as_ref() == Some(*id) && rule.is_egress == Some(false))
            .map(|rule| of_rule(rule, false));
        // The default group allows all protocols from itself. This rule is not specific to the port.
        let is_about = |rule: Rule| rule.covers(port) == Truth::Yes && rule.protocol.as_deref() != Some("-1");
        rules.any(is_about) || others.any(is_about)
    };
    groups
        .iter()
        .find(has_rule)
        .or_else(|| best_of_instance(groups, documents))
}

/// Returns the group of the instance that a new rule should name. Avoids the default group if possible.
pub(crate) fn best_of_instance<'a>(groups: &'a [Id], documents: &Documents) -> Option<&'a Id> {
    groups
        .iter()
        .find(|id| !is_default(documents, id))
        .or(groups.first())
}

fn is_default(documents: &Documents, id: &Id) -> bool {
    let by_interface = || {
        let mut groups = all(&documents.interfaces).flat_map(|interface| interface.groups.iter().flatten());
        groups.find(|group| group.id.as_ref() == Some(id))?.name.clone()
    };
    let name = documents
        .group(id)
        .and_then(|group| group.name.clone())
        .or_else(by_interface);
    name.as_deref() == Some("default")
}
