//! Draws conclusions from the observations, for both the verdict and the fixes.

mod access_token;
mod credentials;
mod latency;
mod missing_reply;

pub(in crate::ping) use access_token::AccessToken;
pub(in crate::ping) use credentials::{SuspiciousForm, facts, is_iam_token, suspicious_form};
pub(in crate::ping) use latency::{
    FIRST_RETRANSMISSION, SLOW_MEDIAN, SlowPart, is_uneven, lost_packets, median,
};
pub(in crate::ping) use missing_reply::{NoReply, describe_packets};

use super::observation::Observations;
use crate::redis_url::{Target, provider};

/// Returns the region in the host name and the region of this EC2 instance, if they differ. Returns `None` if one
/// of them is unknown.
pub(in crate::ping) fn regions<'a>(target: &Target, seen: &'a Observations) -> Option<(String, &'a str)> {
    let named = provider::endpoint_hint(target.host()?)?.region?;
    let own = seen.this_host.instance.as_ref()?.region.as_str();
    (named != own).then_some((named, own))
}
