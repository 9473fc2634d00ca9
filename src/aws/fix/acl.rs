//! Creates fixes that add an entry to a network ACL.

use super::{AwsFix, ports_text};
use crate::aws::check::Code;
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::network_acl::{self, Packets};
use crate::aws::security_group::Direction;

impl Network<'_> {
    pub(super) fn acl_fix(&self, code: Code, reserved: &mut Vec<(Id, Direction, i64)>) -> Option<AwsFix> {
        let (_, place, packets) = self
            .acl_passages()
            .into_iter()
            .find(|(other, ..)| *other == code)?;
        let packets: Packets = packets?;
        let acl = network_acl::of_subnet(self.documents, place.subnet.as_ref()?)?;
        let id = acl.id.as_ref()?;
        let peer = if std::ptr::eq(place, self.source) {
            self.destination
        } else {
            self.source
        };
        let range = peer.range_for_rules()?;
        let direction = packets.direction;
        let own: Vec<i64> = reserved
            .iter()
            .filter(|(other, way, _)| other == id && *way == direction)
            .map(|(.., number)| *number)
            .collect();
        let ports = ports_text(packets.ports);
        let what = format!("{ports} {} {range}", direction.preposition());
        let Some(number) = acl.free_number(packets, &own) else {
            let text = format!(
                "allow {what} in {id}: replace an existing entry, because no rule number is free before the entry \
                 that denies this"
            );
            return Some(AwsFix::text(code, text));
        };
        reserved.push((id.clone(), direction, number));
        let way = match direction {
            Direction::Ingress => "--ingress",
            Direction::Egress => "--egress",
        };
        let entry = |operation: &str| {
            self.command(operation)
                .with("--network-acl-id", id)
                .word(way)
                .with("--rule-number", &number)
        };
        let option = if range.addr().is_ipv4() {
            "--cidr-block"
        } else {
            "--ipv6-cidr-block"
        };
        let create = entry("create-network-acl-entry")
            .word("--protocol tcp")
            .port_range(packets.ports)
            .with(option, &range)
            .word("--rule-action allow");
        let text = format!("add entry {number} to {id}, to allow {what}");
        Some(AwsFix::text(code, text).with(create, entry("delete-network-acl-entry").finish()))
    }
}
