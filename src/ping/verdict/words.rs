//! Spans of time and the fate of packets, in words.

use std::time::Duration;

use crate::os::PacketCounts;

/// What has become of the packets while an answer was waited for in vain.
pub(in crate::ping) fn packets(flow: PacketCounts) -> String {
    match flow {
        PacketCounts {
            unacknowledged: 1.., ..
        } => "what was sent was never acknowledged: packets are lost once the connection is made".into(),
        PacketCounts {
            out_of_order: 1.., ..
        } => "later packets have arrived, and an earlier, larger one has not: it is lost on the way".into(),
        _ => "every packet of ours was acknowledged: the host is there, and no answer comes from it".into(),
    }
}

/// `3.0 s`, `12 ms`.
pub(in crate::ping) fn seconds(took: Duration) -> String {
    if took < Duration::from_millis(1) {
        format!("{:.0} µs", took.as_secs_f64() * 1e6)
    } else if took < Duration::from_secs(1) {
        format!("{:.1} ms", took.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

/// `3 days`, `5 hours`.
pub(in crate::ping) fn age(span: i64) -> String {
    const STEPS: [(i64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    for (size, name) in STEPS {
        let count = span / size;
        if count > 0 {
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{span} seconds")
}
