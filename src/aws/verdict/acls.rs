//! Checks that the network ACLs of both subnets allow requests and replies.

use crate::aws::check::{Check, Code, Outcome};
use crate::aws::fix::ports_text;
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::network_acl::{self, Packets, Walk};
use crate::aws::permission;
use crate::aws::place::Place;
use crate::aws::security_group::Direction;
use crate::aws::truth::Truth;

impl Network<'_> {
    pub(super) fn acl_checks(&self) -> Vec<Check> {
        if self.is_same_subnet == Truth::Yes {
            return Vec::new();
        }
        let passages = self.acl_passages();
        let mut checks: Vec<_> = passages
            .into_iter()
            .map(|(code, place, packets)| self.acl_check(code, place, packets))
            .collect();
        let [.., back_out, back_in] = passages.map(|(_, place, packets)| self.walk(place, packets?));
        let replies: Vec<_> = back_out.into_iter().chain(back_in).collect();
        if let [out, back] = replies.as_slice()
            && checks[2..].iter().all(|check| check.outcome == Outcome::Partly)
            && !out.shares_ports_with(back)
        {
            for check in &mut checks[2..] {
                check.outcome = Outcome::Denied;
                check.text += "; the two ACLs allow no common port";
            }
        }
        checks
    }

    fn walk(&self, place: &Place, packets: Packets) -> Option<Walk> {
        network_acl::of_subnet(self.documents, place.subnet.as_ref()?)?.walk(packets)
    }

    fn acl_check(&self, code: Code, place: &Place, packets: Option<Packets>) -> Check {
        let Some(subnet) = &place.subnet else {
            let text = "the AWS replies do not show the subnet, so the network ACL is unknown";
            let need = if place.vpc.is_some() {
                permission::SUBNETS
            } else {
                permission::NETWORK_INTERFACES
            };
            return Check::unknown(code, text).needs(&[need]);
        };
        let Some(acl) = network_acl::of_subnet(self.documents, subnet) else {
            let text = format!("the AWS replies do not contain the network ACL of {subnet}");
            return Check::unknown(code, text)
                .about(Some(subnet))
                .needs(&[permission::NETWORK_ACLS]);
        };
        let id = acl.id.as_ref();
        let name = id.map_or("the network ACL", Id::as_str);
        let walked = packets.and_then(|packets| Some((packets, acl.walk(packets)?)));
        let Some((packets, walk)) = walked else {
            let text = format!("the AWS replies do not contain all entries of {name}");
            return Check::unknown(code, text)
                .about(id)
                .needs(&[permission::NETWORK_ACLS]);
        };
        let outcome = self.acl_outcome(code, &walk);
        let what = describe(packets, subnet);
        let text = match outcome {
            Outcome::Allowed => format!("{name} allows {what}"),
            Outcome::Denied => match walk.denied_by {
                Some(number) => format!("entry {number} of {name} denies {what}"),
                None => format!("no entry of {name} allows {what}"),
            },
            Outcome::Partly => {
                let percent = walk.allowed * 100 / (walk.allowed + walk.denied).max(1);
                format!(
                    "{name} allows only part of {what}: only {percent} % of this instance's local ports get \
                     replies, so some connections fail"
                )
            }
            Outcome::Unknown => format!("the AWS replies do not show whether {name} allows {what}"),
        };
        let mut check = Check::new(code, outcome, text).about(id);
        if matches!(outcome, Outcome::Denied | Outcome::Partly) {
            check = check
                .aws_code("SUBNET_ACL_RESTRICTION")
                .likely_if(self.destination.is_by_name);
        }
        if outcome == Outcome::Unknown {
            let need = if self.is_same_subnet == Truth::Unknown {
                permission::SUBNETS
            } else {
                permission::NETWORK_ACLS
            };
            check = check.needs(&[need]);
        }
        check
    }

    fn acl_outcome(&self, code: Code, walk: &Walk) -> Outcome {
        let is_reply = matches!(code, Code::AclBackOut | Code::AclBackIn);
        let has_unknown_range = is_reply && self.facts.ephemeral_ports().is_none();
        match (walk.allowed, walk.denied, walk.unknown) {
            (_, 0, 0) => Outcome::Allowed,
            // ACLs do not filter packets within a subnet.
            _ if self.is_same_subnet == Truth::Unknown => Outcome::Unknown,
            (0, _, 0) => Outcome::Denied,
            (_, _, 0) if has_unknown_range => Outcome::Unknown,
            (_, _, 0) => Outcome::Partly,
            _ => Outcome::Unknown,
        }
    }
}

fn describe(packets: Packets, subnet: &Id) -> String {
    let ports = ports_text(packets.ports);
    let peer = packets.peer;
    match packets.direction {
        Direction::Egress => format!("{ports} from {subnet} to {peer}"),
        Direction::Ingress => format!("{ports} from {peer} into {subnet}"),
    }
}
