//! The network between the two ends of the connection.

use super::cache::Cache;
use super::check::Code;
use super::documents::Documents;
use super::facts::Facts;
use super::network_acl::Packets;
use super::path::Link;
use super::place::Place;
use super::security_group::Direction;
use super::truth::Truth;

/// The range of local ports that is assumed if the kernel's range is not known.
const ALL_EPHEMERAL: (u16, u16) = (1024, u16::MAX);

/// The parts of the network that the checks and fixes use.
pub(crate) struct Network<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) documents: &'a Documents,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) source: &'a Place,
    pub(crate) destination: &'a Place,
    /// The connections between the two VPCs. Empty if both ends are in the same VPC.
    pub(crate) links: Vec<Link>,
    /// Whether rules can refer to security groups of the other end. The first value is for incoming traffic,
    /// the second for outgoing traffic.
    pub(crate) references: [Truth; 2],
    pub(crate) is_same_subnet: Truth,
}

impl Network<'_> {
    /// Returns the places and the packets for the four ACL checks.
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
