//! Creates fixes that connect two VPCs with a peering connection.

use super::AwsFix;
use crate::aws::check::Check;
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::place;
use crate::aws::route;

impl Network<'_> {
    pub(super) fn accept_fix(&self, check: &Check) -> Vec<AwsFix> {
        let Some(link) = self.links.iter().find(|link| link.is_pending()) else {
            return Vec::new();
        };
        let option = "--vpc-peering-connection-id";
        let accept = self
            .command("accept-vpc-peering-connection")
            .with(option, link.id());
        let delete = self
            .command("delete-vpc-peering-connection")
            .with(option, link.id());
        let undo = format!(
            "{}   # an accepted peering cannot become pending again",
            delete.finish()
        );
        let fix = AwsFix::text(
            check.code,
            "accept the peering in the account of the accepter VPC",
        );
        vec![fix.with(accept, undo)]
    }

    /// Suggests using an instance in the other VPC and, if possible, creating a peering connection.
    pub(super) fn peering_fix(&self, check: &Check) -> Vec<AwsFix> {
        let other = self
            .destination
            .vpc
            .as_ref()
            .map_or("the cache's VPC", Id::as_str);
        let mut fixes = vec![AwsFix::text(
            check.code,
            format!("use an instance in {other}, the VPC of the cache"),
        )];
        fixes.extend(self.new_peering().map(|command| AwsFix {
            code: check.code,
            kind: "peering",
            text: "or connect the two VPCs with a peering, and add a route on both sides".to_owned(),
            command: Some(command),
            undo: Some("delete the two routes, then the peering".to_owned()),
        }));
        fixes
    }

    fn new_peering(&self) -> Option<String> {
        let (near, far) = (self.source, self.destination);
        let (own, other) = (near.vpc.as_ref()?, far.vpc.as_ref()?);
        let is_one_account = match (&near.owner, &far.owner) {
            (Some(one), Some(other)) => one == other,
            // If the owner of the other VPC is unknown, but the documents describe the cache, the VPC belongs
            // to this account.
            (_, None) => far.is_by_name,
            (None, _) => false,
        };
        let ranges = (
            place::ranges_of(self.documents, own)?,
            place::ranges_of(self.documents, other)?,
        );
        let overlaps = ranges.0.iter().any(|one| {
            ranges
                .1
                .iter()
                .any(|other| one.contains(other) || other.contains(one))
        });
        if !is_one_account || overlaps {
            return None;
        }
        let routes = [(near, far), (far, near)].map(|(from, to)| {
            let table = route::table_of(self.documents, from.vpc.as_ref()?, from.subnet.as_ref())?;
            let change = self.change_route(table, to)?;
            Some(change.command.word("--vpc-peering-connection-id \"$P\"").finish())
        });
        let [there, back] = routes;
        let create = self
            .command("create-vpc-peering-connection")
            .with("--vpc-id", own)
            .with("--peer-vpc-id", other)
            .word("--query VpcPeeringConnection.VpcPeeringConnectionId --output text")
            .finish();
        let accept = self
            .command("accept-vpc-peering-connection")
            .word("--vpc-peering-connection-id \"$P\"")
            .finish();
        Some(format!("P=$({create}) && {accept} && {} && {}", there?, back?))
    }
}
