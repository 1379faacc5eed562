//! Durations and times given as options: `90d`, `2026-01-31`.

use std::time::Duration;

use moat::Expiry;
use moat::maintenance::time_ago;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

const DAY: u64 = 86_400;

/// Seconds, minutes, hours, days or weeks: `90d`.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let wrong = "not an age such as 90d, 12w or 36h";
    let units = [("w", 7 * DAY), ("d", DAY), ("h", 3600), ("m", 60), ("s", 1)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.ok_or(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(*seconds).map(Duration::from_secs).ok_or(wrong)
}

/// When a credential expires, as the library has it: a time in UTC, an age in days, or `never`.
pub(super) fn expiry(text: &str) -> Result<String, &'static str> {
    let wrong = "not a date such as 2027-01-31, an age such as 90d or 12w, or never";
    if text == Expiry::NEVER {
        return Ok(text.to_owned());
    }
    let Ok(age) = parse(text) else { return utc(text).ok_or(wrong) };
    let (days, rest) = (age.as_secs() / DAY, age.as_secs() % DAY);
    let days = format!("{days}d");
    (rest == 0 && Expiry::parse(&days).is_some()).then_some(days).ok_or("not 1 to 36500 days")
}

/// A time, given as itself or as an age before now, in the format of the audit log, to the second.
pub(super) fn time(text: &str) -> Result<String, &'static str> {
    let wrong = "not an age such as 7d or a time such as 2026-01-31 or 2026-01-31T12:00:00Z";
    if let Ok(age) = parse(text) {
        return time_ago(age).ok_or(wrong);
    }
    utc(text).ok_or(wrong)
}

/// A date or a time with a zone, as records and the audit log have it.
fn utc(text: &str) -> Option<String> {
    let midnight = format!("{text}T00:00:00Z");
    let time = [text, &midnight]
        .into_iter()
        .find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok())?;
    let text = time.to_offset(UtcOffset::UTC).format(&Rfc3339).ok()?;
    text.get(..19).map(str::to_owned)
}
