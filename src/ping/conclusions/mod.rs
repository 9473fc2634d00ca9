//! Draws the conclusions from the observations that both the verdict and the fixes need.

mod credentials;
mod latency;
mod missing_reply;

pub(in crate::ping) use credentials::{SuspiciousForm, facts, is_iam_token, suspicious_form};
pub(in crate::ping) use latency::{
    FIRST_RETRANSMISSION, SLOW_MEDIAN, SlowPart, is_uneven, lost_packets, median,
};
pub(in crate::ping) use missing_reply::{NoReply, describe_packets};
