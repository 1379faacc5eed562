//! Durations and times given as options: `90d`, `2026-01-31`.

use std::time::Duration;

use moat::maintenance::time_ago;
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

/// A time, given as itself or as an age before now, in the format of the audit log, to the second.
pub(super) fn time(text: &str) -> Result<String, &'static str> {
    let wrong = "not an age such as 7d or a time such as 2026-01-31 or 2026-01-31T12:00:00Z";
    if let Ok(age) = parse(text) {
        return time_ago(age).ok_or(wrong);
    }
    let midnight = format!("{text}T00:00:00Z");
    let time =
        [text, &midnight].into_iter().find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let time = time.ok_or(wrong)?.to_offset(UtcOffset::UTC);
    let text = time.format(&Rfc3339).map_err(|_| wrong)?;
    text.get(..19).map(str::to_owned).ok_or(wrong)
}
