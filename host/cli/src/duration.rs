//! Ages, as the options give them, and the records that have them.

use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Seconds, minutes, hours, days or weeks: `90d`.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let wrong = "not an age such as 90d, 12w or 36h";
    let units = [("w", 7 * 86_400), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.ok_or(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(*seconds).map(Duration::from_secs).ok_or(wrong)
}

/// A time, or an age ago, as the log spells times, up to the second.
pub(super) fn time(text: &str) -> Result<String, &'static str> {
    let wrong = "not an age such as 7d or a time such as 2026-01-31 or 2026-01-31T12:00:00Z";
    if let Ok(age) = parse(text) {
        return ago(age).ok_or(wrong);
    }
    let midnight = format!("{text}T00:00:00Z");
    let time =
        [text, &midnight].into_iter().find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    time.and_then(|time| spelled(time.to_offset(UtcOffset::UTC))).ok_or(wrong)
}

/// The time this long ago, up to the second: 19 characters.
fn ago(age: Duration) -> Option<String> {
    let now = OffsetDateTime::from(SystemTime::now());
    spelled(now.checked_sub(time::Duration::try_from(age).ok()?)?)
}

fn spelled(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()?.get(..19).map(str::to_owned)
}

/// Whether a time in a record is longer ago than this. A record spells times as ISO 8601 has them, so that the
/// first 19 characters are in the order of the times; those of the FossaWork application are local ones.
pub(super) fn is_over(age: Duration, time: Option<&str>) -> bool {
    let limit = ago(age).unwrap_or_default();
    time.and_then(|time| time.get(..19)).is_some_and(|time| time < limit.as_str())
}
