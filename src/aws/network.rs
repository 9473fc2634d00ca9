//! The parts of the network that the checks and fixes use.

use super::cache::Cache;
use super::check::Code;
use super::documents::Documents;
use super::facts::Facts;
use super::network_acl::Packets;
use super::path::Link;
use super::place::Place;
use super::security_group::Direction;
use super::truth::Truth;

/// The assumed range of local ports if the kernel's range is unknown.
const ALL_EPHEMERAL: (u16, u16) = (1024, u16::MAX);

pub(crate) struct Network<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) documents: &'a Documents,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) source: &'a Place,
    pub(crate) destination: &'a Place,
    /// Connections between the two VPCs. Empty if both ends are in the same VPC.
    pub(crate) links: Vec<Link>,
    /// Whether a security group rule can name a group of the other end. The first value is for incoming
    /// traffic, the second for outgoing traffic.
    pub(crate) references: [Truth; 2],
    pub(crate) is_same_subnet: Truth,
}

impl Network<'_> {
    /// Returns the four ACL checks. Each has the end whose ACL applies, and the packets that the ACL must
    /// allow.
    pub(crate) fn acl_passages(&self) -> [(Code, &Place, Option<Packets>); 4] {
        let port = self.facts.port.map(|port| (port, port));
        let replies = Some(self.facts.ephemeral_ports().unwrap_or(ALL_EPHEMERAL));
        let packets = |direction, peer: &Place, ports: Option<(u16, u16)>| {
            Some(Packets {
                direction,
                peer: peer.address?,
                ports: ports?,
            })
        };
        let (near, far) = (self.source, self.destination);
        [
            (Code::AclOut, near, packets(Direction::Egress, far, port)),
            (Code::AclIn, far, packets(Direction::Ingress, near, port)),
            (Code::AclBackOut, far, packets(Direction::Egress, near, replies)),
            (Code::AclBackIn, near, packets(Direction::Ingress, far, replies)),
        ]
    }
}
