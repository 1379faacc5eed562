//! Ages, as the options give them, and the records that have them.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds, minutes, hours, days or weeks: `90d`.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let wrong = "it is not an age such as 90d, 12w or 36h";
    let units = [("w", 7 * 86_400), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.ok_or(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(*seconds).map(Duration::from_secs).ok_or(wrong)
}

/// Whether a time in a record is longer ago than this. A record spells times as ISO 8601 has them, so that the
/// first 19 characters are in the order of the times; those of the FossaWork application are local ones.
pub(super) fn is_over(age: Duration, time: Option<&str>) -> bool {
    let now = OffsetDateTime::from(SystemTime::now());
    let limit = time::Duration::try_from(age).ok().and_then(|age| now.checked_sub(age));
    let limit = limit.and_then(|limit| limit.format(&Rfc3339).ok()).unwrap_or_default();
    time.and_then(|time| time.get(..19)).is_some_and(|time| Some(time) < limit.get(..19))
}
