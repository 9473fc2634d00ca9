//! Network ACLs, which filter packets in both directions at the border of a subnet. Requests and replies need
//! separate entries.
//!
//! Source: <https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html>

use std::net::IpAddr;

use ipnet::IpNet;

use super::documents::{Documents, all};
use super::id::Id;
use super::objects::{AclEntry, NetworkAcl};
use super::security_group::Direction;
use super::truth::Truth;

/// The lowest number of the default entries that AWS adds to every ACL.
pub(crate) const FIRST_DEFAULT_NUMBER: i64 = 32767;

/// Packets that an ACL must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packets {
    pub(crate) direction: Direction,
    /// The address of the other end of the connection.
    pub(crate) peer: IpAddr,
    /// The first and last destination port.
    pub(crate) ports: (u16, u16),
}

/// The result of an ACL for a range of ports: how many ports it allows, how many it denies, and how many are
/// unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) allowed: i64,
    pub(crate) denied: i64,
    pub(crate) unknown: i64,
    /// The allowed ports, as ranges.
    pub(crate) allowed_parts: Vec<(i64, i64)>,
    /// The number of the first entry that denies a port. `None` if no entry, or only the default entry,
    /// denies a port.
    pub(crate) denied_by: Option<i64>,
}

impl Walk {
    /// Whether a port exists that both ACLs allow.
    pub(crate) fn shares_ports_with(&self, other: &Self) -> bool {
        let overlap = |(first, last): (i64, i64)| {
            let mut others = other.allowed_parts.iter();
            others.any(|(from, to)| first <= *to && *from <= last)
        };
        self.allowed_parts.iter().copied().any(overlap)
    }
}

/// Splits the range of ports at the borders of the entries. Within each part, an entry applies to all ports
/// or to none.
fn parts(entries: &[(i64, &AclEntry)], (first, last): (u16, u16)) -> Vec<(i64, i64)> {
    let (first, last) = (i64::from(first), i64::from(last));
    let ends = entries.iter().filter_map(|(_, entry)| entry.ports());
    let mut starts: Vec<i64> = ends.flat_map(|(from, to)| [from, to.saturating_add(1)]).collect();
    starts.push(first);
    starts.retain(|start| (first..=last).contains(start));
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([last]);
    starts.iter().copied().zip(ends).collect()
}

fn count((first, last): (i64, i64)) -> i64 {
    last - first + 1
}

/// Returns the ACL that is associated with a subnet, or `None` if unknown.
pub(crate) fn of_subnet<'a>(documents: &'a Documents, subnet: &Id) -> Option<&'a NetworkAcl> {
    let mut acls = all(&documents.acls).filter(|acl| {
        let mut associations = acl.associations.iter().flatten();
        associations.any(|association| association.subnet.as_ref() == Some(subnet))
    });
    acls.next()
}

impl NetworkAcl {
    /// Returns the entries for one direction in the order of evaluation. Returns `None` if the number of an
    /// entry is unknown.
    fn entries_of(&self, direction: Direction) -> Option<Vec<(i64, &AclEntry)>> {
        let is_egress = direction == Direction::Egress;
        let own = self
            .entries
            .as_ref()?
            .iter()
            .filter(|entry| entry.is_egress.is_none_or(|egress| egress == is_egress));
        let mut numbered: Vec<_> = own
            .map(|entry| Some((entry.number.filter(|_| entry.is_egress.is_some())?, entry)))
            .collect::<Option<_>>()?;
        numbered.sort_by_key(|(number, _)| *number);
        Some(numbered)
    }

    /// Evaluates the ACL. For each port, the first matching entry determines the result. Returns `None` if
    /// the entries are unknown.
    pub(crate) fn walk(&self, packets: Packets) -> Option<Walk> {
        let entries = self.entries_of(packets.direction)?;
        let mut left = parts(&entries, packets.ports);
        let mut walk = Walk::default();
        for (number, entry) in entries {
            let matches = entry.matches(packets.peer);
            if matches == Truth::No {
                continue;
            }
            let is_allow = match entry.action.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("allow") => Truth::Yes,
                Some("deny") => Truth::No,
                _ => Truth::Unknown,
            };
            left.retain(|part| {
                let is_it = matches.and(match entry.ports() {
                    Some((from, to)) => Truth::from((from..=to).contains(&part.0)),
                    None => Truth::Unknown,
                });
                match (is_it, is_allow) {
                    (Truth::No, _) => return true,
                    (Truth::Yes, Truth::Yes) => {
                        walk.allowed += count(*part);
                        walk.allowed_parts.push(*part);
                    }
                    (Truth::Yes, Truth::No) => {
                        walk.denied += count(*part);
                        walk.denied_by.get_or_insert(number);
                    }
                    _ => walk.unknown += count(*part),
                }
                false
            });
        }
        walk.denied += left.iter().copied().map(count).sum::<i64>();
        walk.denied_by = walk.denied_by.filter(|number| *number < FIRST_DEFAULT_NUMBER);
        Some(walk)
    }

    /// Returns an unused number for a new entry that must precede the entry that denies the packets.
    /// `reserved` contains the numbers that other fixes use. IPv4 and IPv6 entries share the numbers of a
    /// direction.
    pub(crate) fn free_number(&self, packets: Packets, reserved: &[i64]) -> Option<i64> {
        let mut used: Vec<i64> = self
            .entries_of(packets.direction)?
            .iter()
            .map(|(number, _)| *number)
            .collect();
        used.extend(reserved);
        let is_free = |number: &i64| (1..FIRST_DEFAULT_NUMBER).contains(number) && !used.contains(number);
        let Some(limit) = self.walk(packets)?.denied_by else {
            let own = used.iter().filter(|number| **number < FIRST_DEFAULT_NUMBER);
            let after_all = own.max().copied().unwrap_or_default() + 10;
            return Some(after_all)
                .filter(is_free)
                .or_else(|| (1..FIRST_DEFAULT_NUMBER).rev().find(is_free));
        };
        let before = used
            .iter()
            .filter(|number| **number < limit)
            .max()
            .copied()
            .unwrap_or_default();
        let multiple = (limit - 1) / 10 * 10;
        Some(multiple)
            .filter(|number| *number > before && is_free(number))
            .or_else(|| (1..limit).rev().find(is_free))
    }
}

impl AclEntry {
    /// Whether the entry applies to TCP and this address.
    fn matches(&self, peer: IpAddr) -> Truth {
        let protocol = match self.protocol.as_deref() {
            Some("-1" | "6" | "tcp") => Truth::Yes,
            Some(_) => Truth::No,
            None => Truth::Unknown,
        };
        let contains = |range: IpNet| range.contains(&peer);
        protocol.and(Truth::from(self.range.or(self.ipv6_range).map(contains)))
    }

    /// Returns the first and last port of the entry, or `None` if unknown. An entry for all protocols covers
    /// all ports.
    fn ports(&self) -> Option<(i64, i64)> {
        let range = self.ports.as_ref();
        match (
            self.protocol.as_deref(),
            range.and_then(|range| Some((range.from?, range.to?))),
        ) {
            (Some("-1"), _) => Some((0, i64::from(u16::MAX))),
            (_, range) => range,
        }
    }
}
