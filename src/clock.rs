//! Times of day for people, and timestamps for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::os;

/// A time in the form of RFC 3339, in UTC and with milliseconds: `2026-11-27T03:04:05.678Z`.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let milliseconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    match OffsetDateTime::from_unix_timestamp(unix_seconds(at)) {
        Ok(at) => format!("{}T{}.{milliseconds:03}Z", date(at), time(at)),
        Err(_) => String::new(),
    }
}

/// The local time of day: `03:04:05`.
pub(crate) fn time_of_day(at: SystemTime) -> String {
    local(at).map(|(at, ..)| time(at)).unwrap_or_default()
}

/// The local date and time with the time zone: `2026-11-27 04:04:05 +01:00 (CET)`.
pub(crate) fn local_time(at: SystemTime) -> String {
    let Some((at, offset, zone)) = local(at) else {
        return String::new();
    };
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    let offset = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{} {} {offset} ({zone})", date(at), time(at))
}

/// A time in seconds since 1970, to the minute: `2026-11-27 03:04 UTC`.
pub(crate) fn utc_minute(seconds: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => format!("{} {:02}:{:02} UTC", date(at), at.hour(), at.minute()),
        Err(_) => "a time out of range".into(),
    }
}

fn unix_seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}

/// The local time, its offset from UTC in seconds, and the name of the time zone.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_formatted() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_748_645_678);
        assert_eq!(timestamp(at), "2026-11-27T03:04:05.678Z");
        assert_eq!(utc_minute(1_795_748_645), "2026-11-27 03:04 UTC");
        // The local time depends on the time zone, but its form does not.
        assert_eq!(time_of_day(at).len(), "03:04:05".len());
        assert!(local_time(at).starts_with("2026-11-2"));
    }
}
