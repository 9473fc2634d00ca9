//! Suggests fixes for slow replies.

use std::time::Duration;

use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use super::tcp;
use crate::ping::conclusions::{SlowPart, median};

pub(super) fn slow(at: &FixContext) -> Fixes {
    match SlowPart::of(at.seen) {
        SlowPart::Network => distance(at),
        SlowPart::Server => slow_commands(at),
        SlowPart::Loss => tcp::loss(at),
        SlowPart::Unknown => distance(at).and_all(slow_commands(at)),
    }
}

pub(super) fn distance(at: &FixContext) -> Fixes {
    advise(
        "distance",
        at.with_aws_note(
            "shorten the network path: run the application in the same data centre or network as the server",
            " (on AWS: in the cache's region, preferably in its availability zone)",
        ),
    )
}

pub(super) fn uneven(at: &FixContext) -> Fixes {
    let network = advise(
        "network",
        "check the network path for a busy link, a VPN or a wireless link, and compare the round trip times with \
         those of the system's `ping` command",
    );
    match SlowPart::of(at.seen) {
        SlowPart::Network => network,
        SlowPart::Loss => tcp::loss(at),
        // A single connection attempt does not show whether the network delay varies.
        SlowPart::Server | SlowPart::Unknown if is_distant(at) => advise(
            "network",
            "check whether the delay of the network varies too, for example because of a busy link, a VPN or a \
             wireless link",
        )
        .command(format!("ping -c 50 {}", at.numeric_host()))
        .and_all(slow_commands(at)),
        SlowPart::Server | SlowPart::Unknown => slow_commands(at).and_all(network),
    }
}

/// The minimum round trip time that a distant server causes. Within a data centre, round trips are shorter.
const DISTANT: Duration = Duration::from_millis(1);

/// Whether the median round trip takes at least [`DISTANT`], and the network causes more than half of it.
fn is_distant(at: &FixContext) -> bool {
    let usual = median(&at.seen.ping.round_trips);
    let connecting = at.seen.tcp.connect_time();
    usual >= DISTANT && connecting.is_some_and(|connecting| connecting > usual / 2)
}

fn slow_commands(at: &FixContext) -> Fixes {
    advise(
        "slow-command",
        "list the slow commands of the server. If none is recent, check whether the server's host is swapping or \
         short of CPU time, and whether a proxy is far from its backend",
    )
    .redis_cli(at, "SLOWLOG GET 10")
}
