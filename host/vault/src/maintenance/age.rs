//! Comparing the times in records with an age.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whether a time in a record is longer ago than this; `false` if there is none.
///
/// Records have ISO 8601 times, whose first 19 characters sort chronologically. The FossaWork application writes local
/// times, so that its records can be off by a few hours.
pub fn is_older_than(time: Option<&str>, age: Duration) -> bool {
    let limit = ago(age).unwrap_or_default();
    time.and_then(|time| time.get(..19)).is_some_and(|time| time < limit.as_str())
}

/// The time this long ago, in UTC.
fn ago(age: Duration) -> Option<String> {
    let now = OffsetDateTime::from(SystemTime::now());
    let time = now.checked_sub(time::Duration::try_from(age).ok()?)?;
    time.format(&Rfc3339).ok()?.get(..19).map(str::to_owned)
}
