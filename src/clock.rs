//! Formats times of day and durations for people, and timestamps for programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::os;

/// Formats a time as in RFC 3339, in UTC and with milliseconds: `2026-11-27T03:04:05.678Z`.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let milliseconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    match OffsetDateTime::from_unix_timestamp(unix_seconds(at)) {
        Ok(at) => format!("{}T{}.{milliseconds:03}Z", date(at), time(at)),
        Err(_) => String::new(),
    }
}

/// Formats the local time of day: `03:04:05`.
pub(crate) fn time_of_day(at: SystemTime) -> String {
    local(at).map(|(at, ..)| time(at)).unwrap_or_default()
}

/// Formats the local date and time with the time zone: `2026-11-27 04:04:05 +01:00 (CET)`.
pub(crate) fn local_time(at: SystemTime) -> String {
    let Some((at, offset, zone)) = local(at) else {
        return String::new();
    };
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    let offset = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{} {} {offset} ({zone})", date(at), time(at))
}

/// Formats a Unix time to the minute: `2026-11-27 03:04 UTC`.
pub(crate) fn utc_minute(seconds: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => format!("{} {:02}:{:02} UTC", date(at), at.hour(), at.minute()),
        Err(_) => "a time out of range".into(),
    }
}

/// Returns the Unix time according to this host's clock.
pub(crate) fn unix_now() -> i64 {
    unix_seconds(SystemTime::now())
}

fn unix_seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}

/// Returns the local time, its offset from UTC in seconds, and the name of the time zone. Returns `None` if
/// the time is out of range.
fn local(at: SystemTime) -> Option<(OffsetDateTime, i64, String)> {
    let seconds = unix_seconds(at);
    let (offset, zone) = os::time_zone(seconds);
    let at = OffsetDateTime::from_unix_timestamp(seconds.saturating_add(offset)).ok()?;
    Some((at, offset, zone))
}

fn date(at: OffsetDateTime) -> String {
    format!("{}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

fn time(at: OffsetDateTime) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// Formats a short duration: `3.0 s`, `12.3 ms`.
pub(crate) fn seconds(took: Duration) -> String {
    // Use whole numbers, because formatting floating-point numbers takes four times as long.
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let (tenths, unit) = match micros {
        0..1_000 => return format!("{micros} µs"),
        1_000..1_000_000 => ((micros + 50) / 100, "ms"),
        _ => ((micros / 1_000 + 50) / 100, "s"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Formats a duration, given in seconds, in its largest unit: `3 days`, `5 hours`.
pub(crate) fn age(span: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    for (size, name) in UNITS {
        let count = span / size;
        if count > 0 {
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    "0 seconds".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_748_645_678);
        assert_eq!(timestamp(at), "2026-11-27T03:04:05.678Z");
        assert_eq!(utc_minute(1_795_748_645), "2026-11-27 03:04 UTC");
        // The local time depends on the time zone, but its format does not.
        assert_eq!(time_of_day(at).len(), "03:04:05".len());
        assert!(local_time(at).starts_with("2026-11-2"));
    }

    #[test]
    fn durations_are_rounded_to_tenths() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (12_349, "12.3 ms"),
            (12_350, "12.4 ms"),
            (999_960, "1000.0 ms"),
            (2_960_000, "3.0 s"),
            (75_500_000, "75.5 s"),
        ] {
            assert_eq!(seconds(Duration::from_micros(micros)), text);
        }
    }
}
